//! The plan of what goes wrong, drawn from the seed, and how each of it comes to pass.

use std::time::Duration;

use fastrand::Rng;
use health_core::HealthStatus;

use crate::link::Weather;
use crate::scenario::Scenario;
use crate::server::Mood;
use crate::world::Time;

/// One thing that comes to pass at one time.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) at: Time,
    pub(crate) act: Act,
}

/// What comes to pass.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Crash {
        agent: usize,
        hard: bool,
    },
    Start {
        agent: usize,
    },
    Leave {
        agent: usize,
    },
    Halt {
        agent: usize,
        suspend: bool,
    },
    GoOn {
        agent: usize,
    },
    Step {
        agent: usize,
        millis: i64,
    },
    Health {
        agent: usize,
        status: HealthStatus,
    },
    Partition {
        agent: usize,
        path: Path,
        blocked: [bool; 2],
    },
    Weather {
        agent: usize,
        path: Path,
        weather: Weather,
    },
    Reset {
        agent: usize,
        ends: [bool; 2],
    },
    HubCrash,
    HubStart,
    HubHalt {
        suspend: bool,
    },
    HubGoOn,
    HubRefuses(Option<Duration>),
    HubTerms(Option<Duration>),
    Mood(Mood),
    Down,
    Up,
    Stall,
    Unstall,
    /// The hub's machine is cut off from agents and server.
    Deaf,
    Hear,
    DeleteLease {
        target: usize,
    },
    Recreate {
        target: usize,
    },
    /// Everything is well again; who is to stay dead does.
    Heal {
        dead: Vec<usize>,
    },
}

/// Which of an agent's two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    Api,
    Hub,
}

/// Draws the plan: everything in it is over when the scenario heals.
pub(crate) fn draw(scenario: &Scenario, chance: &mut Rng) -> Vec<Fault> {
    let mut plan = Plan {
        scenario,
        chance,
        faults: Vec::new(),
    };
    for _ in 0..plan.chance.u32(2..=16) {
        plan.fault();
    }
    let dead = (0..scenario.agents.len())
        .filter(|_| plan.chance.u8(..6) == 0)
        .collect();
    let mut faults = plan.faults;
    faults.push(Fault {
        at: scenario.heal,
        act: Act::Heal { dead },
    });
    faults.sort_by_key(|fault| fault.at);
    faults
}

struct Plan<'a> {
    scenario: &'a Scenario,
    chance: &'a mut Rng,
    faults: Vec<Fault>,
}

// === impl Plan ===

impl Plan<'_> {
    fn fault(&mut self) {
        let agent = self.chance.usize(..self.scenario.agents.len());
        let target = self.scenario.agents[agent].target;
        let path = if self.chance.bool() {
            Path::Api
        } else {
            Path::Hub
        };
        let (at, until) = self.window();
        match self.chance.u8(..23) {
            0 | 1 => {
                let hard = self.chance.bool();
                self.add(at, Act::Crash { agent, hard });
                self.add(until, Act::Start { agent });
            }
            2 => {
                self.add(at, Act::Leave { agent });
                self.add(until, Act::Start { agent });
            }
            3..=5 => {
                let suspend = self.chance.bool();
                self.add(at, Act::Halt { agent, suspend });
                self.add(until, Act::GoOn { agent });
            }
            6 => {
                let millis = self.chance.i64(-100_000..=100_000);
                self.add(at, Act::Step { agent, millis });
            }
            7 => {
                let status = HealthStatus::ALL[self.chance.usize(..HealthStatus::ALL.len())];
                self.add(at, Act::Health { agent, status });
                self.add(
                    until,
                    Act::Health {
                        agent,
                        status: HealthStatus::Healthy,
                    },
                );
            }
            8..=10 => {
                let blocked = [[true, true], [true, false], [false, true]][self.chance.usize(..3)];
                self.add(
                    at,
                    Act::Partition {
                        agent,
                        path,
                        blocked,
                    },
                );
                self.add(
                    until,
                    Act::Partition {
                        agent,
                        path,
                        blocked: [false; 2],
                    },
                );
            }
            11 | 12 => {
                let weather = self.weather();
                self.add(
                    at,
                    Act::Weather {
                        agent,
                        path,
                        weather,
                    },
                );
                self.add(
                    until,
                    Act::Weather {
                        agent,
                        path,
                        weather: Weather::FINE,
                    },
                );
            }
            13 => {
                let ends = [[true, true], [true, false], [false, true]][self.chance.usize(..3)];
                self.add(at, Act::Reset { agent, ends });
            }
            14 => {
                self.add(at, Act::HubCrash);
                self.add(until, Act::HubStart);
            }
            15 => {
                let suspend = self.chance.bool();
                self.add(at, Act::HubHalt { suspend });
                self.add(until, Act::HubGoOn);
            }
            16 => {
                let retry_after = Duration::from_secs(self.chance.u64(1..=20));
                self.add(at, Act::HubRefuses(Some(retry_after)));
                self.add(until, Act::HubRefuses(None));
            }
            17 => {
                let share = [0.5, 1.5, 2.0][self.chance.usize(..3)];
                let interval = self.scenario.interval.mul_f64(share);
                self.add(at, Act::HubTerms(Some(interval)));
                self.add(until, Act::HubTerms(Some(self.scenario.interval)));
            }
            18 => {
                self.add(at, Act::Stall);
                self.add(until, Act::Unstall);
            }
            20 | 21 => {
                self.add(at, Act::Deaf);
                self.add(until, Act::Hear);
            }
            19 if self.chance.bool() => self.add(at, Act::DeleteLease { target }),
            19 => self.add(at, Act::Recreate { target }),
            _ => {
                self.add(at, Act::Down);
                self.add(until, Act::Up);
            }
        }
        if self.chance.bool() {
            let mood = self.mood();
            let (at, until) = self.window();
            self.add(at, Act::Mood(mood));
            self.add(until, Act::Mood(Mood::default()));
        }
    }

    /// From when to when: shorter than an interval, about a timeout, or several of them.
    fn window(&mut self) -> (Time, Time) {
        let heal = self.scenario.heal;
        let at = heal.mul_f64(self.chance.f64());
        let longest = match self.chance.u8(..4) {
            0 => self.scenario.interval,
            1 | 2 => self.scenario.timeout.mul_f64(1.5),
            _ => self.scenario.timeout * 4,
        };
        // A pause of less than a second is a busy machine, which nobody notices.
        let lasts = Duration::from_millis(1_100) + longest.mul_f64(self.chance.f64());
        (at, (at + lasts).min(heal))
    }

    fn weather(&mut self) -> Weather {
        let slowest = self.scenario.timeout.mul_f64(self.chance.f64());
        Weather {
            delay_min: Duration::from_millis(1),
            delay_max: slowest.max(Duration::from_millis(2)),
            loss: [0, 10, 50][self.chance.usize(..3)],
            duplicate: [0, 10, 50][self.chance.usize(..3)],
        }
    }

    fn mood(&mut self) -> Mood {
        let mut mood = Mood::default();
        let share = [5, 20, 50, 100][self.chance.usize(..4)];
        match self.chance.u8(..8) {
            0 => mood.hang = share,
            1 => mood.lost_answer = share,
            2 => mood.rival = share,
            3 => {
                mood.busy = share;
                mood.retry_after = self.chance.u64(1..=60);
            }
            4 => mood.error = share,
            5 => mood.late_error = share,
            6 => mood.slow = self.scenario.interval.as_millis() as u64,
            _ => {
                mood = Mood {
                    hang: 5,
                    lost_answer: 5,
                    rival: 10,
                    busy: 5,
                    retry_after: self.chance.u64(1..=20),
                    error: 5,
                    late_error: 5,
                    slow: 1_000,
                }
            }
        }
        mood
    }

    fn add(&mut self, at: Time, act: Act) {
        self.faults.push(Fault { at, act });
    }
}

// === impl Act ===

impl Act {
    /// The kind, as it is counted; nothing for what ends a fault.
    pub(crate) const fn kind(&self) -> Option<&'static str> {
        Some(match self {
            Self::Crash { hard: false, .. } => "process crashed",
            Self::Crash { hard: true, .. } => "machine crashed",
            Self::Leave { .. } => "agent left",
            Self::Halt { suspend: false, .. } => "agent stopped",
            Self::Halt { suspend: true, .. } => "agent suspended",
            Self::Step { .. } => "clock stepped",
            Self::Health { .. } => "health changed",
            Self::Partition {
                blocked: [true, true],
                ..
            } => "partition",
            Self::Partition {
                blocked: [false, false],
                ..
            } => return None,
            Self::Partition { .. } => "half-open",
            Self::Weather { .. } => "bad link",
            Self::Reset { .. } => "tunnel reset",
            Self::HubCrash => "hub crashed",
            Self::HubHalt { .. } => "hub halted",
            Self::HubRefuses(Some(_)) => "hub refused",
            Self::HubTerms(_) => "interval told",
            Self::Mood(mood) => return mood.kind(),
            Self::Down => "server restarted",
            Self::Stall => "watch stalled",
            Self::Deaf => "hub cut off",
            Self::DeleteLease { .. } => "Lease deleted",
            Self::Recreate { .. } => "SyncTarget recreated",
            Self::Start { .. }
            | Self::GoOn { .. }
            | Self::HubStart
            | Self::HubGoOn
            | Self::HubRefuses(None)
            | Self::Up
            | Self::Unstall
            | Self::Hear
            | Self::Heal { .. } => return None,
        })
    }
}

impl Mood {
    const fn kind(&self) -> Option<&'static str> {
        Some(match self {
            Self {
                hang: 1..,
                lost_answer: 1..,
                ..
            } => "server: all of it",
            Self { hang: 1.., .. } => "server hung",
            Self {
                lost_answer: 1.., ..
            } => "answers lost",
            Self { rival: 1.., .. } => "409",
            Self { busy: 1.., .. } => "429",
            Self { error: 1.., .. } => "503",
            Self {
                late_error: 1.., ..
            } => "500, applied",
            Self { slow: 1.., .. } => "server slow",
            _ => return None,
        })
    }
}
