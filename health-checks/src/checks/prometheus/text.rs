//! The samples in Prometheus text. Whatever the bytes are, this neither fails nor panics: a line
//! that cannot be read is left out.

/// One line's sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample<'a> {
    /// The name, without labels.
    pub(super) name: &'a [u8],
    /// The name with its labels, as they are written.
    pub(super) series: &'a [u8],
    /// Not a number where it was written so.
    pub(super) value: f64,
}

/// The samples whose name `wanted` takes. A last line without its end is left out, since it may
/// have been cut within a number.
pub(super) fn samples<'a>(
    text: &'a [u8],
    wanted: impl Fn(&[u8]) -> bool,
) -> impl Iterator<Item = Sample<'a>> {
    text.split_inclusive(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_suffix(b"\n"))
        .filter_map(move |line| sample(line.trim_ascii(), &wanted))
}

fn sample<'a>(line: &'a [u8], wanted: &impl Fn(&[u8]) -> bool) -> Option<Sample<'a>> {
    let ends = |byte: &u8| matches!(byte, b'{' | b' ' | b'\t');
    let name_end = line.iter().position(ends)?;
    let (name, rest) = line.split_at(name_end);
    if name.is_empty() || name[0] == b'#' || !wanted(name) {
        return None;
    }
    let blanks = rest.len() - rest.trim_ascii_start().len();
    let series_end = match rest.get(blanks) {
        Some(b'{') => name_end + blanks + labels_end(&rest[blanks..])?,
        _ => name_end,
    };
    let (series, rest) = line.split_at(series_end);
    let value = rest
        .trim_ascii_start()
        .split(u8::is_ascii_whitespace)
        .next()?;
    let value = std::str::from_utf8(value).ok()?.parse().ok()?;
    Some(Sample {
        name,
        series,
        value,
    })
}

/// Past the brace that closes the labels; one inside quotes closes nothing.
fn labels_end(text: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_samples() {
        check("depth 3\n", &[("depth", 3.0)]);
        check(
            "depth{a=\"b\"} 3.5e2 1700000000\n",
            &[("depth{a=\"b\"}", 350.0)],
        );
        check("  depth\t7\r\n", &[("depth", 7.0)]);
        check(
            "depth{a=\"}\\\"} 9\",b=\"\\\\\"} 4\n",
            &[("depth{a=\"}\\\"} 9\",b=\"\\\\\"}", 4.0)],
        );
        check(
            "depth +Inf\ndepth -Inf\n",
            &[("depth", f64::INFINITY), ("depth", f64::NEG_INFINITY)],
        );
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        for text in [
            "",
            "\n\n",
            "depth\n",
            "depth \n",
            "depth three\n",
            "depth{a=\"b\" 3\n",
            "depth{a=\"b} 3\n",
            "{depth} 3\n",
            "# TYPE depth gauge\n",
            "depths 3\n",
            "depth 3",
            "depth{a=\"\\",
        ] {
            check(text, &[]);
        }
        let bytes = b"depth \xff\xfe\n\xff\xff 3\ndepth{a=\"\xff\"} 3\n";
        let found: Vec<_> = samples(bytes, |name| name == b"depth").collect();
        assert_eq!(found.len(), 1, "a label that is no text is still a label");
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, f64)]) {
        let found: Vec<_> = samples(text.as_bytes(), |name| name == b"depth")
            .map(|sample| (std::str::from_utf8(sample.series).unwrap(), sample.value))
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }
}
