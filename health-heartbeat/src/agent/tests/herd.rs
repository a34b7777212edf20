//! Five thousand agents of one API server.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::epoch::epoch;

const AGENTS: u64 = 5_000;

/// From beat to beat, with half of the jitter.
const PERIOD: Duration = Duration::from_millis(10_200);

/// Kubernetes #101652: 5,000 nodes that beat every 10 s wrote 0 to 300 Leases in a tenth of a
/// second without jitter, and 40 to 60 with 4 %.
#[test]
fn pitfall_49_the_writes_of_a_fleet_stay_within_a_band() {
    let mut herd = Herd::spread_over(PERIOD);
    let writes = herd.run(300_000, |_| Answer::Done);
    // A tenth of a second has 49 of them; what is drawn at random is rarely 4.5 roots off.
    let steady = &writes[100..];
    let (least, most) = (steady.iter().min().unwrap(), steady.iter().max().unwrap());
    assert!(*least >= 17 && *most <= 85, "{least} to {most}");
}

/// All of them were started by the same rollout: each interval they are further apart.
#[test]
fn pitfall_49_a_fleet_that_begins_at_once_spreads() {
    let mut herd = Herd::spread_over(Duration::ZERO);
    let writes = herd.run(1_800_000, |_| Answer::Done);
    assert_eq!(writes[0], AGENTS);
    let peak = |range: std::ops::Range<usize>| *writes[range].iter().max().unwrap();
    assert!(peak(1..200) <= 1_500, "{}", peak(1..200));
    assert!(peak(2_000..2_200) <= 450, "{}", peak(2_000..2_200));
    assert!(peak(17_000..18_000) <= 180, "{}", peak(17_000..18_000));
}

/// A server that was away, or asked for patience, is not run over when it is back.
#[test]
fn pitfall_49_an_outage_does_not_bring_a_fleet_together() {
    for refusal in [Answer::Refused, Answer::Busy(ms(5_000)), Answer::Hangs] {
        let mut herd = Herd::spread_over(PERIOD);
        let writes = herd.run(300_000, |at| match at {
            60_000..120_000 => refusal,
            _ => Answer::Done,
        });
        let peak = writes.iter().max().unwrap();
        assert!(*peak <= 330, "{refusal:?}: {peak}");
        let after = writes[1_500..].iter().max().unwrap();
        assert!(*after <= 100, "{refusal:?}: {after} half a minute later");
    }
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Done,
    Refused,
    Busy(Duration),
    /// Never: the attempt ends at its deadline.
    Hangs,
}

/// Machines with seeds of their own, and one clock.
struct Herd {
    machines: Vec<AgentMachine>,
    start: Instant,
    /// When which machine wants a timeout; the newest of each counts.
    wakes: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Herd {
    /// Machines of 10 s and 30 s that are started within `spread`.
    fn spread_over(spread: Duration) -> Self {
        let start = epoch();
        let mut chance = fastrand::Rng::with_seed(49);
        let mut herd = Self {
            machines: Vec::new(),
            start,
            wakes: BinaryHeap::new(),
        };
        for number in 0..AGENTS {
            let at = start + spread.mul_f64(chance.f64());
            let config = HeartbeatConfig::default();
            herd.machines.push(AgentMachine::new(config, number, at));
            let machine = herd.machines.len() - 1;
            herd.wakes.push(Reverse((at, machine)));
        }
        herd
    }

    /// How many attempts came in each tenth of a second, each answered 5 ms later.
    fn run(&mut self, millis: u64, answer: impl Fn(u128) -> Answer) -> Vec<u64> {
        let mut writes = vec![0; usize::try_from(millis / 100).unwrap()];
        let end = self.start + ms(millis);
        let mut pending: Vec<Option<(Instant, Answer)>> = vec![None; self.machines.len()];
        while let Some(Reverse((now, number))) = self.wakes.pop().filter(|it| it.0.0 < end) {
            let machine = &mut self.machines[number];
            if let Some((_, answer)) = pending[number].take_if(|(at, _)| *at <= now) {
                machine.handle(AgentInput::Outcome(outcome_of(answer)), now);
            } else {
                machine.handle(AgentInput::Timeout, now);
            }
            while let Some(output) = machine.poll() {
                let AgentOutput::Send { by, .. } = output else {
                    continue;
                };
                let at = now.duration_since(self.start).as_millis();
                writes[usize::try_from(at / 100).unwrap()] += 1;
                let answer = answer(at);
                let settled = match answer {
                    Answer::Hangs => by,
                    Answer::Done | Answer::Refused | Answer::Busy(_) => by.min(now + ms(5)),
                };
                pending[number] = Some((settled, answer));
            }
            let settled = pending[number].map(|(at, _)| at);
            let next = machine.poll_timeout().into_iter().chain(settled).min();
            self.wakes
                .extend(next.map(|at| Reverse((at.max(now), number))));
        }
        writes
    }
}

fn outcome_of(answer: Answer) -> AttemptOutcome {
    let failed = |retry_after| AttemptOutcome::Failed {
        error: "refused".to_owned(),
        retry_after,
    };
    match answer {
        Answer::Done => AttemptOutcome::Acknowledged(Acknowledgement::default()),
        Answer::Refused | Answer::Hangs => failed(None),
        Answer::Busy(wait) => failed(Some(wait)),
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
