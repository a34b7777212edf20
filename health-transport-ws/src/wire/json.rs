//! JSON as Go's encoder writes it.

use std::io;

use memchr::memchr;
use memchr::memchr3;
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

/// The text of a value, as Go would write it; `len` is about how long it is.
pub(super) fn text<T: Serialize + ?Sized>(
    value: &T,
    len: usize,
) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::with_capacity(len);
    serde_json::to_writer(&mut bytes, value)?;
    let plain = String::from_utf8(bytes).map_err(serde::ser::Error::custom)?;
    if is_plain(&plain) {
        return Ok(plain);
    }
    escaped(value)
}

/// Whether Go escapes nothing in it that others do not. Nearly all that is sent is so, and to find
/// that out costs less than to write it with care.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    // U+2028 and U+2029 begin with 0xe2.
    memchr3(b'<', b'>', b'&', bytes).is_none() && memchr(0xe2, bytes).is_none()
}

fn escaped<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
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
    let plain = serde_json::value::to_raw_value(value)?;
    if is_plain(plain.get()) {
        return Ok(plain);
    }
    RawValue::from_string(escaped(value)?)
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
            assert_eq!(text(string, 0).unwrap(), json);
            assert_eq!(raw(string).unwrap().get(), json);
            assert_eq!(escaped(string).unwrap(), json);
            assert_eq!(serde_json::from_str::<String>(json).unwrap(), string);
        }
    }
}
