//! JSON as Go's encoder writes it.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::value::RawValue;

/// Compact, with `<`, `>`, `&`, U+2028 and U+2029 escaped.
struct Go;

impl Formatter for Go {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, from) = rest.split_at(at);
            let mut chars = from.chars();
            let escaped = chars.next().map_or(0, u32::from);
            writer.write_all(plain.as_bytes())?;
            write!(writer, "\\u{escaped:04x}")?;
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

/// The text of a value, as Go would write it.
pub(super) fn text<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::with_capacity(128);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Go))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// A value as a payload.
///
/// # Errors
///
/// If the value is no JSON, as a map whose keys are no strings.
pub fn raw<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, serde_json::Error> {
    RawValue::from_string(text(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        for (string, json) in [
            (
                "<root:org> & \"x\"",
                r#""\u003croot:org\u003e \u0026 \"x\"""#,
            ),
            ("a\u{2028}b\u{2029}", r#""a\u2028b\u2029""#),
            ("tab\tüñ€😀", "\"tab\\tüñ€😀\""),
            ("", "\"\""),
        ] {
            assert_eq!(text(string).unwrap(), json);
            assert_eq!(serde_json::from_str::<String>(json).unwrap(), string);
        }
    }
}
