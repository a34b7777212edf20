//! A kubeconfig: which API server, and who asks it. No program that it names is run.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use health_checks::checks::ClientCertificate;
use health_checks::checks::HttpTarget;
use health_checks::checks::Material;

use self::file::Cluster;
use self::file::File;
use self::file::Named;
use self::file::User;

mod file;

/// One kubeconfig, or several that were read as one. It has no `Debug`, since it holds secrets.
pub(crate) struct Kubeconfig {
    files: Vec<File>,
    /// The files' paths, for errors.
    shown: String,
}

/// A context of a kubeconfig, with the cluster and the user that it names.
pub(crate) struct Chosen<'a> {
    cluster: &'a Cluster,
    /// The folder that its relative paths begin in.
    cluster_folder: &'a Path,
    /// Nobody where the context names none, or one without anything.
    user: Option<(&'a User, &'a Path)>,
    /// The kubeconfig and the names, for errors.
    cluster_shown: String,
    user_shown: String,
}

// === impl Kubeconfig ===

impl Kubeconfig {
    /// Reads the files; of what several have, the first one's counts.
    ///
    /// No error repeats a value, since it may be a secret.
    pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let shown: Vec<_> = paths.iter().map(|path| format!("{path:?}")).collect();
        let files = paths.iter().map(|path| {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read the kubeconfig {path:?}"))?;
            let file = file::parse(&text).with_context(|| format!("the kubeconfig {path:?}"))?;
            let folder = path.parent().unwrap_or(path).to_owned();
            Ok(File { folder, ..file })
        });
        Ok(Self {
            files: files.collect::<anyhow::Result<_>>()?,
            shown: format!("the kubeconfig {}", shown.join(", ")),
        })
    }

    /// The context of that name; without a name, the current one.
    pub(crate) fn context(&self, name: &str) -> anyhow::Result<Chosen<'_>> {
        let shown = &self.shown;
        let currents = self.files.iter().map(|file| &file.current_context);
        let current = currents.filter_map(given).next();
        let name = Some(name).filter(|name| !name.is_empty()).or(current);
        let has = || {
            let names = named(&self.files, |file| &file.contexts).map(|(it, _)| &it.name);
            let names: Vec<_> = names.filter_map(given).collect();
            match names.is_empty() {
                true => "it has none".to_owned(),
                false => format!("it has {}", names.join(", ")),
            }
        };
        let name = name.with_context(|| {
            format!(
                "{shown} has no current-context; set context to one that it has: {}",
                has()
            )
        })?;
        let mut contexts = named(&self.files, |file| &file.contexts);
        let context = contexts.find(|(it, _)| it.name.as_deref() == Some(name));
        let context = context.and_then(|(it, _)| it.what.as_ref());
        let context =
            context.with_context(|| format!("{shown} has no context {name:?}; {}", has()))?;

        let cluster_name = given(&context.cluster)
            .with_context(|| format!("{shown}: its context {name:?} names no cluster"))?;
        let mut clusters = named(&self.files, |file| &file.clusters);
        let cluster = clusters.find(|(it, _)| it.name.as_deref() == Some(cluster_name));
        let cluster = cluster.and_then(|(it, folder)| Some((it.what.as_ref()?, folder)));
        let (cluster, cluster_folder) = cluster.with_context(|| {
            format!("{shown} has no cluster {cluster_name:?}, which its context {name:?} names")
        })?;

        let user_name = given(&context.user);
        let user = user_name.map(|user_name| {
            let mut users = named(&self.files, |file| &file.users);
            let user = users.find(|(it, _)| it.name.as_deref() == Some(user_name));
            let user = user.map(|(it, folder)| it.what.as_ref().map(|user| (user, folder)));
            user.with_context(|| {
                format!("{shown} has no user {user_name:?}, which its context {name:?} names")
            })
        });
        Ok(Chosen {
            cluster,
            cluster_folder,
            user: user.transpose()?.flatten(),
            cluster_shown: format!("{shown}: its cluster {cluster_name:?}"),
            user_shown: format!("{shown}: its user {:?}", user_name.unwrap_or_default()),
        })
    }
}

// === impl Chosen ===

impl Chosen<'_> {
    /// The cluster's server, and whom it is trusted as.
    pub(crate) fn target(&self) -> anyhow::Result<HttpTarget> {
        let (cluster, shown) = (self.cluster, &self.cluster_shown);
        let server = given(&cluster.server).with_context(|| format!("{shown} has no server"))?;
        anyhow::ensure!(
            given(&cluster.proxy_url).is_none(),
            "{shown} has a proxy-url, but checks connect directly; give a server without one"
        );
        let mut target =
            HttpTarget::new(server).with_context(|| format!("{shown} has a wrong server"))?;
        target.server_name = given(&cluster.tls_server_name).map(str::to_owned);
        target.insecure = cluster.insecure_skip_tls_verify;
        let (data, path) = (
            &cluster.certificate_authority_data,
            &cluster.certificate_authority,
        );
        let ca = material(data, path, self.cluster_folder);
        target.ca = ca.with_context(|| format!("{shown}: certificate-authority-data"))?;
        Ok(target)
    }

    /// Adds who asks.
    pub(crate) fn identify(&self, target: &mut HttpTarget) -> anyhow::Result<()> {
        let Some((user, folder)) = self.user else {
            return Ok(());
        };
        let shown = &self.user_shown;
        for (is_there, what) in [
            (user.has_exec, "gets its credentials from a program (exec)"),
            (
                user.has_auth_provider,
                "gets its credentials from an auth-provider",
            ),
            (
                given(&user.username).is_some(),
                "has a username and a password",
            ),
            (given(&user.impersonated).is_some(), "acts as another (as)"),
        ] {
            anyhow::ensure!(
                !is_there,
                "{shown} {what}, which is not supported; give tokenFile, or use a service account"
            );
        }
        let file = given(&user.token_file).map(|path| Material::File(folder.join(path)));
        // Of both the file counts, as it does for other clients.
        target.bearer_token = file.or_else(|| given(&user.token).map(Material::inline));
        let (data, path) = (&user.client_certificate_data, &user.client_certificate);
        let certificate = material(data, path, folder)
            .with_context(|| format!("{shown}: client-certificate-data"))?;
        let key = material(&user.client_key_data, &user.client_key, folder)
            .with_context(|| format!("{shown}: client-key-data"))?;
        target.client_certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
            (None, None) => None,
            (Some(_), None) => anyhow::bail!("{shown} has a client-certificate but no client-key"),
            (None, Some(_)) => anyhow::bail!("{shown} has a client-key but no client-certificate"),
        };
        Ok(())
    }
}

/// What is there and not empty: an empty text is how some programs write nothing.
fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// The entries of one kind of all files, each with its file's folder.
fn named<'a, T: 'a>(
    files: &'a [File],
    of: impl Fn(&File) -> &[Named<T>],
) -> impl Iterator<Item = (&'a Named<T>, &'a Path)> {
    files.iter().flat_map(move |file| {
        let entries = of(file).iter();
        entries.map(|entry| (entry, file.folder.as_path()))
    })
}

/// The data goes before the path, as it does for other clients.
fn material(
    data: &Option<String>,
    path: &Option<String>,
    folder: &Path,
) -> anyhow::Result<Option<Material>> {
    let Some(data) = given(data) else {
        return Ok(given(path).map(|path| Material::File(folder.join(path))));
    };
    let data: Vec<u8> = data
        .bytes()
        .filter(|it| !it.is_ascii_whitespace())
        .collect();
    let text = STANDARD.decode(data).ok();
    let text = text.and_then(|text| String::from_utf8(text).ok());
    let text = text.context("it is not the base64 of a text")?;
    Ok(Some(Material::inline(text)))
}

/// Reads a kubeconfig and finds out whom it asks, and as whom.
#[cfg(fuzzing)]
pub fn fuzz(text: &str) {
    let Ok(file) = file::parse(text) else {
        return;
    };
    let kubeconfig = Kubeconfig {
        files: vec![file],
        shown: "the kubeconfig".to_owned(),
    };
    let target = kubeconfig
        .context("")
        .and_then(|chosen| chosen.identify(&mut chosen.target()?));
    if let Err(error) = target {
        assert!(!format!("{error:#}").is_empty());
    }
}

#[cfg(test)]
mod tests;
