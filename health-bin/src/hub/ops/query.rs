//! What a query asks of the fleet; what it cannot mean is refused with what it could.

use std::fmt;

use health_core::HealthStatus;
use health_heartbeat::AgentId;
use health_heartbeat::AgentView;
use health_heartbeat::FleetVerdict;

use super::order::Epoch;
use super::order::Position;
use super::order::Sort;
use super::order::SortKey;
use super::view;

/// What is asked of `/fleet`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FleetQuery {
    pub(super) filter: Filter,
    pub(super) sort: Sort,
    pub(super) limit: usize,
    pub(super) after: Option<Position>,
}

/// Which agents are meant; an empty list means all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    verdicts: Vec<FleetVerdict>,
    /// No status: agents that have not said one yet.
    statuses: Vec<Option<HealthStatus>>,
    /// As they are written, so `-` for the empty one.
    workspaces: Vec<String>,
    /// Part of `WORKSPACE/NAME`, in lower case.
    search: String,
}

/// Indicates a parameter with a value that it cannot have; says which it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadQuery {
    key: &'static str,
    problem: String,
}

/// Agents in one answer, unless `limit` says otherwise.
const LIMIT_DEFAULT: usize = 500;

/// The most that is copied under the fleet's lock at once.
const LIMIT_MAX: usize = 5000;

/// A longer needle is in no name: a workspace and a name have 253 characters each at most.
const SEARCH_BYTES_MAX: usize = 512;

/// A query that lists more than the fleet has verdicts, statuses and sensible workspaces is wrong.
const VALUES_MAX: usize = 64;

/// How agents without a status are asked for.
const NO_STATUS: &str = "none";

// === impl FleetQuery ===

impl FleetQuery {
    /// Reads a query; parameters that it does not know are ignored.
    pub(super) fn parse(query: &str, epoch: &Epoch) -> Result<Self, BadQuery> {
        let mut sort = Sort::BY_NAME;
        let mut limit = LIMIT_DEFAULT;
        let mut cursor = None;
        let filter = Filter::read(query, |name, value| {
            match name {
                "sort" => {
                    sort = Sort::parse(value).ok_or_else(|| {
                        let known = SortKey::ALL.map(SortKey::as_str).join(", ");
                        let problem = format!(
                            "{value:?} is none of {known}, with - in front for the reverse"
                        );
                        BadQuery::new("sort", problem)
                    })?;
                }
                "limit" => {
                    let number = value.parse().ok();
                    limit = number
                        .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                        .ok_or_else(|| {
                            let problem = format!("{value:?} is no number from 1 to {LIMIT_MAX}");
                            BadQuery::new("limit", problem)
                        })?;
                }
                "cursor" if !value.is_empty() => cursor = Some(value.to_owned()),
                _ => {}
            }
            Ok(())
        })?;
        // A cursor is read with the sort, wherever the two stand in the query.
        let after = cursor
            .map(|cursor| sort.position(&cursor, epoch))
            .transpose()
            .map_err(|problem| BadQuery::new("cursor", problem.to_string()))?;
        Ok(Self {
            filter,
            sort,
            limit,
            after,
        })
    }
}

// === impl Filter ===

impl Filter {
    /// Reads the filter of `/events`, which has the verdicts and workspaces only.
    pub(super) fn parse(query: &str) -> Result<Self, BadQuery> {
        Self::read(query, |_, _| Ok(()))
    }

    /// Reads the filter's parameters and hands over all others.
    fn read(
        query: &str,
        mut other: impl FnMut(&str, &str) -> Result<(), BadQuery>,
    ) -> Result<Self, BadQuery> {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "verdict" => extend("verdict", &mut filter.verdicts, &value, parse_verdict)?,
                "status" => extend("status", &mut filter.statuses, &value, parse_status)?,
                // Nothing else may stand in a workspace's name for certain, so there is no list.
                "workspace" => {
                    if filter.workspaces.len() == VALUES_MAX {
                        return Err(BadQuery::too_many("workspace"));
                    }
                    filter.workspaces.push(value.into_owned());
                }
                "search" if value.len() > SEARCH_BYTES_MAX => {
                    let problem = format!("is longer than {SEARCH_BYTES_MAX} bytes");
                    return Err(BadQuery::new("search", problem));
                }
                "search" => filter.search = value.to_lowercase(),
                name => other(name, &value)?,
            }
        }
        Ok(filter)
    }

    /// Whether an agent is meant. `scratch` is written over: names are compared without a copy
    /// for each.
    pub(super) fn admits(&self, view: AgentView<'_>, scratch: &mut String) -> bool {
        let status = || view.carried().and_then(|carried| carried.status);
        admits(&self.verdicts, &view.verdict())
            && (self.statuses.is_empty() || self.statuses.contains(&status()))
            && self.admits_workspace(view.id())
            && self.admits_name(view.id(), scratch)
    }

    /// Whether a change of this agent to this verdict is meant.
    pub(super) fn admits_change(&self, id: &AgentId, verdict: FleetVerdict) -> bool {
        admits(&self.verdicts, &verdict) && self.admits_workspace(id)
    }

    fn admits_workspace(&self, id: &AgentId) -> bool {
        let shown = view::workspace(id);
        self.workspaces.is_empty() || self.workspaces.iter().any(|wanted| wanted == shown)
    }

    fn admits_name(&self, id: &AgentId, scratch: &mut String) -> bool {
        if self.search.is_empty() {
            return true;
        }
        scratch.clear();
        for part in [view::workspace(id), "/", &id.name] {
            scratch.push_str(part);
        }
        // Nearly all names are ASCII, and then nothing is allocated.
        match scratch.is_ascii() {
            true => scratch.make_ascii_lowercase(),
            false => *scratch = scratch.to_lowercase(),
        }
        scratch.contains(&self.search)
    }
}

// === impl BadQuery ===

impl BadQuery {
    const fn new(key: &'static str, problem: String) -> Self {
        Self { key, problem }
    }

    fn too_many(key: &'static str) -> Self {
        Self::new(key, format!("has more than {VALUES_MAX} values"))
    }
}

impl fmt::Display for BadQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

fn admits<T: PartialEq>(wanted: &[T], one: &T) -> bool {
    wanted.is_empty() || wanted.contains(one)
}

/// Adds what stands between commas; empty parts are nothing.
fn extend<T>(
    key: &'static str,
    list: &mut Vec<T>,
    text: &str,
    parse: impl Fn(&str) -> Result<T, BadQuery>,
) -> Result<(), BadQuery> {
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        if list.len() == VALUES_MAX {
            return Err(BadQuery::too_many(key));
        }
        list.push(parse(part)?);
    }
    Ok(())
}

fn parse_verdict(text: &str) -> Result<FleetVerdict, BadQuery> {
    let known = FleetVerdict::ALL
        .into_iter()
        .find(|verdict| verdict.as_str().eq_ignore_ascii_case(text));
    known.ok_or_else(|| {
        let names = FleetVerdict::ALL.map(FleetVerdict::as_str).join(", ");
        BadQuery::new("verdict", format!("{text:?} is none of {names}"))
    })
}

fn parse_status(text: &str) -> Result<Option<HealthStatus>, BadQuery> {
    if text.eq_ignore_ascii_case(NO_STATUS) {
        return Ok(None);
    }
    let known = HealthStatus::ALL
        .into_iter()
        .find(|status| status.as_str().eq_ignore_ascii_case(text));
    known.map(Some).ok_or_else(|| {
        let names = HealthStatus::ALL.map(|status| status.as_str()).join(", ");
        BadQuery::new(
            "status",
            format!("{text:?} is none of {names}, {NO_STATUS}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn lists_stand_between_commas_or_in_several_parameters() {
        let epoch = Epoch::begin(Instant::now());
        let query = "verdict=lost,SUSPECT&verdict=Left&status=unhealthy,none&workspace=a,b\
                     &workspace=root%3Aorg&search=Edge&sort=-since&limit=7&other=x&cursor=";
        let query = FleetQuery::parse(query, &epoch).unwrap();
        let filter = Filter {
            verdicts: vec![
                FleetVerdict::Lost,
                FleetVerdict::Suspect,
                FleetVerdict::Left,
            ],
            statuses: vec![Some(HealthStatus::Unhealthy), None],
            workspaces: vec!["a,b".to_owned(), "root:org".to_owned()],
            search: "edge".to_owned(),
        };
        assert_eq!(query.filter, filter);
        assert_eq!(
            (query.sort.to_string(), query.limit),
            ("-since".to_owned(), 7)
        );
        assert_eq!(query.after, None);
        let plain = FleetQuery::parse("verdict=&status=,", &epoch).unwrap();
        assert_eq!(plain.filter, Filter::default());
        assert_eq!((plain.sort, plain.limit), (Sort::BY_NAME, LIMIT_DEFAULT));
    }

    #[test]
    fn what_a_query_cannot_mean_is_refused_with_what_it_could() {
        let epoch = Epoch::begin(Instant::now());
        let long = format!("search={}", "x".repeat(513));
        let many = "workspace=x&".repeat(65);
        for (query, told) in [
            (
                "verdict=dead",
                "verdict: \"dead\" is none of Pending, Alive, Suspect, Lost, Left",
            ),
            (
                "status=ok",
                "status: \"ok\" is none of Healthy, Unknown, Degraded, Unhealthy, none",
            ),
            (
                "sort=age",
                "sort: \"age\" is none of name, verdict, status, since, lastEvidence, with - in \
                 front for the reverse",
            ),
            ("limit=0", "limit: \"0\" is no number from 1 to 5000"),
            ("limit=5001", "limit: \"5001\" is no number from 1 to 5000"),
            ("limit=-1", "limit: \"-1\" is no number from 1 to 5000"),
            (
                "cursor=x",
                "cursor: is none; take it from `next` as it is, or leave it out to begin",
            ),
            (&long, "search: is longer than 512 bytes"),
            (&many, "workspace: has more than 64 values"),
        ] {
            let problem = FleetQuery::parse(query, &epoch).unwrap_err();
            assert_eq!(problem.to_string(), told, "{query}");
        }
    }
}
