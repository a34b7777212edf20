use super::*;

const COLUMNS: [Column; 4] = [
    Column::name("NAME"),
    Column::state("STATUS"),
    Column::moving("AGE"),
    Column::moving("MESSAGE"),
];

#[test]
fn columns_are_aligned_by_what_is_seen_and_lines_end_with_their_last_word() {
    let table = table(&[
        ["api", "Healthy", "1s", "200 OK"],
        ["日本", "Unhealthy", "3m4s", ""],
        ["é\u{301}", "", "", ""],
    ]);
    let expected = "\
NAME   STATUS      AGE    MESSAGE
api    Healthy     1s     200 OK
日本   Unhealthy   3m4s
é\u{301}
";
    assert_eq!(render(&[table], Look::default()), expected);
}

#[test]
fn a_table_without_rows_says_so_and_tables_stand_apart() {
    let text = render(
        &[table::<&str>(&[]), table(&[["a", "b", "c", "d"]])],
        Look::default(),
    );
    assert_eq!(
        text,
        "Nothing here.\n\nNAME   STATUS   AGE   MESSAGE\na      b        c     d\n"
    );
    assert_eq!(render(&[], Look::default()), "");
}

#[test]
fn hostile_text_makes_no_line_and_reaches_no_terminal() {
    let attack = "\u{1b}[2J\u{1b}]0;owned\u{7}\nNAME   Healthy\r\u{9b}31m\u{202e}";
    let table = table(&[[attack, attack, attack, attack], ["a", "b", "c", "d"]]);
    for colour in [false, true] {
        let look = Look {
            colour,
            ..Look::default()
        };
        let text = render(std::slice::from_ref(&table), look);
        assert_eq!(text.lines().count(), 3, "{text}");
        let controls = text.chars().filter(|one| one.is_control() && *one != '\n');
        assert_eq!(controls.count(), 0, "{text:?}");
        assert!(!text.contains('\u{202e}'), "{text:?}");
    }
}

#[test]
fn one_long_text_does_not_make_all_lines_long() {
    let long = "x".repeat(100_000);
    let table = table(&[[&long, "Healthy", "1s", &long], ["a", "b", "c", "d"]]);
    let text = render(&[table], Look::default());
    let lines: Vec<_> = text.lines().map(|line| line.chars().count()).collect();
    assert!(lines.iter().all(|line| *line < 2_400), "{lines:?}");
    assert_eq!(lines[2], 256 + 3 + 7 + 3 + 3 + 3 + 1);
    assert!(text.contains("x…"), "it says that something was cut");
}

#[test]
fn a_line_ends_where_the_terminal_does() {
    let table = table(&[["name", "Unhealthy", "3m4s", "a long message 日本語"]]);
    for width in 0..60 {
        for colour in [false, true] {
            let look = Look {
                colour,
                width: Some(width),
            };
            for line in table.lines(&table.widths(&Widths::default()), look) {
                let seen = without_colour(&line);
                assert!(seen.width() <= width, "{width}: {seen:?}");
            }
        }
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let mut table = table(&[["a", "Healthy", "1s", ""], ["b", "Unhealthy", "2s", "down"]]);
    table.rows[0].cells[1].tone = Tone::Good;
    table.rows[1].cells[1].tone = Tone::Bad;
    let colour = Look {
        colour: true,
        width: None,
    };
    let coloured = render(std::slice::from_ref(&table), colour);
    assert!(
        coloured.contains("\u{1b}[32mHealthy\u{1b}[0m  "),
        "{coloured:?}"
    );
    assert!(
        coloured.contains("\u{1b}[31mUnhealthy\u{1b}[0m   2s"),
        "{coloured:?}"
    );
    assert_eq!(without_colour(&coloured), render(&[table], Look::default()));
}

#[test]
fn widths_never_shrink_while_one_watches() {
    let wide = table(&[["a-long-name", "Healthy", "1s", ""]]);
    let narrow = table(&[["a", "b", "c", "d"]]);
    let had = wide.widths(&Widths::default());
    let widths = narrow.widths(&had);
    assert_eq!(widths, Widths(vec![11, 7, 3, 7]));
    assert_eq!(
        narrow.line(&narrow.rows[0], &widths, Look::default()),
        "a             b         c     d"
    );
}

fn table<T: AsRef<str>>(rows: &[[T; 4]]) -> Table {
    let rows = rows.iter().map(|cells| Row {
        name: None,
        cells: cells
            .iter()
            .map(|cell| Cell::plain(cell.as_ref()))
            .collect(),
    });
    Table {
        columns: &COLUMNS,
        rows: rows.collect(),
        empty: "Nothing here.",
        is_log: false,
    }
}

/// Takes out what colours.
fn without_colour(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut seen = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('m').expect("a colour ends with m");
        seen.push_str(rest);
    }
    seen
}
