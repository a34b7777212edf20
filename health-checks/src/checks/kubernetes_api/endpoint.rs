//! Whether to ask `/readyz` or `/healthz`.

use http::StatusCode;

/// Where an API server says how it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Every server since Kubernetes 1.16.
    Readyz,
    /// Older ones, and proxies that let no more through.
    Healthz,
}

/// Remembers who answered, so that a server without `/readyz` is not asked twice each time.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// How often `/healthz` is asked before `/readyz` is tried again.
    healthz_left: u32,
}

/// A server may be upgraded, or was only not up yet, so `/readyz` gets another chance each time
/// after so many runs.
const HEALTHZ_RUNS: u32 = 20;

// === impl Endpoint ===

impl Endpoint {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Readyz => "/readyz",
            Self::Healthz => "/healthz",
        }
    }
}

// === impl Memory ===

impl Memory {
    /// Whom a run asks first.
    pub(super) const fn first(&self) -> Endpoint {
        match self.healthz_left {
            0 => Endpoint::Readyz,
            _ => Endpoint::Healthz,
        }
    }

    /// Notes an answer, and says whom to ask next if that one does not count.
    pub(super) fn answered(&mut self, asked: Endpoint, status: StatusCode) -> Option<Endpoint> {
        match asked {
            Endpoint::Readyz => (status == StatusCode::NOT_FOUND).then_some(Endpoint::Healthz),
            Endpoint::Healthz => {
                self.healthz_left = match (status, self.healthz_left) {
                    (StatusCode::OK, 0) => HEALTHZ_RUNS,
                    (StatusCode::OK, left) => left - 1,
                    // Whatever is wrong, the next run begins anew.
                    _ => 0,
                };
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: StatusCode = StatusCode::OK;
    const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
    const FAILED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

    #[test]
    fn only_a_404_of_readyz_makes_it_ask_healthz() {
        for status in [OK, FAILED, StatusCode::UNAUTHORIZED] {
            let mut memory = Memory::default();
            assert_eq!(memory.answered(Endpoint::Readyz, status), None, "{status}");
            assert_eq!(memory.first(), Endpoint::Readyz);
        }
        let mut memory = Memory::default();
        let next = memory.answered(Endpoint::Readyz, NOT_FOUND);
        assert_eq!(next, Some(Endpoint::Healthz));
    }

    #[test]
    fn healthz_is_remembered_while_it_answers_well_and_readyz_is_tried_again() {
        let mut memory = Memory::default();
        assert_eq!(memory.answered(Endpoint::Healthz, OK), None);
        let mut runs = 0;
        while memory.first() == Endpoint::Healthz {
            assert_eq!(memory.answered(Endpoint::Healthz, OK), None);
            runs += 1;
        }
        assert_eq!(runs, HEALTHZ_RUNS);
        for status in [FAILED, NOT_FOUND] {
            memory.answered(Endpoint::Healthz, OK);
            assert_eq!(memory.first(), Endpoint::Healthz);
            assert_eq!(memory.answered(Endpoint::Healthz, status), None);
            assert_eq!(memory.first(), Endpoint::Readyz, "{status}");
        }
    }
}
