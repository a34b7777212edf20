//! One start of an agent: its loops and their transports, as `driver.rs` wires them.

mod ends;

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use health_core::HealthStatus;
use health_heartbeat::AgentInput;
use health_heartbeat::Heartbeat;
use health_heartbeat::HeartbeatConfig;
use health_heartbeat::Identity;
use health_heartbeat::Sequence;
use health_heartbeat::wire::HeartbeatPayload;
use health_transport_lease::Condition;
use health_transport_lease::HeartbeatField;
use health_transport_lease::LeaseInput;
use health_transport_lease::LeaseMachine;
use health_transport_lease::Renewal;
use health_transport_lease::StatusInput;
use health_transport_lease::StatusMachine;
use health_transport_lease::SyncTargetConfig;
use health_transport_lease::Tenure;
use health_transport_lease::testing::carried;

use super::Here;
use super::Inbound;
use super::Lane;
use super::beating::Action;
use super::beating::Attempt;
use super::beating::Beating;
use super::calls::Calls;
use super::calls::Keeper;
use super::client::Client;
use super::client::Said;
use crate::mutations::Fence;
use crate::scenario::AgentSpec;
use crate::scenario::MIN_INTERVAL;

/// One start of an agent.
#[derive(Debug)]
pub(crate) struct Process {
    identity: Identity,
    pub(crate) loops: Vec<Beating>,
    keeper: Option<Calls<Keeper>>,
    publisher: Option<Calls<StatusMachine>>,
    /// A beat of the publisher that waits to learn who holds the Lease.
    gate: Option<StatusInput>,
    client: Option<Client>,
    /// No beat has arrived over the tunnel since it stands, and that was not told either.
    is_new: bool,
    stage: Stage,
    /// What happened and was not handed in yet.
    inputs: VecDeque<(Lane, AgentInput)>,
}

/// How far the goodbyes have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    Tellers,
    All,
}

/// The error that says why comes a little before the driver drops the attempt.
const MARGIN_MAX: Duration = Duration::from_millis(20);

// === impl Process ===

impl Process {
    pub(super) fn new(
        identity: Identity,
        spec: &AgentSpec,
        config: HeartbeatConfig,
        status_interval: Duration,
        seed: u64,
        here: &Here<'_>,
    ) -> Self {
        let mut loops = Vec::new();
        let status_config = HeartbeatConfig::new(status_interval, status_interval * 3, 3);
        let status_config = status_config.expect("three intervals are enough");
        for lane in spec.lanes() {
            let config = if lane == Lane::Status {
                status_config
            } else {
                config
            };
            let seed = seed.wrapping_add(loops.len() as u64);
            loops.push(Beating::new(lane, config, seed, here));
        }
        let keeper = spec.lease.then(|| {
            let objects = here.core.objects[here.target].clone();
            Calls::new(
                Lane::Lease,
                Keeper {
                    machine: LeaseMachine::new(objects, &identity, seed),
                    slept: here.slept,
                    tenure: Tenure::default(),
                    fence: Fence::new(config.timeout(), here.now),
                },
            )
        });
        let publisher = spec.status.then(|| {
            let min = here.core.tamper.min_interval(MIN_INTERVAL);
            let field = HeartbeatField::Auto;
            let config = SyncTargetConfig::new(min, status_interval.max(min), field);
            let machine = StatusMachine::new(config.expect("it is valid"), &identity, seed);
            Calls::new(Lane::Status, machine)
        });
        Self {
            identity,
            loops,
            keeper,
            publisher,
            gate: None,
            client: spec.tunnel.then(|| Client::new(&config, seed, here.now)),
            is_new: false,
            stage: Stage::Running,
            inputs: VecDeque::new(),
        }
    }

    /// Does what the new machines want.
    pub(super) fn begin(&mut self, here: &mut Here<'_>) {
        for number in 0..self.loops.len() {
            self.take(number, None, here);
        }
        self.wake(here);
    }

    pub(super) fn connection(&self) -> Option<u64> {
        self.client.as_ref().and_then(Client::connection)
    }

    pub(super) fn halted(&mut self, tick: Instant) {
        for one in &mut self.loops {
            one.halted(tick);
        }
    }

    pub(super) fn tenure(&self) -> Option<&Tenure> {
        self.keeper.as_ref().map(|keeper| &keeper.machine.tenure)
    }

    pub(super) fn is_over(&self) -> bool {
        self.loops.iter().all(|one| one.left)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let loops = self.loops.iter().filter_map(Beating::next);
        let others = [
            self.keeper.as_ref().and_then(Calls::next),
            self.publisher.as_ref().and_then(Calls::next),
            self.client.as_ref().and_then(Client::next),
        ];
        loops.chain(others.into_iter().flatten()).min()
    }

    pub(super) fn receive(&mut self, inbound: Inbound, here: &mut Here<'_>) {
        match inbound {
            Inbound::Reply {
                lane: Lane::Status,
                number,
                reply,
            } => {
                let publisher = self.publisher.as_mut();
                let outcome = publisher.and_then(|it| it.reply(number, reply, here));
                self.published(outcome, here);
            }
            Inbound::Reply { number, reply, .. } => {
                let keeper = self.keeper.as_mut();
                let outcome = keeper.and_then(|it| it.reply(number, reply, here));
                self.kept(outcome, here);
            }
            Inbound::Packet {
                connection,
                segment,
            } => {
                let client = self.client.as_mut();
                let said = client.map(|it| it.packet(connection, segment, here));
                self.said(said.unwrap_or_default());
            }
            Inbound::Health(_) => {
                if self.publisher.is_some() {
                    self.inputs.push_back((Lane::Status, AgentInput::Prompt));
                }
            }
            Inbound::Leave => {
                if self.stage == Stage::Running {
                    self.stage = Stage::Tellers;
                    self.release(|lane| lane == Lane::Status);
                }
            }
        }
        self.settle(here);
    }

    /// Whatever is due: what an attempt waits for first, then the attempt, then the machine.
    pub(super) fn wake(&mut self, here: &mut Here<'_>) {
        self.wake_all(true, here);
    }

    /// The same without the tunnel, which reads what waits before it looks at its deadlines.
    pub(super) fn wake_loops(&mut self, here: &mut Here<'_>) {
        self.wake_all(false, here);
    }

    fn wake_all(&mut self, tunnel: bool, here: &mut Here<'_>) {
        let outcome = self.keeper.as_mut().and_then(|it| it.wake(here));
        self.kept(outcome, here);
        let outcome = self.publisher.as_mut().and_then(|it| it.wake(here));
        self.published(outcome, here);
        if tunnel {
            let said = self.client.as_mut().map(|it| it.wake(here));
            self.said(said.unwrap_or_default());
        }
        self.settle(here);
        for number in 0..self.loops.len() {
            let due = self.loops[number]
                .attempt
                .filter(|attempt| attempt.by <= here.now);
            if let Some(attempt) = due {
                self.drop_attempt(number, attempt, here);
            }
        }
        self.settle(here);
        for number in 0..self.loops.len() {
            self.take(number, Some(AgentInput::Timeout), here);
        }
        self.settle(here);
    }

    fn drop_attempt(&mut self, number: usize, attempt: Attempt, here: &mut Here<'_>) {
        let lane = self.loops[number].lane;
        match lane {
            Lane::Tunnel => {
                if let Some(client) = &mut self.client {
                    client.abandon();
                    if attempt.releasing {
                        client.hang_up(here);
                    }
                }
            }
            Lane::Lease => {
                if let Some(keeper) = &mut self.keeper {
                    keeper.abandon();
                }
            }
            Lane::Status => {
                self.gate = None;
                if let Some(publisher) = &mut self.publisher {
                    publisher.abandon();
                }
            }
        }
        self.end(lane, Err(("no answer in time".to_owned(), None)));
    }

    fn release(&mut self, which: impl Fn(Lane) -> bool) {
        for one in self.loops.iter().filter(|one| which(one.lane)) {
            self.inputs.push_back((one.lane, AgentInput::Release));
        }
    }

    /// Hands in what happened until nothing more follows from it.
    fn settle(&mut self, here: &mut Here<'_>) {
        loop {
            self.open_gate(here);
            self.tell_new();
            let Some((lane, input)) = self.inputs.pop_front() else {
                if self.stage == Stage::Tellers {
                    let mut tellers = self.loops.iter().filter(|one| one.lane == Lane::Status);
                    if tellers.all(|one| one.left) {
                        self.stage = Stage::All;
                        self.release(|lane| lane != Lane::Status);
                        continue;
                    }
                }
                return;
            };
            let number = self.loops.iter().position(|one| one.lane == lane);
            if let Some(number) = number {
                self.take(number, Some(input), here);
            }
        }
    }

    /// What the tunnel's transport tells once no attempt is under way.
    fn tell_new(&mut self) {
        let tunnel = self.loops.iter().find(|one| one.lane == Lane::Tunnel);
        let rests = tunnel.is_some_and(|one| one.attempt.is_none() && !one.left);
        if rests && self.inputs.is_empty() && std::mem::take(&mut self.is_new) {
            self.inputs
                .push_back((Lane::Tunnel, AgentInput::Reconnected));
        }
    }

    fn take(&mut self, number: usize, input: Option<AgentInput>, here: &mut Here<'_>) {
        if matches!(
            input,
            Some(AgentInput::Outcome(_) | AgentInput::Released { .. })
        ) {
            self.loops[number].attempt = None;
        }
        let input = input.and_then(|input| here.core.tamper.input(input));
        let (action, told) = self.loops[number].take(input, here);
        if let Some(interval) = told {
            for one in self.loops.iter().filter(|one| one.lane != Lane::Status) {
                self.inputs
                    .push_back((one.lane, AgentInput::Interval(interval)));
            }
        }
        match action {
            None => {}
            Some(Action::Send { sequence, by }) => self.send(number, sequence, by, here),
            Some(Action::Release { by }) => self.say_goodbye(number, by, here),
        }
    }

    fn send(&mut self, number: usize, sequence: Sequence, by: Instant, here: &mut Here<'_>) {
        let one = &mut self.loops[number];
        let lane = one.lane;
        let sequence = here.core.tamper.sequence(sequence);
        let now = here.core.now;
        here.core.facts.attempted(here.agent, lane, sequence, now);
        let config = *one.machine.config();
        let left = by.saturating_duration_since(here.now);
        let margin = (left / 10).min(MARGIN_MAX);
        one.attempt = Some(Attempt {
            by: if lane == Lane::Tunnel {
                by - margin
            } else {
                by
            },
            releasing: false,
        });
        let heartbeat = Heartbeat {
            identity: self.identity.clone(),
            sequence,
            interval: config.interval(),
            timeout: config.timeout(),
            carried: carried(here.health, here.health == HealthStatus::Healthy),
        };
        let wall = here.wall;
        match lane {
            Lane::Tunnel => {
                let payload = HeartbeatPayload::from(&heartbeat);
                let said = self.client.as_mut().map(|it| it.beat(payload, here));
                self.said(said.unwrap_or_default());
            }
            Lane::Lease => {
                let renewal = Renewal {
                    sequence,
                    timeout: heartbeat.timeout,
                    status: here.health,
                };
                let input = LeaseInput::Beat { renewal, wall, by };
                let outcome = self.keeper.as_mut().and_then(|it| it.begin(input, here));
                self.kept(outcome, here);
            }
            Lane::Status => {
                let condition = Condition::syncer_ready(&heartbeat.carried);
                self.gate = Some(StatusInput::Beat {
                    condition,
                    wall,
                    by,
                });
            }
        }
    }

    fn say_goodbye(&mut self, number: usize, by: Instant, here: &mut Here<'_>) {
        let lane = self.loops[number].lane;
        self.loops[number].attempt = Some(Attempt {
            by,
            releasing: true,
        });
        here.core.facts.leaving(here.agent, lane);
        let wall = here.wall;
        match lane {
            Lane::Tunnel => {
                let said = self.client.as_mut().map(|it| it.leave(here));
                self.said(said.unwrap_or_default());
            }
            Lane::Lease if here.core.tamper.forgets_release() => self.end(lane, Ok(None)),
            Lane::Lease => {
                let input = LeaseInput::Release { wall, by };
                let outcome = self.keeper.as_mut().and_then(|it| it.begin(input, here));
                self.kept(outcome, here);
            }
            Lane::Status => {
                self.gate = None;
                let held = |tenure: &Tenure| tenure.is_held(here.now, here.slept);
                if !self.tenure().is_none_or(held) {
                    return self.end(lane, Ok(None));
                }
                let input = StatusInput::Release { wall, by };
                let outcome = self.publisher.as_mut().and_then(|it| it.begin(input, here));
                self.published(outcome, here);
            }
        }
    }

    /// The publisher writes once the Lease is ours; who stands by is told so at once.
    fn open_gate(&mut self, here: &mut Here<'_>) {
        if self.gate.is_none() {
            return;
        }
        if let Some(tenure) = self.tenure() {
            let held = tenure.is_held(here.now, here.slept);
            if let Some(standing_by) = tenure.standing_by() {
                self.gate = None;
                return self.end(Lane::Status, Ok(Some(standing_by)));
            }
            if !held {
                return;
            }
        }
        if let Some(input) = self.gate.take() {
            let outcome = self.publisher.as_mut().and_then(|it| it.begin(input, here));
            self.published(outcome, here);
        }
    }
}
