//! The lines of a saved flight.

use std::sync::Arc;
use std::time::Duration;

use health_core::HealthStatus;
use serde::Deserialize;
use serde::Serialize;

use crate::AgentId;
use crate::AgentKey;
use crate::Change;
use crate::Channel;
use crate::Confirmation;
use crate::FleetTerms;
use crate::TunnelId;
use crate::fleet::moment::Moment;
use crate::fleet::record::SavedRecord;
use crate::fleet::recorder::Half;
use crate::fleet::recorder::entry::Entry;
use crate::fleet::recorder::entry::Input;
use crate::fleet::recorder::entry::Voices;

/// No hub lives as long, and no deadline after it is cut off at the end of time.
const AT_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What every version's first line has.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) flight: u32,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) flight: u32,
    pub(super) began: Option<String>,
    pub(super) terms: TermsForm,
    /// How many lines of agents follow.
    pub(super) agents: usize,
    /// How many lines of inputs follow after them.
    pub(super) inputs: usize,
    pub(super) doubts: bool,
    pub(super) leaving: Vec<TunnelId>,
    /// The numbers of nobody, the last one is given next.
    pub(super) free: Vec<u32>,
}

/// What the fleet allows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TermsForm {
    timeout_min_nanos: u64,
    timeout_max_nanos: u64,
    timeout_first_nanos: u64,
    timeout_plain_nanos: u64,
    timeout_synctarget_nanos: u64,
    forget_after_nanos: u64,
    mass_min: usize,
    agents_max: usize,
}

/// Who had a number at the beginning.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AgentLine {
    pub(super) number: u32,
    pub(super) generation: u32,
    pub(super) agent: Option<SavedRecord>,
}

/// One input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InputLine {
    at_nanos: Moment,
    /// Whose, by number and generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<[u32; 2]>,
    #[serde(flatten)]
    input: InputForm,
}

/// What came in.
#[derive(Debug, Serialize, Deserialize)]
#[serde(
    tag = "input",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum InputForm {
    Admitted {
        workspace: String,
        name: String,
    },
    Expected,
    Unexpected,
    Gone {
        channel: Channel,
    },
    Opened {
        tunnel: TunnelId,
        heartbeats: bool,
    },
    Heartbeat {
        tunnel: TunnelId,
        slot: String,
        incarnation: String,
        interval_nanos: Option<u64>,
        timeout_nanos: Option<u64>,
        sequence: u64,
        status: HealthStatus,
        skew_ms: Option<i64>,
    },
    Frame {
        tunnel: TunnelId,
    },
    Goodbye {
        tunnel: TunnelId,
    },
    Closed {
        tunnel: TunnelId,
    },
    Lease {
        change: Change,
        holder: Option<String>,
        duration_nanos: Option<u64>,
        sequence: Option<u64>,
        status: Option<HealthStatus>,
        skew_ms: Option<i64>,
    },
    SyncTarget {
        change: Change,
    },
    Confirmed {
        confirmation: Confirmation,
    },
    Timeout,
    Paused {
        pause_nanos: u64,
    },
    TakenOver,
}

// === impl TermsForm ===

impl From<FleetTerms> for TermsForm {
    fn from(terms: FleetTerms) -> Self {
        Self {
            timeout_min_nanos: nanos(terms.timeout_min),
            timeout_max_nanos: nanos(terms.timeout_max),
            timeout_first_nanos: nanos(terms.timeout_first),
            timeout_plain_nanos: nanos(terms.timeout_plain),
            timeout_synctarget_nanos: nanos(terms.timeout_synctarget),
            forget_after_nanos: nanos(terms.forget_after),
            mass_min: terms.mass_min,
            agents_max: terms.agents_max,
        }
    }
}

impl From<&TermsForm> for FleetTerms {
    fn from(form: &TermsForm) -> Self {
        let timeout_min = Duration::from_nanos(form.timeout_min_nanos);
        Self {
            timeout_min,
            timeout_max: Duration::from_nanos(form.timeout_max_nanos).max(timeout_min),
            timeout_first: Duration::from_nanos(form.timeout_first_nanos),
            timeout_plain: Duration::from_nanos(form.timeout_plain_nanos),
            timeout_synctarget: Duration::from_nanos(form.timeout_synctarget_nanos),
            forget_after: Duration::from_nanos(form.forget_after_nanos),
            mass_min: form.mass_min,
            agents_max: form.agents_max,
        }
    }
}

// === impl InputLine ===

impl InputLine {
    pub(super) fn of(entry: &Entry, voices: &Voices) -> Self {
        let agent = entry.agent().map(|it| [it.index, it.generation]);
        Self {
            at_nanos: entry.at,
            agent,
            input: InputForm::of(&entry.input, voices),
        }
    }

    /// Whether no hub could have been told of it.
    pub(super) fn is_too_late(&self) -> bool {
        self.at_nanos.age() > AT_MAX
    }

    /// Keeps it as if it came in now.
    pub(super) fn push_to(self, half: &mut Half) {
        let key = |[index, generation]: [u32; 2]| AgentKey { index, generation };
        let input = self.input.packed(&mut half.voices);
        half.push(self.agent.map(key), Some(self.at_nanos), input);
    }
}

// === impl InputForm ===

impl InputForm {
    fn of(input: &Input, voices: &Voices) -> Self {
        match *input {
            Input::Admitted(ref id) => Self::Admitted {
                workspace: id.workspace.clone(),
                name: id.name.clone(),
            },
            Input::Expected => Self::Expected,
            Input::Unexpected => Self::Unexpected,
            Input::Gone(channel) => Self::Gone { channel },
            Input::Opened { tunnel, heartbeats } => Self::Opened { tunnel, heartbeats },
            Input::Heartbeat {
                tunnel,
                voice,
                sequence,
                status,
                skew_ms,
            } => {
                let voice = voices.get(voice);
                Self::Heartbeat {
                    tunnel,
                    slot: voice.slot().to_owned(),
                    incarnation: voice.incarnation().to_owned(),
                    interval_nanos: voice.interval.map(nanos),
                    timeout_nanos: voice.timeout.map(nanos),
                    sequence,
                    status,
                    skew_ms: skew_ms.into(),
                }
            }
            Input::Frame(tunnel) => Self::Frame { tunnel },
            Input::Goodbye(tunnel) => Self::Goodbye { tunnel },
            Input::Closed(tunnel) => Self::Closed { tunnel },
            Input::Lease {
                change,
                voice,
                sequence,
                status,
                skew_ms,
            } => {
                let voice = voice.map(|voice| voices.get(voice));
                Self::Lease {
                    change,
                    holder: voice.map(|voice| voice.slot().to_owned()),
                    duration_nanos: voice.and_then(|voice| voice.timeout).map(nanos),
                    sequence: sequence.into(),
                    status,
                    skew_ms: skew_ms.into(),
                }
            }
            Input::SyncTarget(change) => Self::SyncTarget { change },
            Input::Confirmed(confirmation) => Self::Confirmed { confirmation },
            Input::Timeout => Self::Timeout,
            Input::Paused(pause) => Self::Paused {
                pause_nanos: nanos(pause),
            },
            Input::TakenOver => Self::TakenOver,
        }
    }

    fn packed(self, voices: &mut Voices) -> Input {
        let duration = |nanos: Option<u64>| nanos.map(Duration::from_nanos);
        match self {
            Self::Admitted { workspace, name } => {
                Input::Admitted(Arc::new(AgentId { workspace, name }))
            }
            Self::Expected => Input::Expected,
            Self::Unexpected => Input::Unexpected,
            Self::Gone { channel } => Input::Gone(channel),
            Self::Opened { tunnel, heartbeats } => Input::Opened { tunnel, heartbeats },
            Self::Heartbeat {
                tunnel,
                slot,
                incarnation,
                interval_nanos,
                timeout_nanos,
                sequence,
                status,
                skew_ms,
            } => {
                let terms = [interval_nanos, timeout_nanos].map(duration);
                Input::Heartbeat {
                    tunnel,
                    voice: voices.of(&slot, &incarnation, terms),
                    sequence,
                    status,
                    skew_ms: skew_ms.into(),
                }
            }
            Self::Frame { tunnel } => Input::Frame(tunnel),
            Self::Goodbye { tunnel } => Input::Goodbye(tunnel),
            Self::Closed { tunnel } => Input::Closed(tunnel),
            Self::Lease {
                change,
                holder,
                duration_nanos,
                sequence,
                status,
                skew_ms,
            } => Input::Lease {
                change,
                voice: holder.map(|it| voices.of(&it, "", [None, duration(duration_nanos)])),
                sequence: sequence.into(),
                status,
                skew_ms: skew_ms.into(),
            },
            Self::SyncTarget { change } => Input::SyncTarget(change),
            Self::Confirmed { confirmation } => Input::Confirmed(confirmation),
            Self::Timeout => Input::Timeout,
            Self::Paused { pause_nanos } => Input::Paused(Duration::from_nanos(pause_nanos)),
            Self::TakenOver => Input::TakenOver,
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
