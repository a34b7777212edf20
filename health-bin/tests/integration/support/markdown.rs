//! The blocks of a page of documentation.

use std::path::Path;
use std::path::PathBuf;

/// What stands between two fences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Where its first line is, as `docs/kcp.md:12`.
    pub(crate) at: String,
    /// What follows the fence: `sh`, `yaml`.
    pub(crate) language: String,
    pub(crate) text: String,
}

// === impl Block ===

impl Block {
    /// The commands of a block of them: a line each, with the lines that are indented below it and
    /// the `done` that ends it.
    pub(crate) fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = Vec::new();
        for line in self.text.lines().filter(|line| !line.trim().is_empty()) {
            match commands.last_mut() {
                Some(command) if line.starts_with(' ') || line == "done" => {
                    command.push('\n');
                    command.push_str(line);
                }
                Some(_) | None => commands.push(line.to_owned()),
            }
        }
        commands
    }
}

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The blocks of a page, in its order.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(project(page));
    parse(
        page,
        &text.unwrap_or_else(|error| panic!("{page}: {error}")),
    )
}

fn parse(page: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(language), None) => {
                open = Some(Block {
                    at: format!("{page}:{}", number + 2),
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert_eq!(open, None, "a fence closes each block");
    blocks
}

#[test]
fn a_block_has_its_place_and_its_language() {
    let text = "# A\n```sh\nls \\\n  -l\n```\nb\n```\nc\n```\n";
    let block = |at: &str, language: &str, text: &str| Block {
        at: at.to_owned(),
        language: language.to_owned(),
        text: text.to_owned(),
    };
    let expected = [
        block("a.md:3", "sh", "ls \\\n  -l\n"),
        block("a.md:8", "", "c\n"),
    ];
    assert_eq!(parse("a.md", text), expected);
    assert_eq!(expected[0].commands(), ["ls \\\n  -l"]);
}
