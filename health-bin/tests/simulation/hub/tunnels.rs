//! The hub's ends of the tunnels: what `acceptor.rs` does, and what `hub/fleet.rs` makes of it.

use std::time::Duration;
use std::time::SystemTime;

use health_heartbeat::Evidence;
use health_heartbeat::TunnelId;
use health_heartbeat::wire::HeartbeatPayload;
use health_transport_ws::Admission;
use health_transport_ws::Heard;
use health_transport_ws::ServerOutput;

use super::Hub;
use crate::link::Segment;
use crate::link::Way;
use crate::log::Who;
use crate::world::Core;

// === impl Hub ===

impl Hub {
    /// Does what a session says, and hands on what it heard.
    pub(super) fn serve(&mut self, number: u64, core: &mut Core) {
        let now = self.clock.local(core.now);
        let wall = self.clock.wall(core.now);
        let (refuses, terms) = (self.refuses, self.terms);
        let Some(process) = &mut self.process else {
            return;
        };
        let Some(tunnel) = process.sessions.get_mut(&number) else {
            return;
        };
        let mut over = false;
        while let Some(output) = tunnel.session.poll() {
            match output {
                ServerOutput::Decide(handshake) => {
                    let known = core
                        .objects
                        .iter()
                        .position(|it| it.target == handshake.sync_target);
                    tunnel.target = known.expect("only known targets dial");
                    tunnel.open = refuses.is_none();
                    let admission = match refuses {
                        Some(retry_after) => Admission::Refuse {
                            reason: "the hub is full".to_owned(),
                            retry_after: Some(retry_after),
                        },
                        None => Admission::Accept(terms),
                    };
                    tunnel.session.decide(admission, now);
                }
                ServerOutput::Send(mut message) => {
                    message.id = "hub".to_owned();
                    let text = message.encode();
                    core.transmit(number, Way::Down, Segment::Text(text));
                }
                // The hub has no use for sync traffic.
                ServerOutput::Deliver(_) => {}
                ServerOutput::Ended(end) => {
                    core.log.note(core.now, Who::Hub, "tunnel ended", || {
                        format!("connection {number}: {end}")
                    });
                    core.transmit(number, Way::Down, Segment::Close(String::new()));
                    over = true;
                }
            }
        }
        let agent = process.agents[tunnel.target];
        let mut heard = Vec::new();
        while let Some(what) = tunnel.session.poll_heard() {
            heard.push(what);
        }
        for (at, what) in heard {
            let mut payload = None;
            let target = tunnel.target;
            let evidence = evidence(TunnelId(number), target, what, &mut payload, wall, core);
            process
                .fleet
                .evidence(agent, evidence, core.tamper.evidence_at(at));
        }
        if over {
            process.sessions.remove(&number);
        }
    }
}

/// What a tunnel's news mean for the fleet, as `hub/fleet.rs` reads them.
fn evidence<'a>(
    tunnel: TunnelId,
    target: usize,
    what: Heard,
    kept: &'a mut Option<HeartbeatPayload>,
    wall: SystemTime,
    core: &mut Core,
) -> Evidence<'a> {
    let now = core.now;
    match what {
        Heard::Opened(handshake) => {
            core.facts.heard(target, None, now);
            let heartbeats = handshake.can("heartbeat");
            Evidence::Opened { tunnel, heartbeats }
        }
        Heard::Heartbeat { payload, sent } => {
            let timeout = Duration::from_secs_f64(payload.timeout_seconds);
            core.facts
                .heard(target, Some((&payload.slot, timeout)), now);
            core.tamper.sent(sent, wall);
            let payload = kept.insert(core.tamper.payload(payload));
            Evidence::Heartbeat {
                tunnel,
                payload,
                skew_ms: None,
            }
        }
        Heard::Frame | Heard::Status(_) => {
            core.facts.heard(target, None, now);
            Evidence::Frame { tunnel }
        }
        Heard::Goodbye { .. } => Evidence::Goodbye { tunnel },
        Heard::Closed { .. } => Evidence::Closed { tunnel },
    }
}
