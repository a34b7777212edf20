//! What `--watch` writes: a table that is drawn anew in its place, or the rows that changed, one
//! below the other, as `kubectl get --watch` does.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::answer::Answer;
use super::format;
use super::table::Look;
use super::table::Row;
use super::table::Table;
use super::table::Widths;
use super::table::text;
use super::view;
use crate::cli::OutputFormat;

/// What has been written so far.
#[derive(Debug)]
pub(super) struct Watch {
    format: OutputFormat,
    /// Draws in its place; otherwise appends.
    in_place: bool,
    colour: bool,
    /// Tables by their titles, as they were told last.
    told: Vec<Told>,
    /// The table whose titles were written last.
    under: Option<usize>,
    /// Lines on the terminal that are written over.
    drawn: usize,
    /// The last frame, which stays while nothing answers.
    frame: Vec<String>,
    /// Whether the last thing that was told is that nothing answers.
    silent: bool,
}

/// What is to be written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Writing {
    pub(super) out: String,
    pub(super) err: String,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

/// What was told of a table.
#[derive(Debug, Default)]
struct Told {
    titles: Vec<&'static str>,
    widths: Widths,
    states: BTreeMap<Vec<String>, Vec<String>>,
}

/// A row that is worth a line.
#[derive(Debug)]
struct News {
    table: usize,
    row: Row,
}

/// Written between two documents of YAML.
const DOCUMENT: &str = "---\n";

/// A table does not end by itself, so a limit stands for a terminal that does not tell its size.
const SIZE_USUAL: Size = Size {
    columns: 80,
    lines: 24,
};

// === impl Watch ===

impl Watch {
    /// Nothing is written yet. `in_place` counts for tables only.
    pub(super) fn new(format: OutputFormat, in_place: bool, colour: bool) -> Self {
        Self {
            format,
            in_place: in_place && format == OutputFormat::Table,
            colour,
            told: Vec::new(),
            under: None,
            drawn: 0,
            frame: Vec::new(),
            silent: false,
        }
    }

    /// An answer came.
    pub(super) fn answered(
        &mut self,
        answer: &Answer,
        now: Timestamp,
        size: Option<Size>,
    ) -> anyhow::Result<Writing> {
        self.silent = false;
        let tables = view::tables(&answer.known, now);
        let note = view::note(&answer.known);
        if self.in_place {
            self.frame = self.lines(&tables, note.as_deref(), size);
            return Ok(Writing {
                out: self.draw(None, size),
                err: String::new(),
            });
        }
        let is_first = self.told.is_empty();
        let news = self.news(&tables);
        let mut writing = Writing::default();
        if is_first {
            writing.err = note.map(|note| note + "\n").unwrap_or_default();
        }
        if news.is_empty() && !is_first {
            return Ok(writing);
        }
        writing.out = match self.format {
            OutputFormat::Table => self.append(&tables, &news, is_first),
            OutputFormat::Name => news
                .iter()
                .filter_map(|news| news.row.name.as_deref())
                .map(|name| text::plain(name) + "\n")
                .collect(),
            OutputFormat::Json => format::json(answer)?,
            OutputFormat::Yaml if is_first => format::yaml(answer)?,
            OutputFormat::Yaml => DOCUMENT.to_owned() + &format::yaml(answer)?,
        };
        Ok(writing)
    }

    /// Nothing answered, for this reason. It is told once, until something answers again.
    pub(super) fn failed(&mut self, problem: &str, size: Option<Size>) -> Writing {
        let problem = text::plain(problem);
        let is_news = !std::mem::replace(&mut self.silent, true);
        if self.in_place {
            return Writing {
                out: self.draw(Some(&problem), size),
                err: String::new(),
            };
        }
        let err = match is_news {
            true => format!("syncer-health: {problem}; asking again\n"),
            false => String::new(),
        };
        Writing {
            out: String::new(),
            err,
        }
    }

    /// All tables as lines that no terminal wraps.
    fn lines(&mut self, tables: &[Table], note: Option<&str>, size: Option<Size>) -> Vec<String> {
        let look = Look {
            colour: self.colour,
            width: Some(size.unwrap_or(SIZE_USUAL).columns),
        };
        let mut lines = Vec::new();
        for (number, table) in tables.iter().enumerate() {
            if number > 0 {
                lines.push(String::new());
            }
            let had = self.told.get(number).filter(|told| told.is_of(table));
            let widths = match had {
                Some(told) => table.widths(&told.widths),
                None => table.widths(&Widths::default()),
            };
            lines.extend(table.lines(&widths, look));
            let told = Told {
                titles: titles(table),
                widths,
                states: BTreeMap::new(),
            };
            match self.told.get_mut(number) {
                Some(known) => *known = told,
                None => self.told.push(told),
            }
        }
        let columns = size.unwrap_or(SIZE_USUAL).columns;
        if let Some(note) = note {
            lines.push(text::fit(note, columns, '…'));
        }
        lines
    }

    /// The frame over the last one, as much of it as the terminal has lines for.
    fn draw(&mut self, problem: Option<&str>, size: Option<Size>) -> String {
        let Size { columns, lines } = size.unwrap_or(SIZE_USUAL);
        // The line below is the cursor's.
        let room = lines
            .saturating_sub(1 + usize::from(problem.is_some()))
            .max(1);
        let mut out = String::new();
        if self.drawn > 0 {
            out.push_str(&format!("\u{1b}[{}A", self.drawn));
        }
        out.push_str("\r\u{1b}[J");
        let hidden = self.frame.len().saturating_sub(room);
        let shown = match hidden {
            0 => room,
            _ => room - 1,
        };
        let mut drawn = 0;
        let more = format!("… and {} more lines", hidden + 1);
        let more = (hidden > 0).then(|| text::fit(&more, columns, '…'));
        let problem = problem.map(|problem| text::fit(problem, columns, '…'));
        let lines = self.frame.iter().take(shown);
        for line in lines.chain(more.iter()).chain(problem.iter()) {
            out.push_str(line);
            out.push('\n');
            drawn += 1;
        }
        self.drawn = drawn;
        out
    }

    /// Which rows are others than were told; all of them are told with this.
    fn news(&mut self, tables: &[Table]) -> Vec<News> {
        let mut news = Vec::new();
        for (number, table) in tables.iter().enumerate() {
            if self.told.len() == number {
                self.told.push(Told::default());
            }
            let told = &mut self.told[number];
            if !told.is_of(table) {
                *told = Told {
                    titles: titles(table),
                    ..Told::default()
                };
            }
            told.widths = table.widths(&told.widths);
            let before = std::mem::take(&mut told.states);
            let of_table = |row| News { table: number, row };
            let begin = news.len();
            for row in &table.rows {
                let (key, state) = (table.key(row), table.state(row));
                if before.get(&key) != Some(&state) {
                    news.push(of_table(row.clone()));
                }
                told.states.insert(key, state);
            }
            if table.is_log {
                news[begin..].reverse();
                continue;
            }
            let gone = before.keys().filter(|key| !told.states.contains_key(*key));
            news.extend(gone.map(|key| of_table(table.gone(key))));
        }
        self.told.truncate(tables.len());
        news
    }

    /// All tables the first time, then the rows that are news, each below the titles of its table.
    fn append(&mut self, tables: &[Table], news: &[News], is_first: bool) -> String {
        let look = Look {
            colour: self.colour,
            width: None,
        };
        let mut out = String::new();
        let mut push = |line: &str| {
            out.push_str(line);
            out.push('\n');
        };
        if is_first {
            for (number, table) in tables.iter().enumerate() {
                if number > 0 {
                    push("");
                }
                for line in table.lines(&self.told[number].widths, look) {
                    push(&line);
                }
                self.under = Some(number).filter(|_| !table.rows.is_empty());
            }
            return out;
        }
        for News { table, row } in news {
            let widths = &self.told[*table].widths;
            if self.under != Some(*table) {
                push("");
                push(&tables[*table].titles(widths, look));
                self.under = Some(*table);
            }
            push(&tables[*table].line(row, widths, look));
        }
        out
    }
}

// === impl Told ===

impl Told {
    fn is_of(&self, table: &Table) -> bool {
        self.titles == titles(table)
    }
}

fn titles(table: &Table) -> Vec<&'static str> {
    table.columns.iter().map(|column| column.title).collect()
}

#[cfg(test)]
mod tests;
