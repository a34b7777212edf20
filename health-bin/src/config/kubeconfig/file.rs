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

/// A map of the file.
#[derive(Clone, Copy)]
struct Fields<'a> {
    node: &'a Node,
    /// The whole file.
    source: &'a str,
}

/// Reads a file. No error repeats what stands in it.
///
/// It is looked at by hand: what serde makes for each of these types from the parser's code is 170 KB,
/// more than a hundredth of the program.
pub(super) fn parse(source: &str) -> anyhow::Result<File> {
    let node = tree::read(source).map_err(|at| wrong(&at, "this is not YAML"))?;
    if node.content == Content::Null {
        return Ok(File::default());
    }
    let file = Fields {
        node: &node,
        source,
    };
    Ok(File {
        folder: PathBuf::new(),
        current_context: file.text("current-context")?,
        clusters: file.named("clusters", "cluster", cluster)?,
        contexts: file.named("contexts", "context", context)?,
        users: file.named("users", "user", user)?,
    })
}

fn context(fields: Fields<'_>) -> anyhow::Result<Context> {
    Ok(Context {
        cluster: fields.text("cluster")?,
        user: fields.text("user")?,
    })
}

fn cluster(fields: Fields<'_>) -> anyhow::Result<Cluster> {
    Ok(Cluster {
        server: fields.text("server")?,
        tls_server_name: fields.text("tls-server-name")?,
        insecure_skip_tls_verify: fields.truth("insecure-skip-tls-verify")?,
        certificate_authority: fields.text("certificate-authority")?,
        certificate_authority_data: fields.text("certificate-authority-data")?,
        proxy_url: fields.text("proxy-url")?,
    })
}

fn user(fields: Fields<'_>) -> anyhow::Result<User> {
    Ok(User {
        token: fields.text("token")?,
        token_file: fields.text("tokenFile")?,
        client_certificate: fields.text("client-certificate")?,
        client_certificate_data: fields.text("client-certificate-data")?,
        client_key: fields.text("client-key")?,
        client_key_data: fields.text("client-key-data")?,
        username: fields.text("username")?,
        impersonated: fields.text("as")?,
        has_exec: fields.value("exec")?.is_some(),
        has_auth_provider: fields.value("auth-provider")?.is_some(),
    })
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The list under `key`, each entry of which has a name and, under `inner`, what is named.
    fn named<T>(
        self,
        key: &str,
        inner: &str,
        read: impl Fn(Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<Vec<Named<T>>> {
        let Some(list) = self.value(key)? else {
            return Ok(Vec::new());
        };
        let Content::List(entries) = &list.content else {
            return Err(wrong(&list.mark, &format!("{key} must be a list")));
        };
        let entries = entries.iter().map(|entry| {
            let fields = self.below(&entry.node);
            let what = fields.value(inner)?.map(|node| self.below(node));
            Ok(Named {
                name: fields.text("name")?,
                what: what.map(&read).transpose()?,
            })
        });
        entries.collect()
    }

    /// Texts may look like numbers or truth, as they may for other clients, and are what is written:
    /// the token `0123` is no other number.
    fn text(self, key: &str) -> anyhow::Result<Option<String>> {
        let Some(value) = self.value(key)? else {
            return Ok(None);
        };
        let text = match &value.content {
            Content::Text(text) => Some(text.as_str()),
            Content::Bool(_) | Content::Unsigned(_) | Content::Signed(_) | Content::Float(_) => {
                as_written(self.source, &value.mark)
            }
            Content::Null | Content::List(_) | Content::Map(_) => None,
        };
        let wrong = || wrong(&value.mark, &format!("{key} must be a text, in quotes"));
        Ok(Some(text.ok_or_else(wrong)?.to_owned()))
    }

    fn truth(self, key: &str) -> anyhow::Result<bool> {
        match self.value(key)? {
            None => Ok(false),
            Some(Node {
                content: Content::Bool(truth),
                ..
            }) => Ok(*truth),
            Some(value) => Err(wrong(&value.mark, &format!("{key} must be true or false"))),
        }
    }

    /// What is under `key`, which is there once.
    fn value(self, key: &str) -> anyhow::Result<Option<&'a Node>> {
        let Content::Map(children) = &self.node.content else {
            return Err(wrong(&self.node.mark, "there must be keys and values here"));
        };
        let mut found = children.iter().filter(|child| child.name.is(key));
        let first = found.next();
        if let Some(second) = found.next() {
            return Err(wrong(&second.mark, &format!("{key} is there twice")));
        }
        let value = first.map(|child| &child.node);
        Ok(value.filter(|value| value.content != Content::Null))
    }

    const fn below(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }
}

/// What is written at a number's or a truth's place; nothing where it is one by a tag before quotes.
fn as_written<'a>(source: &'a str, at: &Mark) -> Option<&'a str> {
    let Mark::At(line, column) = at else {
        return None;
    };
    let [above, before] = [line, column].map(|it| usize::try_from(it.saturating_sub(1)));
    let line = source.lines().nth(above.ok()?)?;
    let (start, _) = line.char_indices().nth(before.ok()?)?;
    let ends = |it: char| it.is_whitespace() || matches!(it, ',' | ']' | '}');
    let written = line[start..].split(ends).next()?;
    let begins = |it: char| it.is_ascii_alphanumeric() || matches!(it, '+' | '-' | '.');
    written.starts_with(begins).then_some(written)
}

fn wrong(at: &Mark, what: &str) -> anyhow::Error {
    match at {
        Mark::At(line, column) => anyhow::anyhow!("line {line}, column {column}: {what}"),
        Mark::Nowhere | Mark::Variable(_) => anyhow::anyhow!("{what}"),
    }
}
