//! The metrics exporter, which only the program installs.

use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::Matcher;
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::PrometheusHandle;

/// Histogram samples pile up until somebody takes care of them.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// From a millisecond to half a minute: what a check may take.
const CHECK_SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// Renders what was counted through the `metrics` facade.
#[derive(Clone)]
pub(crate) struct Exporter(PrometheusHandle);

/// From a millisecond, which the network alone may take, to an hour, which is another time zone.
#[cfg(feature = "hub")]
const SKEW_SECONDS: [f64; 10] = [0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 3600.0];

impl Exporter {
    /// Installs the recorder of this process.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let check_durations =
            Matcher::Full(health_checks::names::CHECK_DURATION_SECONDS.to_owned());
        let set_up = "cannot set up the metrics";
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(check_durations, &CHECK_SECONDS)
            .context(set_up)?;
        #[cfg(feature = "hub")]
        let builder = builder
            .set_buckets_for_metric(
                Matcher::Full(crate::hub::CLOCK_SKEW_SECONDS.to_owned()),
                &SKEW_SECONDS,
            )
            .context(set_up)?;
        let handle = builder
            .install_recorder()
            .context("cannot install the metrics recorder")?;
        Ok(Self(handle))
    }

    /// A recorder of a test's own, and what renders it.
    #[cfg(test)]
    pub(crate) fn detached() -> (metrics_exporter_prometheus::PrometheusRecorder, Self) {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        (recorder, Self(handle))
    }

    /// Takes care of the histograms, for as long as the current runtime runs.
    pub(crate) fn spawn_upkeep(&self) {
        let handle = self.0.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP_INTERVAL).await;
                handle.run_upkeep();
            }
        });
    }

    /// Everything counted so far, in the Prometheus text format.
    pub(crate) fn render(&self) -> String {
        self.0.render()
    }
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}
