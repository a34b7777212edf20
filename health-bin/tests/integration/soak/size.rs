//! What a process holds, and whether that grows.

use std::collections::BTreeMap;

use crate::support::Program;

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    memory_kib: u64,
    files: usize,
    threads: u64,
}

/// The processes, by name.
pub(crate) type All = BTreeMap<String, Size>;

/// What they held after each round.
#[derive(Default)]
pub(crate) struct Sizes {
    memory_kib: BTreeMap<String, Vec<u64>>,
}

/// Memory grows by less than that from the first half to the second: an allocator keeps a little,
/// and a page more of each arena is no leak.
const MEMORY_SHARE: f64 = 0.08;

/// The same for small processes.
const MEMORY_KIB: f64 = 1024.0;

/// So many files may be on their way, as connections that are just being made.
const FILES: usize = 4;

/// The work runtime's threads come and go by ones.
const THREADS: u64 = 2;

// === impl Size ===

impl Size {
    pub(crate) fn of(program: &Program) -> Self {
        Self {
            memory_kib: program.proc_status("VmRSS"),
            files: program.open_files(),
            threads: program.proc_status("Threads"),
        }
    }
}

// === impl Sizes ===

impl Sizes {
    pub(crate) fn note(&mut self, all: &All) {
        for (name, size) in all {
            let of_it = self.memory_kib.entry(name.clone()).or_default();
            of_it.push(size.memory_kib);
        }
    }

    #[expect(clippy::print_stdout, reason = "people read what a soak was")]
    pub(crate) fn print(&self, before: &All, after: &All) {
        println!("  process    memory, first and second half    files    threads");
        for (name, before) in before {
            let ([first, second], after) = (self.halves(name), after[name]);
            println!(
                "  {name:9} {first:10.0} KiB {second:10.0} KiB {:8} to {} {:6} to {}",
                before.files, after.files, before.threads, after.threads
            );
        }
    }

    pub(crate) fn assert_flat(&self, before: &All, after: &All) {
        for (name, before) in before {
            let ([first, second], after) = (self.halves(name), after[name]);
            assert!(
                second <= first * (1.0 + MEMORY_SHARE) + MEMORY_KIB,
                "the memory of {name} grows: {first} KiB in the first half, {second} in the second"
            );
            assert!(
                after.files <= before.files + FILES,
                "{name} keeps files: {before:?}, then {after:?}"
            );
            assert!(
                after.threads <= before.threads + THREADS,
                "{name} keeps threads: {before:?}, then {after:?}"
            );
        }
    }

    /// The medians of the first and of the second half of its time.
    fn halves(&self, name: &str) -> [f64; 2] {
        let all = &self.memory_kib[name];
        let (first, second) = all.split_at(all.len() / 2);
        [first, second].map(|half| {
            let mut half = half.to_vec();
            half.sort_unstable();
            half.get(half.len() / 2).map_or(0.0, |kib| *kib as f64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(memory_kib: u64, files: usize) -> All {
        let size = Size {
            memory_kib,
            files,
            threads: 5,
        };
        All::from([("hub".to_owned(), size)])
    }

    fn grown(rounds: impl Iterator<Item = u64>, files: usize) -> bool {
        let mut sizes = Sizes::default();
        rounds.for_each(|kib| sizes.note(&all(kib, 9)));
        let flat = || sizes.assert_flat(&all(0, 9), &all(0, files));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(flat)).is_err()
    }

    #[test]
    fn what_grows_is_found_and_noise_is_not() {
        assert!(!grown((0..100).map(|round| 20_000 + round % 7 * 100), 9));
        assert!(
            grown((0..100).map(|round| 20_000 + round * 100), 9),
            "memory"
        );
        assert!(grown((0..100).map(|_| 20_000), 20), "files");
    }
}
