//! How deep JSON is nested, without walking down into it.

use memchr::memchr2_iter;

/// Whether `json` opens more than `max` objects and lists inside each other.
///
/// It looks at each byte once and keeps one number, so that no nesting costs a stack. Of a text that
/// is no JSON it says something too; the parser finds out the rest.
#[must_use]
pub(crate) fn is_deeper(json: &str, max: usize) -> bool {
    // Nearly everything opens less altogether.
    if memchr2_iter(b'{', b'[', json.as_bytes()).nth(max).is_none() {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_counts_and_neither_width_nor_strings_do() {
        for (json, depth) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[{}],"b":[]}"#, 3),
            (r#"["[[[[", "\"[[[", "\\"]"#, 1),
            (r#"{"a":{},"b":{},"c":[[]]}"#, 3),
            ("]]]]", 0),
        ] {
            assert!(!is_deeper(json, depth), "{json}");
            assert_eq!(depth > 0, depth > 0 && is_deeper(json, depth - 1), "{json}");
        }
        let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
        assert!(is_deeper(&deep, 128));
        assert!(!is_deeper(&"[],".repeat(100_000), 1));
    }
}
