use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use fastrand::Rng;
use health_core::HealthStatus;
use health_heartbeat::AgentId;
use health_heartbeat::AgentKey;
use health_heartbeat::Evidence;
use health_heartbeat::FleetTerms;
use health_heartbeat::TunnelId;
use health_heartbeat::wire::HeartbeatPayload;

use super::super::order::SortKey;
use super::*;

/// Fleets of up to so many agents have pages of every kind.
const AGENTS_MAX: usize = 40;

#[test]
fn the_silent_come_first_and_of_them_the_longest_silent() {
    let mut town = Town::new(0);
    // Each a second after the one before.
    for name in [
        "lost-1", "lost-2", "suspect", "left", "alive-1", "alive-2", "pending",
    ] {
        town.pass(1);
        town.admit(name);
        if name != "pending" {
            town.beat(name, HealthStatus::Healthy);
        }
    }
    town.open("left");
    town.leave("left");
    town.pass(20);
    for name in ["suspect", "alive-1", "alive-2"] {
        town.beat(name, HealthStatus::Healthy);
    }
    town.admit("pending-2");
    town.pass(8);
    // Its beat was due a while ago, those of the other two came.
    for name in ["alive-1", "alive-2"] {
        town.beat(name, HealthStatus::Healthy);
    }
    town.pass(8);
    town.beat("alive-1", HealthStatus::Unhealthy);
    town.beat("alive-2", HealthStatus::Healthy);
    let by = |query: &str| town.pages(query).concat().join(" ");
    assert_eq!(
        by("sort=verdict"),
        "lost-1 lost-2 pending suspect pending-2 left alive-1 alive-2"
    );
    assert_eq!(
        by("sort=verdict&verdict=alive,left"),
        "left alive-1 alive-2"
    );
    assert_eq!(
        by("sort=-verdict"),
        "alive-2 alive-1 left pending-2 suspect pending lost-2 lost-1"
    );
    assert_eq!(by("sort=status&verdict=Alive"), "alive-1 alive-2");
    assert_eq!(by("sort=-status&verdict=Alive"), "alive-2 alive-1");
    assert_eq!(
        by("sort=lastEvidence&verdict=Pending,Suspect"),
        "pending-2 suspect"
    );
    assert_eq!(by("status=none"), "pending pending-2");
    assert_eq!(
        by("status=unhealthy&status=none"),
        "alive-1 pending pending-2"
    );
    assert_eq!(by("search=ROOT/a"), "alive-1 alive-2");
    assert_eq!(by("search=nobody"), "");
    assert_eq!(by("workspace=root&search=left"), "left");
    assert_eq!(by("workspace=Root"), "", "compared as written");
}

#[test]
fn an_empty_workspace_is_asked_for_by_a_dash() {
    let mut town = Town::new(0);
    town.admit("edge-1");
    let now = town.now;
    let id = AgentId {
        workspace: String::new(),
        name: "nowhere".to_owned(),
    };
    town.fleet.admit(id, now).expect("there is room");
    assert_eq!(town.pages("workspace=-").concat(), ["nowhere"]);
    assert_eq!(town.pages("workspace=root").concat(), ["edge-1"]);
    assert_eq!(town.pages("workspace=root&workspace=-").concat().len(), 2);
    assert_eq!(town.pages("search=-/no").concat(), ["nowhere"]);
}

#[test]
fn a_page_tells_how_many_match_and_how_many_there_are() {
    let mut town = Town::new(0);
    for name in ["a", "b", "c"] {
        town.admit(name);
    }
    town.beat("b", HealthStatus::Healthy);
    let query = town.query("verdict=Pending&limit=1");
    let listing = Listing::of(&town.fleet, &query, &town.epoch);
    assert_eq!((listing.chosen.len(), listing.matching), (1, 2));
    assert!(listing.next.is_some());
    assert_eq!(listing.counts.get(FleetVerdict::Pending), 2);
    assert_eq!(listing.counts.get(FleetVerdict::Alive), 1);
    assert_eq!(listing.counts, Counts::of(&town.fleet));
}

#[test]
fn an_answer_that_is_written_in_parts_is_one_object() {
    let mut town = Town::new(0);
    for agents in 0..4 {
        let query = town.query("limit=2");
        let listing = Listing::of(&town.fleet, &query, &town.epoch);
        let mut answer = Answer::begin(WallClock::now());
        for key in &listing.chosen {
            answer.add(&[AgentCopy::of(town.fleet.view(*key).unwrap())]);
        }
        let json = answer.end(&listing, &query, &town.epoch);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["agents"].as_array().map(Vec::len), Some(agents.min(2)));
        assert_eq!(json["next"].is_string(), agents > 2, "{json}");
        assert_eq!(
            (&json["matching"], &json["doubt"]),
            (&agents.into(), &false.into())
        );
        assert_eq!(json["counts"]["Pending"], agents);
        town.admit(&format!("agent-{agents}"));
    }
}

/// While pages are read the fleet changes: who does not change is listed exactly once.
#[test]
fn paging_while_the_fleet_changes_repeats_and_loses_nobody_who_stays_as_it_is() {
    for seed in 0..300 {
        let mut town = Town::new(seed);
        let key = town.rng.choice(SortKey::ALL).unwrap();
        let sign = if town.rng.bool() { "-" } else { "" };
        let limit = town.rng.usize(1..8);
        let query = format!("sort={sign}{}&limit={limit}", key.as_str());
        for number in 0..town.rng.usize(1..AGENTS_MAX) {
            town.admit(&format!("agent-{number:02}"));
            town.live();
        }
        let before = town.places(&query);
        let mut unchanged = before.clone();
        let mut listed: BTreeMap<String, usize> = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let query = town.query(&format!("{query}&cursor={cursor}"));
            let listing = Listing::of(&town.fleet, &query, &town.epoch);
            assert!(listing.chosen.len() <= limit, "seed {seed}");
            for name in town.names(&listing) {
                *listed.entry(name).or_default() += 1;
            }
            let Some(next) = listing.next else { break };
            assert_eq!(
                listing.chosen.len(),
                limit,
                "seed {seed}: more follows, so it is full"
            );
            cursor = query.sort.cursor(&next, &town.epoch);
            for _ in 0..town.rng.usize(0..4) {
                town.live();
            }
            if town.rng.u8(0..3) == 0 {
                let number = town.rng.usize(0..2 * AGENTS_MAX);
                town.admit(&format!("agent-{number:02}"));
            }
            let now = town.places(&format!("sort={}", query.sort));
            unchanged.retain(|name, place| now.get(name) == Some(place));
        }
        for name in unchanged.keys() {
            let times = listed.get(name).copied().unwrap_or_default();
            assert_eq!(times, 1, "seed {seed}, {query}: {name}");
        }
        if key == SortKey::Name {
            assert_eq!(unchanged.len(), before.len(), "a name never changes");
        }
    }
}

/// Each agent has one at most.
const TUNNEL: TunnelId = TunnelId(1);

/// A fleet, its time and its chance.
struct Town {
    fleet: Fleet,
    epoch: Epoch,
    now: Instant,
    rng: Rng,
    keys: BTreeMap<String, AgentKey>,
}

impl Town {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let terms = FleetTerms {
            timeout_first: Duration::from_secs(30),
            // Nobody doubts, and nobody is forgotten.
            mass_min: AGENTS_MAX * 2,
            forget_after: Duration::from_secs(1_000_000),
            ..FleetTerms::default()
        };
        Self {
            fleet: Fleet::new(terms, now),
            epoch: Epoch::begin(now),
            now,
            rng: Rng::with_seed(seed),
            keys: BTreeMap::new(),
        }
    }

    fn admit(&mut self, name: &str) {
        let id = AgentId {
            workspace: "root".to_owned(),
            name: name.to_owned(),
        };
        let key = self.fleet.admit(id, self.now).expect("there is room");
        self.keys.insert(name.to_owned(), key);
    }

    fn tell(&mut self, name: &str, evidence: Evidence<'_>) {
        self.fleet.evidence(self.keys[name], evidence, self.now);
    }

    fn beat(&mut self, name: &str, status: HealthStatus) {
        let payload = HeartbeatPayload {
            slot: name.to_owned(),
            incarnation: "1".to_owned(),
            sequence: 1,
            interval_seconds: 10.0,
            timeout_seconds: 30.0,
            status,
            report_age_seconds: 0.0,
            deciding: Vec::new(),
        };
        let evidence = Evidence::Heartbeat {
            tunnel: TUNNEL,
            payload: &payload,
            skew_ms: None,
        };
        self.tell(name, evidence);
    }

    fn open(&mut self, name: &str) {
        let evidence = Evidence::Opened {
            tunnel: TUNNEL,
            heartbeats: true,
        };
        self.tell(name, evidence);
    }

    fn leave(&mut self, name: &str) {
        self.tell(name, Evidence::Goodbye { tunnel: TUNNEL });
        self.tell(name, Evidence::Closed { tunnel: TUNNEL });
    }

    fn pass(&mut self, secs: u64) {
        self.now += Duration::from_secs(secs);
        self.fleet.handle_timeout(self.now);
    }

    /// Something happens to somebody.
    fn live(&mut self) {
        let secs = self.rng.u64(0..12);
        self.pass(secs);
        let names: Vec<_> = self.keys.keys().cloned().collect();
        let Some(name) = self.rng.choice(names) else {
            return;
        };
        match self.rng.u8(0..5) {
            0 => self.open(&name),
            1 => self.leave(&name),
            2 => self.tell(&name, Evidence::Closed { tunnel: TUNNEL }),
            _ => {
                let status = self.rng.choice(HealthStatus::ALL).unwrap();
                self.beat(&name, status);
            }
        }
    }

    fn query(&self, query: &str) -> FleetQuery {
        FleetQuery::parse(query, &self.epoch).unwrap()
    }

    /// Where each agent stands.
    fn places(&self, query: &str) -> BTreeMap<String, Place> {
        let sort = self.query(query).sort;
        let views = self.fleet.views();
        views
            .map(|view| (view.id().name.clone(), sort.place(view, &self.epoch)))
            .collect()
    }

    fn names(&self, listing: &Listing) -> Vec<String> {
        let views = listing.chosen.iter().map(|key| self.fleet.view(*key));
        views.map(|view| view.unwrap().id().name.clone()).collect()
    }

    /// The names on each page.
    fn pages(&self, query: &str) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut cursor = String::new();
        loop {
            let query = self.query(&format!("{query}&limit=2&cursor={cursor}"));
            let listing = Listing::of(&self.fleet, &query, &self.epoch);
            pages.push(self.names(&listing));
            match listing.next {
                Some(next) => cursor = query.sort.cursor(&next, &self.epoch),
                None => return pages,
            }
        }
    }
}
