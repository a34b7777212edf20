//! The label by which a Lease names its SyncTarget.

/// A label's value is at most this long.
const LABEL_MAX: usize = 63;

/// The value of the label [`names::SYNC_TARGET`](crate::names::SYNC_TARGET) for this name, and whether it is the name itself.
///
/// A name that is no label value is written as a hash, and in full into the annotation.
#[must_use]
pub fn target_label(name: &str) -> (String, bool) {
    let edge = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let bytes = name.as_bytes();
    let valid = bytes.len() <= LABEL_MAX
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(inner);
    if valid {
        (name.to_owned(), true)
    } else {
        (format!("hash-{:016x}", fnv1a(bytes)), false)
    }
}

/// The name behind a label and an annotation, as [`target_label`] wrote them; an annotation that
/// does not belong to the label is not believed.
#[must_use]
pub(crate) fn labelled_target<'a>(label: &'a str, annotation: Option<&'a str>) -> &'a str {
    let belongs = |name: &&str| target_label(name).0 == label;
    annotation.filter(belongs).unwrap_or(label)
}

/// FNV-1a, which is the same in every version of every program.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_label_is_hashed() {
        assert_eq!(target_label("edge-1.eu"), ("edge-1.eu".to_owned(), true));
        for name in ["", "-a", "a/b", &"x".repeat(64), "ä"] {
            let (label, whole) = target_label(name);
            assert!(!whole && target_label(&label).1, "{name} {label}");
        }
    }

    #[test]
    fn the_name_is_found_again() {
        let long = "x".repeat(64);
        let (hash, _) = target_label(&long);
        for (label, annotation, name) in [
            ("edge-1", None, "edge-1"),
            ("edge-1", Some("edge-2"), "edge-1"),
            ("edge-1", Some(&*long), "edge-1"),
            (&*hash, Some(&*long), &*long),
            (&*hash, Some("edge-2"), &*hash),
            (&*hash, None, &*hash),
        ] {
            assert_eq!(labelled_target(label, annotation), name);
        }
    }

    #[test]
    fn the_hash_is_the_published_one() {
        for (text, hash) in [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c)] {
            assert_eq!(fnv1a(text.as_bytes()), hash);
        }
    }
}
