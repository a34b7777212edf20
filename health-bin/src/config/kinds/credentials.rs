//! The files that a request is made with, as several kinds have them.

use std::path::Path;
use std::path::PathBuf;

use health_checks::checks::ClientCertificate;
use health_checks::checks::HttpTarget;
use health_checks::checks::Material;

/// What a kind says about itself and whom it trusts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Credentials<'a> {
    pub(super) token_file: Option<&'a PathBuf>,
    pub(super) ca_file: Option<&'a PathBuf>,
    pub(super) cert_file: Option<&'a PathBuf>,
    pub(super) key_file: Option<&'a PathBuf>,
}

// === impl Credentials ===

impl Credentials<'_> {
    /// Whether they say who asks.
    pub(super) const fn name_somebody(&self) -> bool {
        self.token_file.is_some() || self.cert_file.is_some() || self.key_file.is_some()
    }

    /// Puts them over what `target` has. Whoever is named stands in for whoever was.
    pub(super) fn give(&self, target: &mut HttpTarget) -> anyhow::Result<()> {
        if let Some(file) = self.ca_file {
            target.ca = Some(material(file));
        }
        if !self.name_somebody() {
            return Ok(());
        }
        target.bearer_token = self.token_file.map(|file| material(file));
        target.client_certificate = match (self.cert_file, self.key_file) {
            (Some(certificate), Some(key)) => Some(ClientCertificate {
                certificate: material(certificate),
                key: material(key),
            }),
            (None, None) => None,
            (Some(_), None) => anyhow::bail!("certFile: give its keyFile too"),
            (None, Some(_)) => anyhow::bail!("keyFile: give its certFile too"),
        };
        Ok(())
    }
}

fn material(file: &Path) -> Material {
    Material::File(file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_named_stands_in_for_whoever_was_and_trust_is_apart() {
        let file = PathBuf::from("/f");
        let some = Some(&file);
        let old = || {
            let mut target = HttpTarget::new("https://a").unwrap();
            target.bearer_token = Some(Material::inline("old"));
            target
        };
        for (token_file, cert_file, key_file, token, certificate) in [
            (None, None, None, "Some(Material(data))", false),
            (some, None, None, "Some(Material(file \"/f\"))", false),
            (None, some, some, "None", true),
            (some, some, some, "Some(Material(file \"/f\"))", true),
        ] {
            let mut target = old();
            let ca_file = some;
            let credentials = Credentials {
                token_file,
                ca_file,
                cert_file,
                key_file,
            };
            credentials.give(&mut target).unwrap();
            assert_eq!(format!("{:?}", target.bearer_token), token);
            assert_eq!(target.client_certificate.is_some(), certificate);
            assert!(target.ca.is_some());
        }
        for (cert_file, key_file, expected) in [
            (some, None, "certFile: give its keyFile too"),
            (None, some, "keyFile: give its certFile too"),
        ] {
            let credentials = Credentials {
                token_file: None,
                ca_file: None,
                cert_file,
                key_file,
            };
            let error = credentials.give(&mut old()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
