//! A simulated sync engine.

use std::f64::consts::TAU;
use std::time::Duration;

use health_checks::checks::SyncRecorder;

/// One step of the simulation.
const STEP: Duration = Duration::from_millis(100);

/// A full swing of the queue, from empty to empty.
const SWING: Duration = Duration::from_secs(40);

/// The most items that wait.
const DEPTH_MAX: f64 = 80.0;

/// Syncs, with a queue that rises and falls and errors while it is long, for ever; begins with the
/// queue so many thirds of a swing ahead.
pub(super) async fn run(recorder: SyncRecorder, ahead: u32) {
    let mut step = 0_u32;
    loop {
        let depth = depth(step, ahead);
        recorder.set_queue_depth(depth);
        if depth > 60 && step.is_multiple_of(5) {
            recorder.record_error();
        } else {
            recorder.record_sync(Duration::from_millis(5 + depth));
        }
        step = step.wrapping_add(1);
        tokio::time::sleep(STEP).await;
    }
}

/// How many items wait at a step: a sine from 0 to the most.
fn depth(step: u32, ahead: u32) -> u64 {
    let turn = (STEP * step).as_secs_f64() / SWING.as_secs_f64() + f64::from(ahead) / 3.0;
    (DEPTH_MAX * 0.5 * (1.0 - (turn * TAU).cos())).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_rises_and_falls_within_one_swing() {
        let depths: Vec<_> = (0..400).map(|step| depth(step, 0)).collect();
        assert_eq!(depths[0], 0, "who looks at once finds it at work");
        assert_eq!(depths.iter().max(), Some(&80));
    }
}
