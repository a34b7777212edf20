//! A token, a certificate or a key, wherever it is.

use std::fmt;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use secrecy::SecretString;

/// A token, a certificate or a key: in a file, or given as it is.
///
/// Its `Debug` and `Display` show where it is, never what it is.
#[derive(Clone)]
#[non_exhaustive]
pub enum Material {
    /// It is in this file, which may be replaced at any time. What was last good goes on while
    /// nothing good can be read.
    File(PathBuf),
    /// It is this text, for good.
    Inline(SecretString),
}

/// A bundle of all the authorities of a system is a quarter of it; what is longer is another file.
const SIZE_MAX: u64 = 1024 * 1024;

// === impl Material ===

impl Material {
    /// This text, for good.
    #[must_use]
    pub fn inline(text: impl Into<String>) -> Self {
        Self::Inline(SecretString::from(text.into()))
    }

    /// As it is now.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let path = match self {
            Self::File(path) => path,
            Self::Inline(text) => return Ok(text.expose_secret().as_bytes().to_vec()),
        };
        let mut bytes = Vec::new();
        // A file may grow while it is read, and some never end.
        File::open(path)?
            .take(SIZE_MAX + 1)
            .read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= SIZE_MAX) {
            Ok(bytes)
        } else {
            Err(io::Error::other("it is larger than 1 MiB"))
        }
    }
}

impl From<PathBuf> for Material {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Path> for Material {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl fmt::Display for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {path:?}"),
            Self::Inline(_) => f.write_str("data"),
        }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inline_is_never_shown() {
        let inline = Material::inline("hunter2");
        assert_eq!(format!("{inline} {inline:?}"), "data Material(data)");
        assert_eq!(inline.read().unwrap(), b"hunter2");
        let file = Material::from(Path::new("/a/b"));
        assert_eq!(file.to_string(), "file \"/a/b\"");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_never_ends_is_refused() {
        let error = Material::from(Path::new("/dev/zero")).read().unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 1 MiB");
    }
}
