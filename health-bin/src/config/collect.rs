//! From a tree to a configuration and everything that is wrong with it: what cannot be read is told,
//! taken out of the tree, and the rest is read again.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::nearest;
use super::problem::Problem;
use super::reader::Fault;
use super::reader::FaultKind;
use super::reader::Reader;
use super::tree::Child;
use super::tree::Content;
use super::tree::Mark;
use super::tree::Node;
use super::tree::Tree;

/// What was found while a tree was read.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) problems: Vec<Problem>,
    /// The paths about which something was told, so that what follows from it is not told too; and
    /// whether a default stands there now.
    told: BTreeMap<String, bool>,
    /// Whether there was too much to find all of it.
    pub(super) gave_up: bool,
}

/// So often a tree is read again. Each time costs as much as the file is long, and nobody mends more
/// at once.
const PASSES_MAX: usize = 200;

/// The keys below which values may be secrets.
const SECRET: [&str; 2] = [".headers.", ".env."];

/// Reads the tree, and leaves in it what could be read.
pub(super) fn read<C: Default + DeserializeOwned>(tree: &mut Tree, found: &mut Found) -> C {
    for _ in 0..PASSES_MAX {
        match C::deserialize(Reader(&tree.root)) {
            Ok(config) => return config,
            Err(fault) => found.take_out(tree, fault),
        }
    }
    found.gave_up = true;
    let what = "there is more wrong than is told here; mend this first";
    found.problems.push(Problem::new("", what));
    C::default()
}

// === impl Found ===

impl Found {
    /// Tells what is wrong, and takes it out of the tree.
    fn take_out(&mut self, tree: &mut Tree, fault: Fault) {
        let mut steps: Vec<_> = fault.steps.into_iter().rev().collect();
        let path = path_of(&tree.root, &steps);
        match fault.kind {
            FaultKind::Missing(field) => {
                let key = below(&path, field);
                if !self.told.contains_key(&key) {
                    let what = "is missing; it must be given";
                    self.problems.push(Problem::new(key.as_str(), what));
                    self.told.insert(key, false);
                }
                // Something stands in for it, so that what else is wrong beside it is found.
                if let Some(children) = at(&mut tree.root, &steps).children_mut()
                    && !children.iter().any(|child| child.is_stand_in(field))
                {
                    children.push(Child::stand_in(field));
                    return;
                }
            }
            FaultKind::Unknown(known) => {
                let parent = path_of(&tree.root, &steps[..steps.len().saturating_sub(1)]);
                let key = path.strip_prefix(parent.as_str()).unwrap_or(&path);
                let nearest = nearest(key.trim_start_matches('.'), known);
                if let Some(nearest) = nearest {
                    // It was meant.
                    self.told.insert(below(&parent, nearest), true);
                }
                let hint = match nearest {
                    Some(nearest) => format!("did you mean {nearest:?}?"),
                    None => format!("known here: {}", known.join(", ")),
                };
                self.problems
                    .push(Problem::new(&path, format!("unknown key; {hint}")));
                self.told.insert(path, true);
            }
            kind @ (FaultKind::Kind { .. } | FaultKind::Word { .. } | FaultKind::Other(_)) => {
                let node = at(&mut tree.root, &steps);
                if node.mark == Mark::Nowhere {
                    // What stands in for it is no use here: nothing is read of what it is in.
                    steps.pop();
                    self.told.insert(path_of(&tree.root, &steps), true);
                } else {
                    let secret = SECRET.iter().any(|part| path.contains(part));
                    let mark = node.mark.clone();
                    let problem = tree.problem(&mark, path.as_str(), words(kind, secret));
                    self.problems.push(problem);
                    self.told.insert(path, true);
                }
            }
        }
        remove(&mut tree.root, &steps);
    }

    /// Whether a problem may only follow from what was told already.
    pub(super) fn explains(&self, problem: &Problem) -> bool {
        let (key, what) = (problem.key.as_str(), problem.what.as_str());
        self.told.iter().any(|(told, defaulted)| {
            let (parent, leaf) = split(told);
            let speaks_of = || {
                let beside = told.ends_with(leaf) && split(key).0 == parent;
                mentions(what, told) || (beside && mentions(what, leaf))
            };
            key == told || key == parent || is_below(key, told) || (*defaulted && speaks_of())
        })
    }
}

// === impl Child ===

impl Child {
    /// An empty text, which most keys take that must be there. Nobody gave it.
    fn stand_in(field: &str) -> Self {
        let content = Content::Text(String::new());
        let mark = Mark::Nowhere;
        Self::new(field, Mark::Nowhere, Node { mark, content })
    }

    fn is_stand_in(&self, field: &str) -> bool {
        *self == Self::stand_in(field)
    }
}

fn words(kind: FaultKind, secret: bool) -> String {
    match kind {
        FaultKind::Kind { is, shown, wanted } => match shown.filter(|_| !secret) {
            Some(shown) => format!("is {is} {shown}; give {wanted}"),
            None => format!("is {is}; give {wanted}"),
        },
        FaultKind::Word { is, allowed } => match nearest(&is, allowed) {
            Some(nearest) => format!(
                "is {is:?}; give one of: {}; did you mean {nearest:?}?",
                allowed.join(", ")
            ),
            None => format!("is {is:?}; give one of: {}", allowed.join(", ")),
        },
        FaultKind::Other(message) => message,
        FaultKind::Unknown(_) | FaultKind::Missing(_) => String::new(),
    }
}

/// The path of what the steps lead to.
fn path_of(root: &Node, steps: &[usize]) -> String {
    let (mut node, mut path) = (root, String::new());
    for child in steps {
        let Some(child) = node.children().get(*child) else {
            break;
        };
        path = child.name.below(&path);
        node = &child.node;
    }
    path
}

/// What the steps lead to.
fn at<'a>(root: &'a mut Node, steps: &[usize]) -> &'a mut Node {
    let mut node = root;
    for step in steps {
        // A borrow that is not given back in a loop wants two looks.
        if node.children().get(*step).is_none() {
            return node;
        }
        let children = node.children_mut().expect("it has this child");
        node = &mut children[*step].node;
    }
    node
}

/// Takes out what the steps lead to; of the whole nothing stays.
fn remove(root: &mut Node, steps: &[usize]) {
    let Some((last, before)) = steps.split_last() else {
        root.content = Content::Map(Vec::new());
        return;
    };
    if let Some(children) = at(root, before).children_mut()
        && *last < children.len()
    {
        children.remove(*last);
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The path of what something is in, and its own name.
fn split(path: &str) -> (&str, &str) {
    let end = path.rfind(['.', '[']).unwrap_or(0);
    (&path[..end], path[end..].trim_matches(['.', '[', ']']))
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// Whether a text speaks of a key, as a word of its own.
fn mentions(text: &str, key: &str) -> bool {
    let apart = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    text.match_indices(key).any(|(start, _)| {
        apart(text[..start].chars().next_back()) && apart(text[start + key.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests;
