//! The metrics exporter, which only the program installs.

use anyhow::Context;
use metrics_prometheus::Recorder;
use prometheus::HistogramOpts;
use prometheus::Registry;
use prometheus::TextEncoder;

/// A histogram of the program's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Histogram {
    name: &'static str,
    /// Upper bounds of its buckets, in its unit; the last one, of everything, is not named.
    bounds: &'static [f64],
}

/// From a millisecond to half a minute: what a check may take.
pub(crate) const CHECK_DURATIONS: Histogram = Histogram {
    name: health_checks::names::CHECK_DURATION_SECONDS,
    bounds: &[
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0,
    ],
};

/// From a millisecond, which the network alone may take, to an hour, which is another time zone.
#[cfg(feature = "hub")]
pub(crate) const CLOCK_SKEWS: Histogram = Histogram {
    name: crate::hub::CLOCK_SKEW_SECONDS,
    bounds: &[0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 3600.0],
};

/// Renders what was counted through the `metrics` facade.
#[derive(Debug, Clone)]
pub(crate) struct Exporter(Registry);

impl Exporter {
    /// Installs the recorder of this process, which has those histograms from the start.
    ///
    /// A histogram that is not among them would count in the library's buckets.
    pub(crate) fn install(histograms: &[Histogram]) -> anyhow::Result<Self> {
        let (recorder, exporter) = Self::detached(histograms)?;
        metrics::set_global_recorder(recorder).context("cannot install the metrics recorder")?;
        Ok(exporter)
    }

    /// A recorder that is not installed, and what renders it.
    pub(crate) fn detached(histograms: &[Histogram]) -> anyhow::Result<(Recorder, Self)> {
        // Not the library's own registry, which all of a process share.
        let registry = Registry::new();
        let mut recorder = Recorder::builder().with_registry(registry.clone());
        for Histogram { name, bounds } in histograms {
            // The library wants a help; whoever uses the histogram describes it.
            let options = HistogramOpts::new(*name, *name).buckets(bounds.to_vec());
            recorder = prometheus::Histogram::with_opts(options)
                .and_then(|histogram| recorder.try_with_metric(histogram))
                .with_context(|| format!("cannot set up the metric {name}"))?;
        }
        Ok((recorder.build(), Self(registry)))
    }

    /// Everything counted so far, in the Prometheus text format, in the order of the names.
    pub(crate) fn render(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.0.gather())
            .unwrap_or_else(|error| {
                tracing::error!(%error, "the counted metrics are left out of the answer");
                String::new()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: Histogram = Histogram {
        name: "step_seconds",
        bounds: &[0.5, 2.0],
    };

    #[test]
    fn what_was_counted_is_rendered_by_name_with_its_help() {
        let (recorder, exporter) = Exporter::detached(&[STEPS]).unwrap();
        metrics::with_local_recorder(&recorder, || {
            metrics::describe_histogram!("step_seconds", metrics::Unit::Seconds, "How long.");
            let steps = metrics::histogram!("step_seconds");
            for step in [0.25, 0.5, 1.0, 8.0] {
                steps.record(step);
            }
            metrics::describe_counter!("dials_total", "Dials, by \"who\".");
            metrics::counter!("dials_total", "who" => "b\\\"c\"").increment(2);
            metrics::counter!("dials_total", "who" => "a").absolute(0);
        });
        assert_eq!(
            exporter.render(),
            "# HELP dials_total Dials, by \"who\".\n# TYPE dials_total counter\n\
             dials_total{who=\"a\"} 0\ndials_total{who=\"b\\\\\\\"c\\\"\"} 2\n\
             # HELP step_seconds How long.\n# TYPE step_seconds histogram\n\
             step_seconds_bucket{le=\"0.5\"} 2\nstep_seconds_bucket{le=\"2\"} 3\n\
             step_seconds_bucket{le=\"+Inf\"} 4\nstep_seconds_sum 9.75\nstep_seconds_count 4\n"
        );
    }
}
