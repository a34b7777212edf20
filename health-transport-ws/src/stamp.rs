//! The ids and times of what is sent.

use std::borrow::Cow;
use std::time::SystemTime;

use uuid::Builder;
use uuid::Uuid;

use crate::wire::Message;
use crate::wire::RawEnvelope;
use crate::wire::Timestamp;

/// Gives every message that has none an id and a time.
#[derive(Debug)]
pub(crate) struct Stamp {
    chance: fastrand::Rng,
}

// === impl Stamp ===

impl Stamp {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: fastrand::Rng::with_seed(seed),
        }
    }

    pub(crate) fn encode(&mut self, message: &Message, now: SystemTime) -> String {
        let mut id = Uuid::encode_buffer();
        let timestamp;
        let mut envelope = RawEnvelope::from(message);
        if message.id.is_empty() {
            envelope.id = Cow::Borrowed(self.id().hyphenated().encode_lower(&mut id));
        }
        if message.timestamp.is_zero() {
            timestamp = Timestamp::from(now);
            envelope.timestamp = Some(timestamp.as_str().into());
        }
        envelope.encode()
    }

    /// A random UUID, as Wave 4 peers name their messages.
    fn id(&mut self) -> Uuid {
        Builder::from_random_bytes(self.chance.u128(..).to_be_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::MessageType;

    #[test]
    fn what_has_no_id_and_time_gets_both_and_what_has_keeps_them() {
        let mut stamp = Stamp::new(1);
        let text = stamp.encode(&Message::new(MessageType::Ping), SystemTime::UNIX_EPOCH);
        let stamped = Message::parse(&text).unwrap();
        assert_eq!(stamped.id.len(), 36);
        assert_eq!(&stamped.id[14..15], "4");
        assert!("89ab".contains(&stamped.id[19..20]));
        assert_eq!(stamped.timestamp.as_str(), "1970-01-01T00:00:00Z");
        assert_eq!(stamp.encode(&stamped, SystemTime::now()), text);
    }

    #[test]
    fn ids_differ_and_repeat_with_the_seed() {
        let ids = |seed| {
            let mut stamp = Stamp::new(seed);
            [stamp.id(), stamp.id()]
        };
        let [first, second] = ids(1);
        assert_ne!(first, second);
        assert_eq!(ids(1), [first, second]);
        assert_ne!(ids(1), ids(2));
    }
}
