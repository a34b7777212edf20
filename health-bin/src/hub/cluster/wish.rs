//! What a verdict is to say on the SyncTarget.

use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::AgentView;
use health_heartbeat::Channel;
use health_heartbeat::FleetVerdict;
use health_transport_lease::LastSign;
use health_transport_lease::Silence;
use health_transport_lease::Wish;

/// Both clocks at one moment: what is shown of an instant is reckoned from there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: SystemTime,
}

/// What a verdict is to say on the SyncTarget. Who is Pending or Suspect may be either: what an
/// earlier verdict wrote stays.
pub(super) fn wish(agent: AgentView<'_>, now: Now) -> Wish {
    match agent.verdict() {
        FleetVerdict::Pending | FleetVerdict::Suspect => Wish::Leave,
        FleetVerdict::Alive => Wish::Alive,
        FleetVerdict::Left => Wish::Left,
        FleetVerdict::Lost => {
            let evidence = Channel::ALL
                .into_iter()
                .filter_map(|channel| Some((agent.last_evidence(channel)?, channel)));
            let last = evidence.max_by_key(|(at, _)| *at);
            Wish::Lost(Silence {
                since: now.wall_of(agent.since()),
                last: last.map(|(at, channel)| LastSign {
                    at: now.wall_of(at),
                    channel: channel.as_str(),
                }),
            })
        }
    }
}

// === impl Now ===

impl Now {
    /// Reads both clocks.
    pub(super) fn read() -> Self {
        Self {
            instant: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    fn wall_of(&self, at: Instant) -> SystemTime {
        self.wall - self.instant.saturating_duration_since(at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use health_heartbeat::AgentId;
    use health_heartbeat::Evidence;
    use health_heartbeat::Fleet;
    use health_heartbeat::FleetTerms;
    use health_heartbeat::TunnelId;

    use super::*;

    #[test]
    fn each_verdict_says_what_it_is_to_say_and_the_dead_since_when() {
        let start = Instant::now();
        let mut fleet = Fleet::new(FleetTerms::default(), start);
        let id = AgentId {
            workspace: String::new(),
            name: "edge-1".to_owned(),
        };
        let agent = fleet.admit(id, start).unwrap();
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let wish_at = |fleet: &Fleet, at: Duration| {
            let (instant, wall) = (start + at, wall + at);
            wish(fleet.view(agent).unwrap(), Now { instant, wall })
        };
        let secs = Duration::from_secs;
        assert_eq!(wish_at(&fleet, secs(1)), Wish::Leave);
        let tunnel = TunnelId(1);
        let heartbeats = false;
        let opened = Evidence::Opened { tunnel, heartbeats };
        fleet.evidence(agent, opened, start + secs(2));
        assert_eq!(wish_at(&fleet, secs(3)), Wish::Alive);
        fleet.evidence(agent, Evidence::Closed { tunnel }, start + secs(4));
        assert_eq!(wish_at(&fleet, secs(5)), Wish::Leave, "it is Suspect");
        fleet.handle_timeout(start + secs(92));
        let lost = Wish::Lost(Silence {
            since: wall + secs(92),
            last: Some(LastSign {
                at: wall + secs(2),
                channel: "websocket",
            }),
        });
        assert_eq!(wish_at(&fleet, secs(92)), lost);
        assert_eq!(wish_at(&fleet, secs(500)), lost, "it is the same later");
        fleet.evidence(agent, opened, start + secs(600));
        fleet.evidence(agent, Evidence::Goodbye { tunnel }, start + secs(601));
        fleet.evidence(agent, Evidence::Closed { tunnel }, start + secs(601));
        assert_eq!(wish_at(&fleet, secs(602)), Wish::Left);
    }
}
