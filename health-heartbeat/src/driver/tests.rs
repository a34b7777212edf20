use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use health_core::Board;
use health_core::Carried;
use health_core::ComponentSpec;
use health_core::Outcome;
use health_core::Probe;
use health_core::ProbeRules;
use health_core::Query;
use health_core::Scope;

use super::*;
use crate::Acknowledgement;
use crate::AgentState;
use crate::BeatError;
use crate::EventKind;
use crate::TransportName;

#[tokio::test(start_paused = true)]
async fn a_transport_that_answers_is_alive_and_beats_each_interval() {
    let (heartbeater, beats, _changes) = spawn(Script::Answer, false);
    tokio::time::sleep(Duration::from_secs(101)).await;
    assert_eq!(state(&heartbeater), AgentState::Alive);
    let count = beats.lock().unwrap().len();
    assert!((10..=11).contains(&count), "{count} beats in 101 s");
}

/// kubert's Lease task ended after three retries, and linkerd looked ready for days.
#[tokio::test(start_paused = true)]
async fn pitfall_3_ten_minutes_without_an_answer_do_not_end_the_loop() {
    let script = Script::Until(now() + Duration::from_secs(600));
    let (heartbeater, _, _changes) = spawn(script, false);
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(state(&heartbeater), AgentState::Failed);
    assert!(
        heartbeater
            .pulses()
            .all(|pulse| pulse.stalled(now()).is_none())
    );
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(
        state(&heartbeater),
        AgentState::Alive,
        "recovered within an interval"
    );
}

/// The other half of it: a loop that ended all the same is found by liveness.
#[tokio::test(start_paused = true)]
async fn pitfall_3_a_loop_that_ended_is_stalled() {
    let (heartbeater, _, _changes) = spawn(Script::Answer, false);
    let pulses: Vec<_> = heartbeater.pulses().cloned().collect();
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(pulses[0].stalled(now()), None);
    drop(heartbeater);
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(pulses[0].stalled(now()).is_some());
}

/// Kubernetes #48638: a half-open connection held the kubelet for fifteen minutes.
#[tokio::test(start_paused = true)]
async fn pitfall_7_an_attempt_that_hangs_is_dropped_at_its_deadline() {
    let (heartbeater, beats, _changes) = spawn(Script::Hang, false);
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert!(beats.lock().unwrap().len() >= 3, "attempts go on");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(state(&heartbeater), AgentState::Failed);
    let error = heartbeater.snapshot().transports[0].error.clone();
    assert_eq!(error.as_deref(), Some("no answer in time"));
}

#[tokio::test(start_paused = true)]
async fn pitfall_37_a_transport_that_panics_is_a_failed_attempt() {
    let (heartbeater, beats, _changes) = spawn(Script::Panic, false);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(beats.lock().unwrap().len() >= 10);
    assert_eq!(state(&heartbeater), AgentState::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_health_brings_a_prompt_transport_forward() {
    let (_heartbeater, beats, changes) = spawn(Script::Answer, true);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(beats.lock().unwrap().len(), 1);
    changes.send_replace(Revision::default());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(beats.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_results_are_told_at_once_and_later_ones_with_the_next_beat() {
    let beats = Beats::default();
    let (moved, changes) = watch::channel(Revision::default());
    let mut board = Board::new(now());
    let [one, other] = ["one", "other"].map(|name| {
        let spec = ComponentSpec::new(name.parse().unwrap());
        board.register(spec, now()).unwrap()
    });
    let board = Arc::new(Mutex::new(board));
    let config = HeartbeaterConfig {
        source: Arc::new(Shown(Arc::clone(&board))),
        ..heartbeater_config(changes)
    };
    let setup = TransportSetup {
        transport: Box::new(Scripted(Script::Answer, Arc::clone(&beats))),
        config: HeartbeatConfig::default(),
        prompt: false,
    };
    let _heartbeater = Heartbeater::spawn(&config, vec![setup]);
    for (id, outcome, expected) in [
        (one, Outcome::healthy(), 1),
        (other, Outcome::healthy(), 2),
        (one, Outcome::unhealthy("Refused", ""), 2),
    ] {
        tokio::time::sleep(Duration::from_millis(10)).await;
        board
            .lock()
            .unwrap()
            .record(id, outcome, Duration::ZERO, now());
        moved.send_replace(Revision::default());
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(beats.lock().unwrap().len(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_has_a_new_connection_beats_at_once() {
    let beats = Beats::default();
    let (_moved, changes) = watch::channel(Revision::default());
    let (connect, connected) = tokio::sync::mpsc::channel(1);
    let setup = TransportSetup {
        transport: Box::new(Connecting(connected, Arc::clone(&beats))),
        config: HeartbeatConfig::default(),
        prompt: false,
    };
    let _heartbeater = Heartbeater::spawn(&heartbeater_config(changes), vec![setup]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(beats.lock().unwrap().len(), 1);
    connect.send(()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(beats.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn release_says_goodbye_once_even_across_an_attempt_under_way() {
    for script in [Script::Answer, Script::Hang] {
        let (heartbeater, beats, _changes) = spawn(script, false);
        let mut events = heartbeater.subscribe();
        tokio::time::sleep(Duration::from_millis(1)).await;
        tokio::time::timeout(Duration::from_secs(6), heartbeater.release())
            .await
            .unwrap();
        let mut released = 0;
        while let Ok(event) = events.try_recv() {
            released += u32::from(event.kind == EventKind::Released { acknowledged: true });
        }
        assert_eq!(released, 1);
        assert_eq!(
            beats.lock().unwrap().back(),
            Some(&u64::MAX),
            "the goodbye is last"
        );
    }
}

/// A Lease that is released first could not be told on the SyncTarget any more.
#[tokio::test(start_paused = true)]
async fn those_that_tell_health_leave_before_the_others() {
    let log = Beats::default();
    let (sender, changes) = watch::channel(Revision::default());
    let setups = [(1, false), (2, true)].map(|(tag, prompt)| TransportSetup {
        transport: Box::new(Tagged(tag, Arc::clone(&log))),
        config: HeartbeatConfig::default(),
        prompt,
    });
    let heartbeater = Heartbeater::spawn(&heartbeater_config(changes), setups.into());
    heartbeater.release().await;
    assert_eq!(*log.lock().unwrap(), [2, 1]);
    drop(sender);
}

#[tokio::test(start_paused = true)]
async fn dropping_every_handle_ends_the_loops_without_a_goodbye() {
    let (heartbeater, beats, _changes) = spawn(Script::Answer, false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(heartbeater);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(beats.lock().unwrap().len(), 1);
}

#[derive(Clone, Copy)]
enum Script {
    Answer,
    Hang,
    Panic,
    Until(Instant),
}

type Beats = Arc<Mutex<VecDeque<u64>>>;

/// Notes each beat's sequence, and a goodbye as `u64::MAX`.
struct Scripted(Script, Beats);

#[async_trait]
impl HeartbeatTransport for Scripted {
    fn name(&self) -> TransportName {
        TransportName("scripted")
    }

    async fn beat(
        &mut self,
        heartbeat: &Heartbeat,
        _by: Instant,
    ) -> Result<Acknowledgement, BeatError> {
        self.1.lock().unwrap().push_back(heartbeat.sequence.0);
        match self.0 {
            Script::Answer => Ok(Acknowledgement::default()),
            Script::Hang => std::future::pending().await,
            Script::Panic => panic!("scripted"),
            Script::Until(at) if now() < at => Err(BeatError::new("refused")),
            Script::Until(_) => Ok(Acknowledgement::default()),
        }
    }

    async fn release(&mut self, _by: Instant) -> Result<(), BeatError> {
        self.1.lock().unwrap().push_back(u64::MAX);
        Ok(())
    }
}

/// Has a new connection whenever it is told so, and notes each beat.
struct Connecting(tokio::sync::mpsc::Receiver<()>, Beats);

#[async_trait]
impl HeartbeatTransport for Connecting {
    fn name(&self) -> TransportName {
        TransportName("connecting")
    }

    async fn beat(&mut self, beat: &Heartbeat, _: Instant) -> Result<Acknowledgement, BeatError> {
        self.1.lock().unwrap().push_back(beat.sequence.0);
        Ok(Acknowledgement::default())
    }

    async fn reconnected(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }

    async fn release(&mut self, _by: Instant) -> Result<(), BeatError> {
        Ok(())
    }
}

struct Fine;

impl HealthSource for Fine {
    fn carried(&self, now: Instant) -> Carried {
        carried(&mut Board::new(now), now)
    }
}

/// What a board shows.
struct Shown(Arc<Mutex<Board>>);

impl HealthSource for Shown {
    fn carried(&self, now: Instant) -> Carried {
        carried(&mut self.0.lock().unwrap(), now)
    }
}

fn carried(board: &mut Board, now: Instant) -> Carried {
    Carried {
        verdict: board.verdict(&Query::of(Scope::All), now),
        readiness: board.probe(Probe::Readiness, ProbeRules::default(), &[], &[], now),
        age: Duration::ZERO,
    }
}

fn spawn(script: Script, prompt: bool) -> (Heartbeater, Beats, watch::Sender<Revision>) {
    let beats = Beats::default();
    let (sender, changes) = watch::channel(Revision::default());
    let config = heartbeater_config(changes);
    let transport = Box::new(Scripted(script, Arc::clone(&beats)));
    let setup = TransportSetup {
        transport,
        config: HeartbeatConfig::default(),
        prompt,
    };
    (Heartbeater::spawn(&config, vec![setup]), beats, sender)
}

fn state(heartbeater: &Heartbeater) -> AgentState {
    heartbeater.snapshot().transports[0].state
}

fn heartbeater_config(changes: watch::Receiver<Revision>) -> HeartbeaterConfig {
    HeartbeaterConfig {
        identity: Identity {
            slot: "alice".into(),
            incarnation: "1".into(),
        },
        requirement: Requirement::Any,
        seed: 7,
        source: Arc::new(Fine),
        changes,
    }
}

/// Notes its tag when it says goodbye, a moment after it was asked to.
struct Tagged(u64, Beats);

#[async_trait]
impl HeartbeatTransport for Tagged {
    fn name(&self) -> TransportName {
        TransportName("tagged")
    }

    async fn beat(&mut self, _: &Heartbeat, _: Instant) -> Result<Acknowledgement, BeatError> {
        Ok(Acknowledgement::default())
    }

    async fn release(&mut self, _by: Instant) -> Result<(), BeatError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.1.lock().unwrap().push_back(self.0);
        Ok(())
    }
}
