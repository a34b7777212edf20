//! A tree from YAML.

use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_saphyr::DuplicateKeyPolicy;
use serde_saphyr::Options;
use serde_saphyr::Spanned;
use serde_saphyr::UserMessageFormatter;

use super::Child;
use super::Content;
use super::Mark;
use super::Name;
use super::Node;
use super::Tree;
use crate::config::problem::Problem;

/// What was read.
#[derive(Debug, PartialEq)]
pub(in crate::config) struct Parsed {
    /// Empty where it is no YAML.
    pub(in crate::config) tree: Tree,
    /// The keys that are there twice; or the first thing that is no YAML.
    pub(in crate::config) problems: Vec<Problem>,
    pub(in crate::config) is_yaml: bool,
}

/// A configuration has eight levels. Each more costs stack: without a bound a file could end the
/// program.
const DEPTH_MAX: usize = 24;

/// Reads YAML. Of a key that is there twice the first value is kept.
pub(in crate::config) fn parse(file: Option<&str>, text: &str) -> Parsed {
    let mut tree = Tree::empty(file);
    let problem = match serde_saphyr::from_str_with_options::<Node>(text, options()) {
        Ok(Node {
            content: Content::Null,
            ..
        }) => None,
        Ok(node) if matches!(node.content, Content::Map(_)) => {
            tree.root.content = node.content;
            None
        }
        Ok(_) => {
            let what = "the file must hold keys and values, as `config default` prints";
            Some(tree.problem(&tree.root.mark, "", what))
        }
        Err(error) => Some(tree.problem(&mark_of(&error), "", not_yaml(&error))),
    };
    if let Some(problem) = problem {
        return Parsed {
            tree,
            problems: vec![problem],
            is_yaml: false,
        };
    }
    let mut twice = Vec::new();
    tree.root.take_doubles("", &mut twice);
    let told = twice.into_iter();
    let problems = told.map(|(mark, key, what)| tree.problem(&mark, key, what));
    Parsed {
        problems: problems.collect(),
        tree,
        is_yaml: true,
    }
}

/// Reads the YAML of other programs, whatever it holds; an error is where it is none, without words,
/// since those might repeat a secret. Of a key that is there twice both are kept, and `y` is no truth.
pub(in crate::config) fn read(text: &str) -> Result<Node, Mark> {
    let mut options = options();
    options.strict_booleans = true;
    let node = serde_saphyr::from_str_with_options(text, options);
    node.map_err(|error| mark_of(&error))
}

fn options() -> Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX },
    }
}

fn mark_of(error: &serde_saphyr::Error) -> Mark {
    error.location().map_or(Mark::At(1, 1), |location| {
        Mark::At(location.line(), location.column())
    })
}

/// The parser's words without the place, which stands before them anyway.
fn not_yaml(error: &serde_saphyr::Error) -> String {
    let message = error.render_with_formatter(&UserMessageFormatter);
    let words = match message.rfind(" at line ") {
        Some(end) => &message[..end],
        None => &message,
    };
    format!("this is not YAML: {words}")
}

// === impl Node ===

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let content = deserializer.deserialize_any(ContentVisitor)?;
        Ok(Self {
            mark: Mark::Nowhere,
            content,
        })
    }
}

/// Takes whatever is there.
struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut children = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Node>>()? {
            let mark = mark(&item);
            children.push(Child {
                name: Name::Number(children.len()),
                mark: mark.clone(),
                node: Node { mark, ..item.value },
            });
        }
        Ok(Content::List(children))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut children = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Node>>()? {
            children.push(Child {
                mark: mark(&key),
                name: Name::Key(key.value),
                node: Node {
                    mark: mark(&value),
                    ..value.value
                },
            });
        }
        Ok(Content::Map(children))
    }
}

/// Where it is written: what comes by an alias is mended at its anchor.
fn mark<T>(spanned: &Spanned<T>) -> Mark {
    Mark::At(spanned.defined.line(), spanned.defined.column())
}
