//! What of a kubeconfig is looked at, and how it is read.

use std::path::PathBuf;

use crate::config::tree;
use crate::config::tree::Content;
use crate::config::tree::Mark;
use crate::config::tree::Node;

/// One file. What it may also hold is not looked at.
#[derive(Default)]
pub(super) struct File {
    /// Where it lies: its relative paths begin there.
    pub(super) folder: PathBuf,
    pub(super) current_context: Option<String>,
    pub(super) clusters: Vec<Named<Cluster>>,
    pub(super) contexts: Vec<Named<Context>>,
    pub(super) users: Vec<Named<User>>,
}

/// An entry of one of the lists.
pub(super) struct Named<T> {
    pub(super) name: Option<String>,
    pub(super) what: Option<T>,
}

pub(super) struct Context {
    pub(super) cluster: Option<String>,
    pub(super) user: Option<String>,
}

pub(super) struct Cluster {
    pub(super) server: Option<String>,
    pub(super) tls_server_name: Option<String>,
    pub(super) insecure_skip_tls_verify: bool,
    pub(super) certificate_authority: Option<String>,
    pub(super) certificate_authority_data: Option<String>,
    pub(super) proxy_url: Option<String>,
}

pub(super) struct User {
    pub(super) token: Option<String>,
    pub(super) token_file: Option<String>,
    pub(super) client_certificate: Option<String>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key: Option<String>,
    pub(super) client_key_data: Option<String>,
    pub(super) username: Option<String>,
    pub(super) impersonated: Option<String>,
    pub(super) has_exec: bool,
    pub(super) has_auth_provider: bool,
}

/// Reads a file. No error repeats what stands in it.
///
/// It is looked at by hand: what serde makes for each of these types from the parser's code is 170 KB,
/// more than a hundredth of the program.
pub(super) fn parse(text: &str) -> anyhow::Result<File> {
    let file = tree::read(text).map_err(|at| wrong(&at, "this is not YAML"))?;
    if file.content == Content::Null {
        return Ok(File::default());
    }
    Ok(File {
        folder: PathBuf::new(),
        current_context: text_of(&file, "current-context")?,
        clusters: named(&file, "clusters", "cluster", cluster)?,
        contexts: named(&file, "contexts", "context", context)?,
        users: named(&file, "users", "user", user)?,
    })
}

fn context(node: &Node) -> anyhow::Result<Context> {
    Ok(Context {
        cluster: text_of(node, "cluster")?,
        user: text_of(node, "user")?,
    })
}

fn cluster(node: &Node) -> anyhow::Result<Cluster> {
    Ok(Cluster {
        server: text_of(node, "server")?,
        tls_server_name: text_of(node, "tls-server-name")?,
        insecure_skip_tls_verify: truth_of(node, "insecure-skip-tls-verify")?,
        certificate_authority: text_of(node, "certificate-authority")?,
        certificate_authority_data: text_of(node, "certificate-authority-data")?,
        proxy_url: text_of(node, "proxy-url")?,
    })
}

fn user(node: &Node) -> anyhow::Result<User> {
    Ok(User {
        token: text_of(node, "token")?,
        token_file: text_of(node, "tokenFile")?,
        client_certificate: text_of(node, "client-certificate")?,
        client_certificate_data: text_of(node, "client-certificate-data")?,
        client_key: text_of(node, "client-key")?,
        client_key_data: text_of(node, "client-key-data")?,
        username: text_of(node, "username")?,
        impersonated: text_of(node, "as")?,
        has_exec: value_of(node, "exec")?.is_some(),
        has_auth_provider: value_of(node, "auth-provider")?.is_some(),
    })
}

/// The list under `key`, each entry of which has a name and, under `inner`, what is named.
fn named<T>(
    node: &Node,
    key: &str,
    inner: &str,
    read: impl Fn(&Node) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<Named<T>>> {
    let Some(list) = value_of(node, key)? else {
        return Ok(Vec::new());
    };
    let Content::List(entries) = &list.content else {
        return Err(wrong(&list.mark, &format!("{key} must be a list")));
    };
    let entries = entries.iter().map(|entry| {
        let what = value_of(&entry.node, inner)?;
        Ok(Named {
            name: text_of(&entry.node, "name")?,
            what: what.map(&read).transpose()?,
        })
    });
    entries.collect()
}

/// Texts may look like numbers or truth, as they may for other clients.
fn text_of(node: &Node, key: &str) -> anyhow::Result<Option<String>> {
    let Some(value) = value_of(node, key)? else {
        return Ok(None);
    };
    let text = match &value.content {
        Content::Text(text) => text.clone(),
        Content::Bool(truth) => truth.to_string(),
        Content::Unsigned(number) => number.to_string(),
        Content::Signed(number) => number.to_string(),
        Content::Float(number) => number.to_string(),
        Content::Null | Content::List(_) | Content::Map(_) => {
            return Err(wrong(&value.mark, &format!("{key} must be a text")));
        }
    };
    Ok(Some(text))
}

fn truth_of(node: &Node, key: &str) -> anyhow::Result<bool> {
    match value_of(node, key)? {
        None => Ok(false),
        Some(Node {
            content: Content::Bool(truth),
            ..
        }) => Ok(*truth),
        Some(value) => Err(wrong(&value.mark, &format!("{key} must be true or false"))),
    }
}

/// What is under `key`, which is there once.
fn value_of<'a>(node: &'a Node, key: &str) -> anyhow::Result<Option<&'a Node>> {
    let Content::Map(children) = &node.content else {
        return Err(wrong(&node.mark, "there must be keys and values here"));
    };
    let mut found = children.iter().filter(|child| child.name.is(key));
    let first = found.next();
    if let Some(second) = found.next() {
        return Err(wrong(&second.mark, &format!("{key} is there twice")));
    }
    let value = first.map(|child| &child.node);
    Ok(value.filter(|value| value.content != Content::Null))
}

fn wrong(at: &Mark, what: &str) -> anyhow::Error {
    match at {
        Mark::At(line, column) => anyhow::anyhow!("line {line}, column {column}: {what}"),
        Mark::Nowhere | Mark::Variable(_) => anyhow::anyhow!("{what}"),
    }
}
