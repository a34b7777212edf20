//! The ids and times of what is sent.

use std::time::SystemTime;

use crate::wire::Message;
use crate::wire::Timestamp;

/// Gives every message that has none an id and a time.
#[derive(Debug)]
pub(crate) struct Stamp {
    chance: fastrand::Rng,
}

const HEX: &[u8; 16] = b"0123456789abcdef";

// === impl Stamp ===

impl Stamp {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: fastrand::Rng::with_seed(seed),
        }
    }

    pub(crate) fn encode(&mut self, mut message: Message, now: SystemTime) -> String {
        if message.id.is_empty() {
            message.id = self.id();
        }
        if message.timestamp.is_zero() {
            message.timestamp = Timestamp::from(now);
        }
        message.encode()
    }

    /// A random UUID, as Wave 4 peers name their messages.
    fn id(&mut self) -> String {
        const VERSION_4: u128 = 0x4 << 76;
        const VERSION_MASK: u128 = 0xf << 76;
        const VARIANT: u128 = 0b10 << 62;
        const VARIANT_MASK: u128 = 0b11 << 62;
        let bits = self.chance.u128(..) & !VERSION_MASK & !VARIANT_MASK | VERSION_4 | VARIANT;
        let mut id = String::with_capacity(36);
        for (place, byte) in bits.to_be_bytes().into_iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                id.push('-');
            }
            for digit in [byte >> 4, byte & 0xf] {
                id.push(char::from(HEX[usize::from(digit)]));
            }
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::MessageType;

    #[test]
    fn what_has_no_id_and_time_gets_both_and_what_has_keeps_them() {
        let mut stamp = Stamp::new(1);
        let text = stamp.encode(Message::new(MessageType::Ping), SystemTime::UNIX_EPOCH);
        let stamped = Message::parse(&text).unwrap();
        assert_eq!(stamped.id.len(), 36);
        assert_eq!(&stamped.id[14..15], "4");
        assert!("89ab".contains(&stamped.id[19..20]));
        assert_eq!(stamped.timestamp.as_str(), "1970-01-01T00:00:00Z");
        assert_eq!(stamp.encode(stamped, SystemTime::now()), text);
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
