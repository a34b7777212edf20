//! Prometheus text, written at scrape time from what is known now.

use std::fmt::Write;

/// Builds families of samples in the Prometheus text format.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
    family: &'static str,
}

/// What kind of number a family holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

impl Exposition {
    /// Begins a family; its samples follow.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> &mut Self {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.family = name;
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        self
    }

    /// One sample of the family.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.text.push_str(self.family);
        for (number, (name, value)) in labels.iter().enumerate() {
            self.text.push(if number == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{name}=\"");
            escape(value, &mut self.text);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
        self
    }

    /// A family of one sample without labels; nothing if there is no value.
    pub(crate) fn single(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &str,
        value: Option<f64>,
    ) {
        if let Some(value) = value {
            self.family(name, kind, help).sample(&[], value);
        }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// Label values: backslash, quote and line feed are escaped, by the format's rules.
fn escape(value: &str, text: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_values_written_plainly() {
        let mut text = Exposition::default();
        text.family("a_total", Kind::Counter, "Things.")
            .sample(&[("x", "say \"hi\"\\\n"), ("y", "2")], 3.0)
            .sample(&[], 0.25);
        assert_eq!(
            text.finish(),
            "# HELP a_total Things.\n# TYPE a_total counter\n\
             a_total{x=\"say \\\"hi\\\"\\\\\\n\",y=\"2\"} 3\na_total 0.25\n"
        );
    }
}
