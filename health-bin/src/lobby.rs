//! Who has one of few places at a listener, as a pure decision.
//!
//! A connection costs a file and some memory before anybody knows whose it is. So there are few
//! places, the listener never waits for a free one, and when all are taken one is taken back: the
//! oldest of the party that has most.
//! An honest peer is through within a round trip or two; whoever holds on without a word is older
//! than it, and whoever dials in masses pays for it himself.
//!
//! There is no fixed number of places for each party: behind a load balancer a whole fleet has one
//! address, and must not be kept out for that.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv6Addr;

/// Those who have a place, each with what it takes to send it away.
#[derive(Debug)]
pub(crate) struct Lobby<T> {
    places: usize,
    next: u64,
    guests: BTreeMap<GuestId, (Party, T)>,
    parties: BTreeMap<Party, BTreeSet<GuestId>>,
    ranks: BTreeSet<Rank>,
}

/// A connection; a lower one came earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GuestId(u64);

/// Those who most likely are one: an address of IPv4, or a network of IPv6, which is what a single
/// customer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Party(IpAddr);

/// The last one gives a place back: of the parties that have most, the one with the oldest guest.
type Rank = (usize, Reverse<GuestId>, Party);

// === impl Lobby ===

impl<T> Lobby<T> {
    pub(crate) const fn new(places: usize) -> Self {
        Self {
            places,
            next: 0,
            guests: BTreeMap::new(),
            parties: BTreeMap::new(),
            ranks: BTreeSet::new(),
        }
    }

    /// Lets somebody in, and gives what it takes to send away who must leave for that.
    pub(crate) fn enter(&mut self, address: IpAddr, guest: T) -> (GuestId, Option<T>) {
        let (id, party) = (GuestId(self.next), Party::of(address));
        self.next += 1;
        self.guests.insert(id, (party, guest));
        self.change(party, |ids| ids.insert(id));
        let full = self.guests.len() > self.places;
        (id, full.then(|| self.evict()).flatten())
    }

    /// Takes the place back of whom that hurts least.
    pub(crate) fn evict(&mut self) -> Option<T> {
        let (_, Reverse(oldest), _) = *self.ranks.last()?;
        self.leave(oldest)
    }

    /// Somebody left, or needs its place no more; nothing if it was not there any more.
    pub(crate) fn leave(&mut self, id: GuestId) -> Option<T> {
        let (party, guest) = self.guests.remove(&id)?;
        self.change(party, |ids| ids.remove(&id));
        Some(guest)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.guests.len()
    }

    fn change(&mut self, party: Party, change: impl FnOnce(&mut BTreeSet<GuestId>) -> bool) {
        let ids = self.parties.entry(party).or_default();
        if let Some(rank) = rank(party, ids) {
            self.ranks.remove(&rank);
        }
        change(ids);
        match rank(party, ids) {
            Some(rank) => {
                self.ranks.insert(rank);
            }
            None => {
                self.parties.remove(&party);
            }
        }
    }
}

// === impl Party ===

impl Party {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            address @ IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64 << 64;
                Ipv6Addr::from_bits(network).into()
            }
        })
    }
}

fn rank(party: Party, ids: &BTreeSet<GuestId>) -> Option<Rank> {
    let oldest = *ids.first()?;
    Some((ids.len(), Reverse(oldest), party))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_dials_in_masses_pays_for_it_himself() {
        let mut lobby = Lobby::new(10);
        let (alice, _) = lobby.enter(address("10.0.0.1"), 0);
        let evicted: Vec<_> = (1..1_000)
            .filter_map(|guest| lobby.enter(address("10.0.0.2"), guest).1)
            .collect();
        assert_eq!(lobby.len(), 10);
        assert_eq!(evicted, (1..=990).collect::<Vec<_>>(), "the oldest first");
        assert_eq!(lobby.leave(alice), Some(0), "she is still there");
        assert_eq!(lobby.leave(alice), None);
    }

    #[test]
    fn of_many_parties_the_oldest_leaves_and_never_who_comes() {
        let mut lobby = Lobby::new(3);
        let evicted: Vec<_> = (0..10)
            .filter_map(|guest| {
                let address = address(&format!("10.0.0.{}", 200 - guest));
                lobby.enter(address, guest).1
            })
            .collect();
        assert_eq!(evicted, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_network_of_ipv6_is_one_party_and_a_mapped_address_is_its_own() {
        let mut lobby = Lobby::new(2);
        lobby.enter(address("2001:db8::1"), "a");
        lobby.enter(address("2001:db8::2"), "b");
        assert_eq!(lobby.enter(address("10.0.0.1"), "c").1, Some("a"));
        assert_eq!(lobby.enter(address("::ffff:10.0.0.1"), "d").1, Some("c"));
        assert_eq!(lobby.enter(address("2001:db8:1::1"), "e").1, Some("b"));
    }

    #[test]
    fn nothing_is_kept_of_who_left() {
        let mut lobby = Lobby::new(4);
        for guest in 0..1_000_u32 {
            let (id, _) = lobby.enter(IpAddr::from(guest.to_be_bytes()), guest);
            lobby.leave(id);
        }
        assert_eq!(lobby.len(), 0);
        assert!(lobby.parties.is_empty() && lobby.ranks.is_empty());
        assert_eq!(lobby.evict(), None);
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
