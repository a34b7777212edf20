//! Text from elsewhere, made fit for a line of a terminal.
//!
//! A terminal obeys control characters, and some characters turn or hide what stands around them.
//! They are shown as what they are (`\u{1b}`), which is also how someone learns that they were sent.

use unicode_width::UnicodeWidthChar;
use unicode_width::UnicodeWidthStr;

/// The text with everything that a terminal would obey written out.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if is_obeyed(character) {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// JSON with the same written out as JSON does, so that it means the same. Line breaks stay.
pub(in crate::status) fn plain_json(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for character in json.chars() {
        if is_obeyed(character) && character != '\n' {
            // In JSON such a character can only stand in a string.
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                plain.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            plain.push(character);
        }
    }
    plain
}

/// At most so many characters from the beginning, and whether those are all.
pub(in crate::status) fn begin(text: &str, max: usize) -> (&str, bool) {
    match text.char_indices().nth(max) {
        Some((end, _)) => (&text[..end], false),
        None => (text, true),
    }
}

/// The text as far as it fits into so many columns, with `cut` for what does not.
pub(in crate::status) fn fit(text: &str, columns: usize, cut: char) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(cut.width().unwrap_or(1));
    let mut fitting: String = text
        .chars()
        .take_while(|character| {
            let width = character.width().unwrap_or(0);
            let fits = width <= left;
            left = left.saturating_sub(width);
            fits
        })
        .collect();
    if columns > 0 {
        fitting.push(cut);
    }
    fitting
}

/// Whether a terminal does something at this character other than to show it: controls (C0, DEL,
/// C1), line ends, and what turns the direction of text or has no width of its own.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        for (text, shown) in [
            ("", ""),
            ("queue depth 72 > 60", "queue depth 72 > 60"),
            ("äöü 日本 \u{1f600}", "äöü 日本 \u{1f600}"),
            ("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("a\nb\tc\rd\u{7f}\0", "a\\nb\\tc\\rd\\u{7f}\\u{0}"),
            (
                "a\u{202e}b\u{2066}c\u{200b}d",
                "a\\u{202e}b\\u{2066}c\\u{200b}d",
            ),
            ("\u{2028}\u{feff}\u{e0041}", "\\u{2028}\\u{feff}\\u{e0041}"),
        ] {
            assert_eq!(plain(text), shown);
            assert!(!plain(text).chars().any(is_obeyed));
        }
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let value = serde_json::json!({
            "a\u{9b}": "x\u{1b}[2J\u{9b}31m\u{202e}\u{7f}\n\u{e0041}\u{1f600}",
            "b": [1, null],
        });
        let plain = plain_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(
            !plain.chars().any(|one| one != '\n' && is_obeyed(one)),
            "{plain}"
        );
        let back: serde_json::Value = serde_json::from_str(&plain).unwrap();
        assert_eq!(back, value);
    }

    #[test]
    fn a_text_fits_by_columns_and_says_where_it_was_cut() {
        for (text, columns, fitting) in [
            ("", 0, ""),
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("abcd", 1, "…"),
            ("abcd", 0, ""),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("e\u{301}e\u{301}", 2, "e\u{301}e\u{301}"),
        ] {
            assert_eq!(fit(text, columns, '…'), fitting, "{text} {columns}");
        }
        assert_eq!(begin("äöü", 2), ("äö", false));
        assert_eq!(begin("äöü", 3), ("äöü", true));
    }
}
