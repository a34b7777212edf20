//! The performance data of a plugin: `'label'=value[UOM];[warn];[crit];[min];[max]`, separated by
//! spaces.

use std::iter::Peekable;
use std::str::Chars;

/// More are not kept: each travels with every report.
const METRICS_MAX: usize = 64;

/// Longer labels are cut; a path fits.
const LABEL_MAX: usize = 128;

/// One number that the data name. `Cursor` reads them one after the other.
pub(super) type Metric = (String, f64);

/// The numbers in `text`, in base units. What is malformed, undefined (`U`) or no finite number is
/// left out alone, and what stands after it still counts.
pub(super) fn parse(text: &str) -> Vec<Metric> {
    let mut chars = text.chars().peekable();
    let mut metrics = Vec::new();
    while metrics.len() < METRICS_MAX && skip_spaces(&mut chars) {
        let label = if chars.next_if_eq(&'\'').is_some() {
            quoted(&mut chars)
        } else {
            bare(&mut chars)
        };
        let is_named = chars.next_if_eq(&'=').is_some();
        let data = word(&mut chars);
        let Some(label) = label.filter(|label| is_named && !label.is_empty()) else {
            continue;
        };
        let measured = data.split(';').next().and_then(value);
        metrics.extend(measured.map(|value| (shown(&label), value)));
    }
    metrics
}

/// False at the end.
fn skip_spaces(chars: &mut Peekable<Chars<'_>>) -> bool {
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
    chars.peek().is_some()
}

/// Up to the closing quote; a doubled one stands for itself. Nothing if it is never closed.
fn quoted(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut label = String::new();
    loop {
        match chars.next()? {
            '\'' if chars.next_if_eq(&'\'').is_none() => return Some(label),
            c => label.push(c),
        }
    }
}

fn bare(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut label = String::new();
    while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_whitespace()) {
        label.push(c);
    }
    Some(label)
}

fn word(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
        word.push(c);
    }
    word
}

/// A number and its unit, in base units.
fn value(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at(number_len(text));
    let number: f64 = number.parse().ok()?;
    let value = match unit {
        "ms" => number / 1e3,
        "us" | "µs" | "μs" => number / 1e6,
        "ns" => number / 1e9,
        "KB" | "kB" | "KiB" => number * 1024.0,
        "MB" | "MiB" => number * 1024.0_f64.powi(2),
        "GB" | "GiB" => number * 1024.0_f64.powi(3),
        "TB" | "TiB" => number * 1024.0_f64.powi(4),
        "PB" | "PiB" => number * 1024.0_f64.powi(5),
        _ => number,
    };
    value.is_finite().then_some(value)
}

/// How many bytes of `text` are a number in decimal digits.
fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_sign = |at: usize| matches!(bytes.get(at), Some(b'+' | b'-'));
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = usize::from(is_sign(0));
    while is_digit(end) || bytes.get(end) == Some(&b'.') {
        end += 1;
    }
    // `1e3` has an exponent, `1EB` a unit.
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let mut exponent = end + 1 + usize::from(is_sign(end + 1));
        if is_digit(exponent) {
            while is_digit(exponent) {
                exponent += 1;
            }
            end = exponent;
        }
    }
    end
}

/// A label as it may be shown anywhere.
fn shown(label: &str) -> String {
    let mut shown = super::output::readable(label);
    shown.truncate(shown.floor_char_boundary(LABEL_MAX));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_forms_are_read() {
        for (text, expected) in [
            ("", vec![]),
            ("load1=0.010;5.000;10.000;0;", vec![("load1", 0.01)]),
            (
                "time=0.000120s;;;0.000000;10.000000 size=512B;;;0",
                vec![("time", 0.00012), ("size", 512.0)],
            ),
            (
                "/=2643MB;5948;5958;0;5968",
                vec![("/", 2643.0 * 1_048_576.0)],
            ),
            (
                "'C:\\ used %'=43%;80;90 'it''s'=1",
                vec![("C:\\ used %", 43.0), ("it's", 1.0)],
            ),
            (
                "rta=12.5ms;100;500;0; pl=0%;20;60;0;100",
                vec![("rta", 0.0125), ("pl", 0.0)],
            ),
            (
                "in=1234c out=-5 a=+7",
                vec![("in", 1234.0), ("out", -5.0), ("a", 7.0)],
            ),
            (
                "a=1;;;\tb=2\nc=3  ",
                vec![("a", 1.0), ("b", 2.0), ("c", 3.0)],
            ),
            (
                "a=1e3 b=2.5E-1s c=.5 d=5.",
                vec![("a", 1e3), ("b", 0.25), ("c", 0.5), ("d", 5.0)],
            ),
            (
                "a=1KB b=1GB c=1TB d=1PB",
                vec![
                    ("a", 1024.0),
                    ("b", 1_073_741_824.0),
                    ("c", 1_099_511_627_776.0),
                    ("d", 1_125_899_906_842_624.0),
                ],
            ),
            (
                "a=3us b=3µs c=4ns",
                vec![("a", 3e-6), ("b", 3e-6), ("c", 4e-9)],
            ),
            (
                "temp=21.5C rate=3Hz big=1EB",
                vec![("temp", 21.5), ("rate", 3.0), ("big", 1.0)],
            ),
        ] {
            let expected: Vec<Metric> = expected
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_malformed_costs_only_itself() {
        for bad in [
            "a=U",
            "a=",
            "a",
            "=",
            "=5",
            "a=;1;2",
            "a=x",
            "a=--1",
            "a=1.2.3",
            "a=inf",
            "a=NaN",
            "a=infinity",
            "a=1e999",
            "a=1,5.2.",
            "a=;;;;;;;",
            "''=5",
            "a==5",
            "'a'5",
            "'a' =5",
            "a=0x1F;".trim_end_matches("x1F;"),
        ] {
            let found = parse(&format!("{bad} ok=1"));
            let ok = found.iter().any(|metric| *metric == ("ok".to_owned(), 1.0));
            assert!(ok, "{bad:?} {found:?}");
        }
        assert_eq!(parse("a=1 'never closed=2 b=3"), [("a".to_owned(), 1.0)]);
        assert_eq!(parse("a=1 '"), [("a".to_owned(), 1.0)]);
    }

    #[test]
    fn hostile_text_is_bounded() {
        let many: String = (0..10_000).map(|n| format!("m{n}=1 ")).collect();
        assert_eq!(parse(&many).len(), METRICS_MAX);
        let long = format!("{}=1", "ä".repeat(50_000));
        let [(label, _)] = &parse(&long)[..] else {
            panic!("one metric");
        };
        assert!(label.len() <= LABEL_MAX);
        assert_eq!(
            parse("a\u{1b}[2J\u{7f}\0=1")[0].0,
            "a\u{fffd}[2J\u{fffd}\u{fffd}"
        );
        for text in ["'".repeat(65_536), "=".repeat(65_536), "'=".repeat(32_768)] {
            parse(&text);
        }
    }

    /// Every text of a small alphabet up to a length is read without a panic, and gives finite
    /// numbers with names only.
    #[test]
    fn every_short_text_is_read() {
        const ALPHABET: [&str; 8] = ["'", "=", " ", ";", "1", "e", "-", "ä"];
        let mut texts = vec![String::new()];
        for _ in 0..6 {
            texts = texts
                .iter()
                .flat_map(|text| ALPHABET.map(|c| format!("{text}{c}")))
                .collect();
            for text in &texts {
                for (label, value) in parse(text) {
                    assert!(!label.is_empty() && value.is_finite(), "{text:?}");
                }
            }
        }
    }
}
