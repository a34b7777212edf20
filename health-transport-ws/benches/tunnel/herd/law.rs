//! What full jitter lets expect: an agent's wait before its n-th dial is spread evenly from zero to
//! a ceiling that doubles, from an eighth of the interval to the interval. The density of its n-th
//! dial is the density of the one before, smeared over that ceiling; the sum over all n is how often
//! it dials at any moment while the hub is away. Once the hub is back each dials once more, so the
//! sum bounds that time, too.

use health_heartbeat::Backoff;
use health_heartbeat::HeartbeatConfig;

use super::AGENTS;
use super::HORIZON;
use super::WINDOW;

/// Cells of a window.
const FINE: usize = 10;

/// By then the rate has long settled at two dials an interval.
const DIALS: u32 = 24;

/// The most dials that all agents together are expected to make in a window.
pub(super) fn most_expected() -> f64 {
    let interval = HeartbeatConfig::default().interval();
    let mut backoff = Backoff::new(interval / 8, interval, 0);
    let cell = WINDOW.as_secs_f64() / FINE as f64;
    let cells = (HORIZON.as_secs_f64() / cell) as usize;
    // All lose their connection at once.
    let mut density = vec![0.0; cells];
    density[0] = 1.0;
    let mut dials = vec![0.0; cells];
    for _ in 0..DIALS {
        let ceiling = (backoff.ceiling().as_secs_f64() / cell).round() as usize;
        let _ = backoff.next_delay();
        density = smeared(&density, ceiling);
        for (sum, share) in dials.iter_mut().zip(&density) {
            *sum += share;
        }
    }
    let windows = dials.windows(FINE).map(|window| window.iter().sum::<f64>());
    windows.fold(0.0, f64::max) * AGENTS as f64
}

/// Each cell's share, spread evenly over the `width` cells from it on.
fn smeared(density: &[f64], width: usize) -> Vec<f64> {
    let mut sum = 0.0;
    (0..density.len())
        .map(|at| {
            sum += density[at];
            if at >= width {
                sum -= density[at - width];
            }
            sum / width as f64
        })
        .collect()
}
