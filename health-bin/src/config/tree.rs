//! A configuration as it was written: a tree whose keys and values know their places.

mod yaml;

use std::collections::BTreeMap;

use super::problem::Place;
use super::problem::Problem;
pub(super) use yaml::Parsed;
pub(super) use yaml::parse;
pub(super) use yaml::read;

/// The tree, and the file that it was read from.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Tree {
    file: Option<String>,
    pub(super) root: Node,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) content: Content,
}

/// Where a key or a value was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Mark {
    #[default]
    Nowhere,
    /// By line and column of the file.
    At(u64, u64),
    /// By a variable of the environment.
    Variable(String),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Content {
    #[default]
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Child>),
    Map(Vec<Child>),
}

/// What is in a list or in a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Child {
    pub(super) name: Name,
    /// Where the key is; of an item the same as the value's.
    pub(super) mark: Mark,
    pub(super) node: Node,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Key(String),
    /// An item's number in the file, also when others before it were taken out.
    Number(usize),
}

// === impl Tree ===

impl Tree {
    /// A tree without anything.
    fn empty(file: Option<&str>) -> Self {
        Self {
            file: file.map(str::to_owned),
            root: Node {
                mark: Mark::At(1, 1),
                content: Content::Map(Vec::new()),
            },
        }
    }

    /// Where the key of this path is, or the nearest above it that is anywhere.
    pub(super) fn place(&self, path: &str) -> Option<Place> {
        let (mut node, mut rest) = (&self.root, path);
        let mut mark = &self.root.mark;
        while let Some((child, after)) = node.child(rest) {
            if child.mark != Mark::Nowhere {
                mark = &child.mark;
            }
            (node, rest) = (&child.node, after);
        }
        self.show(mark)
    }

    /// The path in the file of what has `path` here, where items before it may have been taken out.
    pub(super) fn original(&self, path: &str) -> String {
        let (mut node, mut rest, mut original) = (&self.root, path, String::new());
        while let Some((child, after)) = node.item(rest).or_else(|| node.child(rest)) {
            original = child.name.below(&original);
            (node, rest) = (&child.node, after);
        }
        match rest {
            "" => original,
            rest if original.is_empty() || rest.starts_with('[') => format!("{original}{rest}"),
            rest => format!("{original}.{rest}"),
        }
    }

    /// A problem with its place.
    pub(super) fn problem(
        &self,
        mark: &Mark,
        key: impl Into<String>,
        what: impl Into<String>,
    ) -> Problem {
        Problem {
            place: self.show(mark),
            ..Problem::new(key, what)
        }
    }

    fn show(&self, mark: &Mark) -> Option<Place> {
        match mark {
            Mark::Nowhere => None,
            Mark::At(line, column) => self.file.clone().map(|file| Place::File {
                file,
                line: *line,
                column: *column,
            }),
            Mark::Variable(name) => Some(Place::Variable(name.clone())),
        }
    }

    /// Puts a value at `path`, making the maps on the way; what is no map on the way is replaced.
    pub(super) fn set(&mut self, path: &[String], value: &Node) {
        let mut node = &mut self.root;
        for (level, key) in path.iter().enumerate() {
            if !matches!(node.content, Content::Map(_)) {
                node.content = Content::Map(Vec::new());
            }
            let Content::Map(children) = &mut node.content else {
                return;
            };
            let known = children.iter().position(|child| child.name.is(key));
            let index = known.unwrap_or_else(|| {
                let mark = value.mark.clone();
                children.push(Child::new(
                    key,
                    mark.clone(),
                    Node {
                        mark,
                        ..Node::default()
                    },
                ));
                children.len() - 1
            });
            let child = &mut children[index];
            if level + 1 == path.len() {
                child.mark.clone_from(&value.mark);
            }
            node = &mut child.node;
        }
        node.clone_from(value);
    }
}

// === impl Node ===

impl Node {
    pub(super) fn children(&self) -> &[Child] {
        match &self.content {
            Content::List(children) | Content::Map(children) => children,
            Content::Null
            | Content::Bool(_)
            | Content::Unsigned(_)
            | Content::Signed(_)
            | Content::Float(_)
            | Content::Text(_) => &[],
        }
    }

    pub(super) fn children_mut(&mut self) -> Option<&mut Vec<Child>> {
        match &mut self.content {
            Content::List(children) | Content::Map(children) => Some(children),
            Content::Null
            | Content::Bool(_)
            | Content::Unsigned(_)
            | Content::Signed(_)
            | Content::Float(_)
            | Content::Text(_) => None,
        }
    }

    /// The child that a path begins with, and the rest of the path. A key may hold dots.
    fn child<'p>(&self, path: &'p str) -> Option<(&Child, &'p str)> {
        let below = self.children().iter().filter_map(|child| {
            let rest = match &child.name {
                Name::Key(key) => path.strip_prefix(key.as_str()),
                Name::Number(number) => path.strip_prefix(format!("[{number}]").as_str()),
            }?;
            let ends = rest.is_empty() || rest.starts_with(['.', '[']);
            ends.then(|| (child, rest.strip_prefix('.').unwrap_or(rest)))
        });
        below.min_by_key(|(_, rest)| rest.len())
    }

    /// The item that a path begins with by its position, and the rest of the path.
    fn item<'p>(&self, path: &'p str) -> Option<(&Child, &'p str)> {
        let Content::List(items) = &self.content else {
            return None;
        };
        let (position, rest) = path.strip_prefix('[')?.split_once(']')?;
        let item = items.get(position.parse::<usize>().ok()?)?;
        Some((item, rest.strip_prefix('.').unwrap_or(rest)))
    }

    /// Takes out each key that was there before, and tells where.
    fn take_doubles(&mut self, path: &str, twice: &mut Vec<(Mark, String, String)>) {
        let Some(children) = self.children_mut() else {
            return;
        };
        let mut first = BTreeMap::new();
        children.retain(|child| {
            let Name::Key(key) = &child.name else {
                return true;
            };
            match first.get(key) {
                None => {
                    first.insert(key.clone(), child.mark.clone());
                    true
                }
                Some(Mark::At(line, _)) => {
                    let what = format!("is there twice, first in line {line}; keep one of the two");
                    twice.push((child.mark.clone(), child.name.below(path), what));
                    false
                }
                Some(Mark::Nowhere | Mark::Variable(_)) => false,
            }
        });
        for child in children {
            let path = child.name.below(path);
            child.node.take_doubles(&path, twice);
        }
    }
}

impl From<serde_json::Value> for Content {
    /// Of one value; what holds several is none.
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Self::Unsigned(number),
                (None, Some(number)) => Self::Signed(number),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::Null
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => Self::Null,
        }
    }
}

// === impl Child ===

impl Child {
    pub(super) fn new(key: &str, mark: Mark, node: Node) -> Self {
        Self {
            name: Name::Key(key.to_owned()),
            mark,
            node,
        }
    }
}

// === impl Name ===

impl Name {
    pub(super) fn is(&self, wanted: &str) -> bool {
        match self {
            Self::Key(key) => key == wanted,
            Self::Number(_) => false,
        }
    }

    /// The path of what has this name in what has `path`.
    pub(super) fn below(&self, path: &str) -> String {
        match self {
            Self::Key(key) if path.is_empty() => key.clone(),
            Self::Key(key) => format!("{path}.{key}"),
            Self::Number(number) => format!("{path}[{number}]"),
        }
    }
}

#[cfg(test)]
mod tests;
