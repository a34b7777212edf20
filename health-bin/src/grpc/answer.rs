//! What a service's name asks for and what the answer is, as a pure decision.
//!
//! The empty name is readiness, and `liveness`, `readiness` and `startup` are the probes. Any other
//! name is that of a component of readiness; one that is called like a probe cannot be asked for.

use std::collections::BTreeMap;
use std::time::Instant;

use health_core::Probe;
use tonic::Status;
use tonic_health::pb::health_check_response::ServingStatus;

/// What the HTTP probes answer from. It is in memory: nothing here waits.
pub(crate) trait Truth: Send + Sync + 'static {
    /// Whether a probe holds; nothing where the program has no such probe.
    fn probe(&self, probe: Probe, now: Instant) -> Option<bool>;

    /// Whether a component of readiness, alone, lets it hold; nothing where there is none of that
    /// name.
    fn component(&self, name: &str, now: Instant) -> Option<bool>;

    /// The same of all of them.
    fn components(&self, now: Instant) -> Vec<(String, bool)>;
}

/// What a name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked<'n> {
    Probe(Probe),
    Component(&'n str),
}

/// The name of the whole server.
const WHOLE: &str = "";

/// A list has no more services: it is one message, and the protocol lets a server say that it has
/// too many. Whoever has more components than this asks for one at a time.
pub(super) const LIST_MAX: usize = 1000;

/// How a service is.
pub(super) fn status(service: &str, truth: &dyn Truth, now: Instant) -> ServingStatus {
    serving(match Asked::by(service) {
        Asked::Probe(probe) => truth.probe(probe, now),
        Asked::Component(name) => truth.component(name, now),
    })
}

/// The answer of `Check`, which has no word for a service that it does not know.
pub(super) fn check(
    service: &str,
    truth: &dyn Truth,
    now: Instant,
) -> Result<ServingStatus, Status> {
    match status(service, truth, now) {
        ServingStatus::ServiceUnknown => Err(Status::not_found(
            "there is no such service; known are the empty name, liveness, readiness, startup (of \
             an agent), and the components of readiness",
        )),
        known @ (ServingStatus::Serving | ServingStatus::NotServing | ServingStatus::Unknown) => {
            Ok(known)
        }
    }
}

/// The answer of `List`.
pub(super) fn list(
    truth: &dyn Truth,
    now: Instant,
) -> Result<BTreeMap<String, ServingStatus>, Status> {
    let probes = Probe::ALL.map(|probe| (probe.scope().as_str(), probe));
    let named = std::iter::once((WHOLE, Probe::Readiness)).chain(probes);
    let probes = named.filter_map(|(name, probe)| {
        let holds = truth.probe(probe, now)?;
        Some((name.to_owned(), serving(Some(holds))))
    });
    let components = truth.components(now).into_iter();
    let components = components.map(|(name, holds)| (name, serving(Some(holds))));
    // A probe comes after a component of its name, and so is the one that is listed.
    let all: BTreeMap<_, _> = components.chain(probes).collect();
    if all.len() > LIST_MAX {
        let what = format!("there are more than {LIST_MAX} services; ask for one by its name");
        return Err(Status::resource_exhausted(what));
    }
    Ok(all)
}

/// Nothing is ever `UNKNOWN`: what the probes do not know does not hold.
const fn serving(holds: Option<bool>) -> ServingStatus {
    match holds {
        Some(true) => ServingStatus::Serving,
        Some(false) => ServingStatus::NotServing,
        None => ServingStatus::ServiceUnknown,
    }
}

// === impl Asked ===

impl<'n> Asked<'n> {
    fn by(service: &'n str) -> Self {
        if service == WHOLE {
            return Self::Probe(Probe::Readiness);
        }
        let mut probes = Probe::ALL.into_iter();
        match probes.find(|probe| probe.scope().as_str() == service) {
            Some(probe) => Self::Probe(probe),
            None => Self::Component(service),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use tonic::Code;

    use super::*;

    /// What a test says.
    #[derive(Debug, Default)]
    pub(in crate::grpc) struct Said {
        pub(in crate::grpc) probes: Mutex<BTreeMap<&'static str, bool>>,
        pub(in crate::grpc) components: Mutex<BTreeMap<String, bool>>,
    }

    impl Said {
        pub(in crate::grpc) fn component(&self, name: &str, holds: Option<bool>) {
            let mut components = self.components.lock().unwrap();
            match holds {
                Some(holds) => components.insert(name.to_owned(), holds),
                None => components.remove(name),
            };
        }
    }

    impl Truth for Said {
        fn probe(&self, probe: Probe, _: Instant) -> Option<bool> {
            self.probes.lock().unwrap().get(probe.path()).copied()
        }

        fn component(&self, name: &str, _: Instant) -> Option<bool> {
            self.components.lock().unwrap().get(name).copied()
        }

        fn components(&self, _: Instant) -> Vec<(String, bool)> {
            let components = self.components.lock().unwrap();
            components.clone().into_iter().collect()
        }
    }

    fn said(probes: &[(&'static str, bool)], components: &[(&str, bool)]) -> Said {
        let said = Said::default();
        said.probes.lock().unwrap().extend(probes.iter().copied());
        for (name, holds) in components {
            said.component(name, Some(*holds));
        }
        said
    }

    #[test]
    fn a_name_asks_for_a_probe_or_a_component() {
        let agent = said(
            &[("livez", true), ("readyz", false), ("startupz", true)],
            &[("engine", true), ("disk", false), ("liveness", false)],
        );
        let hub = said(&[("livez", true), ("readyz", false)], &[]);
        for (service, agent_is, hub_is) in [
            ("", Some(false), Some(false)),
            ("readiness", Some(false), Some(false)),
            ("liveness", Some(true), Some(true)),
            ("startup", Some(true), None),
            ("engine", Some(true), None),
            ("disk", Some(false), None),
            ("livez", None, None),
            ("Liveness", None, None),
            ("all", None, None),
            (" ", None, None),
        ] {
            for (truth, is) in [(&agent, agent_is), (&hub, hub_is)] {
                let expected = match is {
                    Some(true) => ServingStatus::Serving,
                    Some(false) => ServingStatus::NotServing,
                    None => ServingStatus::ServiceUnknown,
                };
                let now = Instant::now();
                assert_eq!(status(service, truth, now), expected, "{service:?}");
                let checked = check(service, truth, now).map_err(|error| error.code());
                let wanted = is.map(|_| expected).ok_or(Code::NotFound);
                assert_eq!(checked, wanted, "{service:?}");
            }
        }
    }

    #[test]
    fn a_list_has_every_service_once_and_says_so_where_there_are_too_many() {
        let truth = said(
            &[("livez", true), ("readyz", false), ("startupz", true)],
            &[("engine", true), ("liveness", false)],
        );
        let listed = list(&truth, Instant::now()).unwrap();
        let expected = [
            ("", ServingStatus::NotServing),
            ("engine", ServingStatus::Serving),
            ("liveness", ServingStatus::Serving),
            ("readiness", ServingStatus::NotServing),
            ("startup", ServingStatus::Serving),
        ];
        let listed: Vec<_> = listed
            .iter()
            .map(|(name, is)| (name.as_str(), *is))
            .collect();
        assert_eq!(listed, expected);
        let room = LIST_MAX - expected.len();
        for number in 0..room {
            truth.component(&format!("c{number}"), Some(true));
        }
        assert_eq!(list(&truth, Instant::now()).unwrap().len(), LIST_MAX);
        truth.component("one-more", Some(true));
        let refused = list(&truth, Instant::now()).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }
}
