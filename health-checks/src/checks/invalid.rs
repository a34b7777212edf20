//! That no check can be made as configured.

use health_core::Paired;

/// Indicates a configuration that no check can be made of, now or later. It repeats no argument of
/// a command and no value of a variable, since those may be secrets.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCheck {
    /// A pair of limits is the wrong way round.
    #[error("{what}: degraded {degraded} lies beyond unhealthy {unhealthy}")]
    Inverted {
        /// The limits' name, as a report would write it.
        what: &'static str,
        /// From there on it would be Degraded.
        degraded: f64,
        /// From there on it would be Unhealthy already.
        unhealthy: f64,
    },
    /// A limit is no number, or negative.
    #[error("{what}: {limit} is not allowed, a limit must be a number of at least 0")]
    Limit {
        /// The limits' name, as a report would write it.
        what: &'static str,
        /// The limit.
        limit: f64,
    },
    /// A limit of a share can never be reached.
    #[error("{what}: {limit} is not allowed, a share lies between 0 and 1")]
    Share {
        /// The limits' name, as a report would write it.
        what: &'static str,
        /// The limit.
        limit: f64,
    },
    /// It is no address.
    #[error("address {0:?} is not valid: it must be HOST:PORT, an IPv6 address in brackets")]
    Address(String),
    /// No program is named.
    #[error("the command is empty: it must name at least a program")]
    NoCommand,
    /// The operating system cannot hand that to a program.
    #[error("a command, its variables and its folder must hold no NUL character")]
    Nul,
    /// It is no name of a variable.
    #[error("{0:?} cannot be the name of an environment variable")]
    Variable(String),
    /// No path is named.
    #[error("the path is empty")]
    NoPath,
}

/// Whether more is worse or less is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worse {
    /// Whoever is above a limit is past it.
    Above,
    /// Whoever is below a limit is past it.
    Below,
}

/// Refuses `limits` that are the wrong way round, negative or no numbers.
pub(super) fn validate(
    limits: Paired,
    what: &'static str,
    worse: Worse,
) -> Result<(), InvalidCheck> {
    for limit in given(limits) {
        if !limit.is_finite() || limit < 0.0 {
            return Err(InvalidCheck::Limit { what, limit });
        }
    }
    let (Some(degraded), Some(unhealthy)) = (limits.degraded, limits.unhealthy) else {
        return Ok(());
    };
    let is_inverted = match worse {
        Worse::Above => degraded > unhealthy,
        Worse::Below => degraded < unhealthy,
    };
    if is_inverted {
        return Err(InvalidCheck::Inverted {
            what,
            degraded,
            unhealthy,
        });
    }
    Ok(())
}

/// Refuses `limits` of a share, of which more is worse, that are the wrong way round or out of
/// reach: whoever writes 85 means 0.85.
pub(super) fn validate_share(limits: Paired, what: &'static str) -> Result<(), InvalidCheck> {
    match given(limits).find(|limit| *limit > 1.0) {
        Some(limit) => Err(InvalidCheck::Share { what, limit }),
        None => validate(limits, what, Worse::Above),
    }
}

fn given(limits: Paired) -> impl Iterator<Item = f64> {
    [limits.degraded, limits.unhealthy].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_must_be_reachable_and_in_order() {
        let pair = |degraded, unhealthy| Paired {
            degraded,
            unhealthy,
        };
        for (limits, worse, is_valid) in [
            (pair(None, None), Worse::Above, true),
            (pair(Some(1.0), Some(1.0)), Worse::Above, true),
            (pair(Some(0.0), Some(1.0)), Worse::Above, true),
            (pair(Some(0.9), Some(0.8)), Worse::Above, false),
            (pair(Some(0.9), Some(0.8)), Worse::Below, true),
            (pair(Some(0.8), Some(0.9)), Worse::Below, false),
            (pair(None, Some(-0.1)), Worse::Above, false),
            (pair(Some(f64::NAN), None), Worse::Above, false),
        ] {
            let result = validate(limits, "usedRatio", worse);
            assert_eq!(result.is_ok(), is_valid, "{limits:?} {worse:?} {result:?}");
        }
    }

    #[test]
    fn the_error_says_which_limits_and_both_numbers() {
        let limits = Paired {
            degraded: Some(0.95),
            unhealthy: Some(0.85),
        };
        let error = validate_share(limits, "usedRatio").unwrap_err();
        assert_eq!(
            error.to_string(),
            "usedRatio: degraded 0.95 lies beyond unhealthy 0.85"
        );
        let percent = Paired {
            degraded: Some(85.0),
            unhealthy: None,
        };
        let error = validate_share(percent, "usedRatio").unwrap_err();
        assert_eq!(
            error.to_string(),
            "usedRatio: 85 is not allowed, a share lies between 0 and 1"
        );
    }
}
