//! Which core a process is on. The scheduler puts two that talk on one core or on two, and changes its
//! mind; a wake-up across cores costs as much as half a heartbeat.

use rustix::thread::CpuSet;
use rustix::thread::sched_setaffinity;

/// The one that measures, and whoever answers it.
pub(crate) const ASKING: usize = 0;
pub(crate) const ANSWERING: usize = 1;

/// Stays on one core from now on, where the machine has it.
pub(crate) fn stay_on(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    // Where there is none, the scheduler decides as before.
    let _ = sched_setaffinity(None, &set);
}
