//! Tables as kubectl prints them: aligned, in plain text, without borders. Values in, text out.
//!
//! What stands in a cell came from elsewhere: it is made plain ([`text`]) when the cell is made, so
//! that nothing can forget to.

pub(super) mod age;

pub(super) mod text;

use clap::builder::styling::AnsiColor;
use clap::builder::styling::Style;
use unicode_width::UnicodeWidthStr;

/// Rows under titles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Row>,
    /// What is said where there are no rows.
    pub(super) empty: &'static str,
    /// Whether it is a history, the newest first: what drops out of it is no news.
    pub(super) is_log: bool,
}

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) role: Role,
}

/// What a column is to who watches for changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It says whose row this is.
    Name,
    /// A change of it is worth a line.
    State,
    /// It changes all the time.
    Moving,
}

/// What is known of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// What `-o name` calls it; nothing for what has no name.
    pub(super) name: Option<String>,
    /// One for each column.
    pub(super) cells: Vec<Cell>,
}

/// A text, plain and not too long, and how it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

/// How a cell is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
    Unsure,
    Quiet,
}

/// How a table is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) colour: bool,
    /// Lines are cut where the terminal ends; without it they are as long as they are.
    pub(super) width: Option<usize>,
}

/// How wide the columns of a table are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Widths(Vec<usize>);

/// Characters in a cell: a workspace and a name have 253 each at most, and one long text would make
/// all lines of a column long.
const CELL_MAX: usize = 256;

/// Characters in the last cell of a line, which makes no other line longer.
const LAST_MAX: usize = 2048;

/// Between two columns.
const GAP: &str = "   ";

/// Stands for what was cut off.
const CUT: char = '…';

/// What stands in a column of state for a row that is not there any more.
pub(super) const GONE: &str = "<gone>";

/// What stands where there is nothing.
pub(super) const NONE: &str = "<none>";

// === impl Table ===

impl Table {
    /// The widths that its cells need, and at least those that it has had.
    pub(super) fn widths(&self, had: &Widths) -> Widths {
        let titles = self.columns.iter().map(|column| column.title.width());
        let mut widths: Vec<usize> = titles.collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(&row.cells) {
                *width = (*width).max(cell.text.width());
            }
        }
        for (width, had) in widths.iter_mut().zip(&had.0) {
            *width = (*width).max(*had);
        }
        Widths(widths)
    }

    /// The line of titles.
    pub(super) fn titles(&self, widths: &Widths, look: Look) -> String {
        let titles = self.columns.iter();
        let cells: Vec<_> = titles.map(|column| Cell::plain(column.title)).collect();
        line(&cells, widths, look)
    }

    /// A row's line.
    pub(super) fn line(&self, row: &Row, widths: &Widths, look: Look) -> String {
        line(&row.cells, widths, look)
    }

    /// All lines: the titles and the rows, or what is said where there are none.
    pub(super) fn lines(&self, widths: &Widths, look: Look) -> Vec<String> {
        if self.rows.is_empty() {
            return vec![line(&[Cell::plain(self.empty)], &Widths::default(), look)];
        }
        let titles = self.titles(widths, look);
        let rows = self.rows.iter().map(|row| self.line(row, widths, look));
        std::iter::once(titles).chain(rows).collect()
    }

    /// What a row says that is worth a line when it changes.
    pub(super) fn state(&self, row: &Row) -> Vec<String> {
        self.of(row, Role::State)
    }

    /// Whose a row is.
    pub(super) fn key(&self, row: &Row) -> Vec<String> {
        self.of(row, Role::Name)
    }

    /// The row of something that is not there any more.
    pub(super) fn gone(&self, key: &[String]) -> Row {
        let mut key = key.iter();
        let cells = self.columns.iter().map(|column| match column.role {
            Role::Name => Cell::plain(key.next().map_or(NONE, String::as_str)),
            Role::State => Cell::new(GONE, Tone::Quiet),
            Role::Moving => Cell::plain(""),
        });
        Row {
            name: None,
            cells: cells.collect(),
        }
    }

    fn of(&self, row: &Row, role: Role) -> Vec<String> {
        let cells = self.columns.iter().zip(&row.cells);
        cells
            .filter(|(column, _)| column.role == role)
            .map(|(_, cell)| cell.text.clone())
            .collect()
    }
}

/// Tables below each other, with an empty line between two.
pub(super) fn render(tables: &[Table], look: Look) -> String {
    let mut text = String::new();
    for (number, table) in tables.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        for line in table.lines(&table.widths(&Widths::default()), look) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

// === impl Column ===

impl Column {
    pub(super) const fn name(title: &'static str) -> Self {
        Self {
            title,
            role: Role::Name,
        }
    }

    pub(super) const fn state(title: &'static str) -> Self {
        Self {
            title,
            role: Role::State,
        }
    }

    pub(super) const fn moving(title: &'static str) -> Self {
        Self {
            title,
            role: Role::Moving,
        }
    }
}

// === impl Cell ===

impl Cell {
    /// A cell with a text from anywhere.
    pub(super) fn new(text: &str, tone: Tone) -> Self {
        let text = text::plain(text::begin(text, LAST_MAX).0);
        Self { text, tone }
    }

    pub(super) fn plain(text: &str) -> Self {
        Self::new(text, Tone::Plain)
    }

    /// What is known, or `<none>`.
    pub(super) fn known(text: Option<&str>, tone: Tone) -> Self {
        match text.filter(|text| !text.is_empty()) {
            Some(text) => Self::new(text, tone),
            None => Self::plain(NONE),
        }
    }
}

// === impl Tone ===

impl Tone {
    const fn style(self) -> Style {
        let colour = match self {
            Self::Plain => return Style::new(),
            Self::Quiet => return Style::new().dimmed(),
            Self::Good => AnsiColor::Green,
            Self::Warning => AnsiColor::Yellow,
            Self::Bad => AnsiColor::Red,
            Self::Unsure => AnsiColor::Magenta,
        };
        colour.on_default()
    }
}

/// Writes cells into one line, which has no space at its end.
fn line(cells: &[Cell], widths: &Widths, look: Look) -> String {
    let last = cells.iter().rposition(|cell| !cell.text.is_empty());
    let mut room = look.width.unwrap_or(usize::MAX);
    let mut line = String::new();
    for (number, cell) in cells
        .iter()
        .take(last.map_or(0, |last| last + 1))
        .enumerate()
    {
        if number > 0 {
            let gap = GAP.len().min(room);
            line.push_str(&GAP[..gap]);
            room -= gap;
        }
        let is_last = Some(number) == last;
        let max = if is_last { LAST_MAX } else { CELL_MAX };
        let text = text::fit(&cell.text, max.min(room), CUT);
        let style = cell.tone.style();
        if look.colour && !text.is_empty() && style != Style::new() {
            line.push_str(&format!("{style}{text}{style:#}"));
        } else {
            line.push_str(&text);
        }
        room -= text.width().min(room);
        if !is_last {
            let wide = widths
                .0
                .get(number)
                .map_or(0, |width| (*width).min(CELL_MAX));
            let padding = wide.saturating_sub(text.width()).min(room);
            line.extend(std::iter::repeat_n(' ', padding));
            room -= padding;
        }
    }
    line.truncate(line.trim_end_matches(' ').len());
    line
}

#[cfg(test)]
mod tests;
