use super::*;
use crate::HolderIdentity;
use crate::epoch::epoch;

mod herd;

#[test]
fn beats_come_once_an_interval_with_at_most_four_percent_of_jitter() {
    let mut rig = Rig::new(10_000, 30_000, 3);
    let mut last = rig.expect_send();
    for _ in 0..100 {
        rig.acknowledge();
        let sent = rig.expect_send();
        let gap = sent - last;
        assert!((10_000..=10_400).contains(&gap), "{gap} ms");
        last = sent;
    }
}

#[test]
fn the_same_seed_and_inputs_give_the_same_outputs() {
    let run = |seed| {
        let mut rig = Rig::seeded(seed);
        let mut log = Vec::new();
        for step in 0..200 {
            log.push(rig.expect_send());
            if step % 3 == 0 {
                rig.acknowledge()
            } else {
                rig.refuse(None)
            }
        }
        log
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn refused_attempts_are_retried_within_the_interval_and_bounded() {
    let mut rig = Rig::new(10_000, 30_000, 3);
    let mut attempts = vec![];
    while rig.elapsed() < 60_000 {
        attempts.push(rig.expect_send());
        rig.refuse(None);
    }
    let first = attempts.iter().filter(|at| **at < 10_000).count();
    assert!((2..=5).contains(&first), "{attempts:?}");
    assert!(attempts.len() <= 30, "{}", attempts.len());
}

/// component-helpers retries five times at once without a wait.
#[test]
fn pitfall_9_a_refused_connection_costs_a_bounded_number_of_attempts() {
    let mut rig = Rig::new(1_000, 3_000, 3);
    let mut count = 0;
    while rig.elapsed() < 600_000 {
        rig.expect_send();
        rig.refuse(None);
        count += 1;
    }
    assert!(count <= 5 * 600, "{count} attempts in 600 intervals");
    assert!(count >= 570, "and the loop never gives up: {count}");
}

#[test]
fn failed_comes_at_the_timeout_or_at_the_threshold_whichever_is_first() {
    // Three intervals of 10 s end after the timeout of 30 s, since beats are late by jitter.
    let mut rig = Rig::new(10_000, 30_000, 3);
    rig.expect_send();
    rig.acknowledge();
    assert_eq!(rig.refuse_until_failed(), 30_000);
    // With a long timeout the threshold is first.
    let mut rig = Rig::new(10_000, 300_000, 2);
    rig.expect_send();
    rig.acknowledge();
    let failed = rig.refuse_until_failed();
    assert!((30_000..=31_200).contains(&failed), "{failed}");
}

#[test]
fn an_answer_after_a_failure_recovers_and_only_then() {
    let mut rig = Rig::new(1_000, 3_000, 3);
    rig.expect_send();
    rig.acknowledge();
    rig.refuse_until_failed();
    rig.expect_send();
    rig.acknowledge();
    rig.expect_send();
    rig.acknowledge();
    let recovered = rig
        .events
        .iter()
        .filter(|e| matches!(e, EventKind::Recovered { .. }))
        .count();
    assert_eq!(recovered, 1);
    assert_eq!(rig.machine.state, AgentState::Alive);
}

#[test]
fn an_error_is_news_once_and_again_after_a_beat_that_went_well() {
    let (refused, taken) = (Some("refused"), None);
    for (attempts, expected) in [
        (&[refused, refused, refused][..], 1),
        // Each beat is taken at its second attempt.
        (&[refused, taken, refused, taken, refused, taken], 1),
        // The last acknowledgement is of a first attempt.
        (&[refused, taken, taken, refused, refused], 2),
        // A server that comes back fails in several ways in turn.
        (&[refused, Some("late"), refused, Some("late"), refused], 2),
    ] {
        let mut rig = Rig::new(1_000, 3_000, 3);
        for attempt in attempts {
            rig.expect_send();
            match attempt {
                Some(error) => rig.fail(error, None),
                None => rig.acknowledge(),
            }
        }
        let news = |e: &&EventKind| matches!(e, EventKind::AttemptFailed { is_news: true, .. });
        let news = rig.events.iter().filter(news).count();
        assert_eq!(news, expected, "{attempts:?}");
    }
}

/// What is remembered is bounded, whatever a server says.
#[test]
fn errors_that_never_repeat_are_all_told_and_soon_forgotten() {
    let mut rig = Rig::new(1_000, 3_000, 3);
    for number in 0..100 {
        rig.expect_send();
        rig.fail(&number.to_string(), None);
    }
    let news = |e: &&EventKind| matches!(e, EventKind::AttemptFailed { is_news: true, .. });
    assert_eq!(rig.events.iter().filter(news).count(), 100);
    assert!(rig.machine.told.len() <= 8);
}

/// client-go #65094: with a timeout equal to the deadline one hang lost everything.
#[test]
fn pitfall_12_a_hanging_attempt_leaves_room_for_another_in_the_same_interval() {
    let mut rig = Rig::new(10_000, 30_000, 3);
    rig.expect_send();
    rig.hang();
    rig.expect_send();
    rig.acknowledge();
    assert!(rig.elapsed() < 10_000, "{}", rig.elapsed());
    assert!(
        !rig.events
            .iter()
            .any(|e| matches!(e, EventKind::Missed { .. }))
    );
}

#[test]
fn retry_after_is_obeyed_up_to_half_the_timeout() {
    let mut rig = Rig::new(10_000, 30_000, 3);
    rig.expect_send();
    rig.refuse(Some(Duration::from_secs(12)));
    assert!((12_000..=12_500).contains(&rig.expect_send()));
    rig.refuse(Some(Duration::from_secs(3600)));
    let next = rig.expect_send();
    assert!((27_000..=28_500).contains(&next), "{next}");
}

/// What else brings the next beat forward does not bring it into the time that was asked for.
#[test]
fn a_retry_after_outlasts_whatever_else_brings_a_beat_forward() {
    for input in [
        AgentInput::Paused(Duration::from_secs(2)),
        AgentInput::Interval(Duration::from_secs(1)),
        AgentInput::Prompt,
        AgentInput::Reconnected,
    ] {
        let shown = format!("{input:?}");
        let mut rig = Rig::seeded(1);
        rig.expect_send();
        rig.answer(Acknowledgement {
            retry_after: Some(Duration::from_secs(12)),
            ..Acknowledgement::default()
        });
        rig.now += Duration::from_secs(3);
        rig.machine.handle(input, rig.now);
        assert_eq!(rig.expect_send(), 12_000, "{shown}");
    }
}

#[test]
fn an_answer_moves_the_interval_within_its_bounds_and_the_timeout_with_it() {
    let config = HeartbeatConfig::default();
    let mut rig = Rig::with(config, 1);
    rig.expect_send();
    let told = Some(Duration::from_secs(20));
    rig.answer(Acknowledgement {
        interval: told,
        ..Acknowledgement::default()
    });
    assert_eq!(rig.machine.config().timeout(), Duration::from_secs(60));
    let first = rig.expect_send();
    rig.acknowledge();
    let gap = rig.expect_send() - first;
    assert!((20_000..=20_800).contains(&gap), "{gap}");
}

#[test]
fn standing_by_is_an_answer_and_taking_over_is_told() {
    let mut rig = Rig::new(1_000, 3_000, 3);
    for _ in 0..20 {
        rig.expect_send();
        rig.answer(Acknowledgement::standing_by(HolderIdentity::from("bob_1")));
    }
    assert_eq!(rig.machine.state, AgentState::StandingBy);
    let stood = rig
        .events
        .iter()
        .filter(|e| matches!(e, EventKind::StoodBy { .. }))
        .count();
    assert_eq!(stood, 1, "a transition is told once");
    rig.expect_send();
    rig.acknowledge();
    assert!(rig.events.contains(&EventKind::TookOver));
}

/// Kubernetes #113081 and its kin: what the process itself slept through is nobody's silence.
#[test]
fn pitfall_14_a_pause_of_the_process_is_not_a_silence() {
    let mut rig = Rig::new(1_000, 3_000, 3);
    rig.expect_send();
    rig.acknowledge();
    rig.now += Duration::from_secs(3600);
    rig.machine
        .handle(AgentInput::Paused(Duration::from_secs(3600)), rig.now);
    rig.drain();
    rig.machine.handle(AgentInput::Timeout, rig.now);
    assert_eq!(rig.machine.state, AgentState::Alive);
    let at = rig.elapsed();
    assert_eq!(rig.expect_send(), at, "and the next beat is due at once");
}

#[test]
fn a_prompt_brings_the_next_beat_forward() {
    let mut rig = Rig::new(20_000, 60_000, 3);
    rig.expect_send();
    rig.acknowledge();
    rig.now += Duration::from_millis(700);
    rig.machine.handle(AgentInput::Prompt, rig.now);
    assert_eq!(rig.expect_send(), 700);
}

/// What changed while an attempt was under way is not in it.
#[test]
fn a_prompt_during_an_attempt_is_obeyed_after_it_and_never_beside_it() {
    let mut rig = Rig::new(20_000, 60_000, 3);
    rig.expect_send();
    rig.machine.handle(AgentInput::Prompt, rig.now);
    assert_eq!(rig.machine.poll(), None, "one is under way");
    rig.now += Duration::from_millis(300);
    rig.acknowledge();
    assert_eq!(rig.expect_send(), 300);
    rig.acknowledge();
    assert!(rig.expect_send() >= 20_000, "and once only");
}

/// A hub that was started again knows nothing until it hears a beat.
#[test]
fn a_new_connection_brings_the_next_beat_forward() {
    let mut rig = Rig::new(20_000, 60_000, 3);
    rig.expect_send();
    rig.acknowledge();
    rig.now += Duration::from_millis(700);
    rig.machine.handle(AgentInput::Reconnected, rig.now);
    assert_eq!(rig.expect_send(), 700);
    rig.acknowledge();
    assert!(rig.expect_send() >= 20_000, "and once only");
}

#[test]
fn a_new_connection_takes_the_beat_that_waits_for_another_attempt() {
    let mut rig = Rig::new(20_000, 60_000, 3);
    rig.expect_send();
    rig.refuse(None);
    rig.machine.handle(AgentInput::Reconnected, rig.now);
    assert_eq!(rig.expect_send(), 0);
    rig.acknowledge();
    assert!(rig.expect_send() >= 20_000);
    let is_missed = |event: &EventKind| matches!(event, EventKind::Missed { .. });
    assert!(!rig.events.iter().any(is_missed), "{:?}", rig.events);
}

#[test]
fn a_new_connection_respects_who_asked_to_be_left_alone() {
    let mut rig = Rig::new(10_000, 30_000, 3);
    rig.expect_send();
    rig.refuse(Some(Duration::from_secs(12)));
    rig.machine.handle(AgentInput::Reconnected, rig.now);
    assert!((12_000..=12_500).contains(&rig.expect_send()));
}

/// A prompt that told nothing new must not put off the next regular beat.
#[test]
fn an_answer_may_want_the_next_beat_earlier() {
    let mut rig = Rig::new(20_000, 60_000, 3);
    rig.expect_send();
    rig.answer(Acknowledgement {
        again_within: Some(Duration::from_secs(7)),
        ..Acknowledgement::default()
    });
    assert_eq!(rig.expect_send(), 7_000);
}

#[test]
fn release_drops_the_attempt_under_way_and_ends_the_machine() {
    let mut rig = Rig::new(1_000, 3_000, 3);
    rig.expect_send();
    rig.machine.handle(AgentInput::Release, rig.now);
    assert_eq!(
        rig.machine.poll(),
        Some(AgentOutput::Release {
            by: rig.now + RELEASE_TIMEOUT
        })
    );
    assert_eq!(rig.machine.poll_timeout(), None);
    rig.acknowledge();
    rig.machine
        .handle(AgentInput::Released { acknowledged: true }, rig.now);
    rig.machine.handle(AgentInput::Release, rig.now);
    rig.drain();
    assert_eq!(
        rig.events.last(),
        Some(&EventKind::Released { acknowledged: true })
    );
}

/// A machine with a clock moved by hand, in milliseconds after its start.
struct Rig {
    machine: AgentMachine,
    start: Instant,
    now: Instant,
    send: Option<Instant>,
    events: Vec<EventKind>,
}

impl Rig {
    fn new(interval: u64, timeout: u64, threshold: u32) -> Self {
        let config = HeartbeatConfig::new(
            Duration::from_millis(interval),
            Duration::from_millis(timeout),
            threshold,
        );
        Self::with(config.unwrap(), 42)
    }

    fn seeded(seed: u64) -> Self {
        Self::with(HeartbeatConfig::default(), seed)
    }

    fn with(config: HeartbeatConfig, seed: u64) -> Self {
        let start = epoch();
        let machine = AgentMachine::new(config, seed, start);
        Self {
            machine,
            start,
            now: start,
            send: None,
            events: Vec::new(),
        }
    }

    fn elapsed(&self) -> u128 {
        self.now.duration_since(self.start).as_millis()
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                AgentOutput::Send { by, .. } => {
                    assert!(self.send.is_none(), "two attempts at once");
                    self.send = Some(by);
                }
                AgentOutput::Event(event) => self.events.push(event),
                AgentOutput::Release { .. } => {}
            }
        }
    }

    /// Moves the clock until an attempt is asked for, and gives its time.
    #[track_caller]
    fn expect_send(&mut self) -> u128 {
        self.drain();
        while self.send.is_none() {
            self.now = self
                .now
                .max(self.machine.poll_timeout().expect("a running machine"));
            self.machine.handle(AgentInput::Timeout, self.now);
            self.drain();
        }
        self.elapsed()
    }

    fn answer(&mut self, ack: Acknowledgement) {
        self.send = None;
        let outcome = AttemptOutcome::Acknowledged(ack);
        self.machine.handle(AgentInput::Outcome(outcome), self.now);
        self.drain();
    }

    fn acknowledge(&mut self) {
        self.answer(Acknowledgement::default());
    }

    fn refuse(&mut self, retry_after: Option<Duration>) {
        self.fail("refused", retry_after);
    }

    fn fail(&mut self, error: &str, retry_after: Option<Duration>) {
        self.send = None;
        let outcome = AttemptOutcome::Failed {
            error: error.to_owned(),
            retry_after,
        };
        self.machine.handle(AgentInput::Outcome(outcome), self.now);
        self.drain();
    }

    fn hang(&mut self) {
        self.now = self.send.expect("an attempt is under way");
        self.refuse(None);
    }

    /// Refuses every attempt until the machine has failed, and gives that time.
    fn refuse_until_failed(&mut self) -> u128 {
        loop {
            self.expect_send();
            if self
                .events
                .iter()
                .any(|e| matches!(e, EventKind::Failed { .. }))
            {
                return self.elapsed();
            }
            self.refuse(None);
            while self.machine.state != AgentState::Failed && self.send.is_none() {
                self.now = self.now.max(self.machine.poll_timeout().unwrap());
                self.machine.handle(AgentInput::Timeout, self.now);
                self.drain();
            }
            if self.machine.state == AgentState::Failed {
                return self.elapsed();
            }
        }
    }
}
