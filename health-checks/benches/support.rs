//! What every measuring program needs: whether it was asked for, and how it tells what it measured.

#![expect(clippy::print_stdout, reason = "a measurement is read from there")]

use std::fmt::Write as _;

/// One thing that was measured, as a line of JSON; `cargo xtask bench` judges it.
#[must_use]
pub(crate) struct Row(String);

/// Whether this is `cargo bench`: `cargo test --benches` runs the same program without measuring.
pub(crate) fn is_asked_for() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

// === impl Row ===

impl Row {
    /// `value` in `unit`, without a budget.
    pub(crate) fn new(what: &str, value: f64, unit: &str) -> Self {
        let mut row = Self(format!(r#"{{"what":"{what}","unit":"{unit}""#));
        row.field("value", value);
        row
    }

    /// What was measured beside it in the same unit.
    pub(crate) fn beside(mut self, peer: &str, value: f64) -> Self {
        write!(self.0, r#","peer":"{peer}""#).expect("a string takes everything");
        self.field("peer_value", value);
        self
    }

    /// What it may be at most, as `≤ 2`, or at least, as `≥ 0.9 ×` of what was beside it.
    pub(crate) fn budget(mut self, budget: &str) -> Self {
        write!(self.0, r#","budget":"{budget}""#).expect("a string takes everything");
        self
    }

    pub(crate) fn print(self) {
        println!("{}}}", self.0);
    }

    fn field(&mut self, name: &str, value: f64) {
        // JSON has no form for what is not finite.
        let shown = if value.is_finite() {
            value.to_string()
        } else {
            "null".to_owned()
        };
        write!(self.0, r#","{name}":{shown}"#).expect("a string takes everything");
    }
}
