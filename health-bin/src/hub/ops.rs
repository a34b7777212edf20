//! What people and monitors ask a hub: the fleet, its changes, the page, metrics, probes.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use health_heartbeat::AgentKey;
use health_heartbeat::Fleet;

use super::HubState;
use crate::clock::WallClock;
use crate::config::HubConfig;

mod order;

mod query;

mod view;

mod listing;

pub(super) mod stream;

mod events;

mod flight;

mod sessions;

mod access;

mod page;

mod metrics;

#[cfg(fuzzing)]
mod fuzzing;

#[cfg(fuzzing)]
pub use fuzzing::request as fuzz;

use listing::Answer;
use listing::Counts;
use listing::Listing;
use order::Epoch;
use query::FleetQuery;
use sessions::Sessions;
use stream::Stream;
use view::AgentCopy;
use view::AgentDetailCopy;

/// What `ops` keeps beside the fleet.
#[derive(Debug)]
pub(super) struct OpsState {
    epoch: Epoch,
    pub(super) stream: Arc<Stream>,
    sessions: Mutex<Sessions>,
    /// Whether a site's name is refused; see [`access::loopback_names`].
    loopback_names_only: bool,
}

/// What stands where nothing is.
const PATHS: &str = "\
/                      the fleet, for people
/fleet                 the fleet, as JSON; ?verdict=&status=&workspace=&search=&sort=&limit=&cursor=
/fleet/WORKSPACE/NAME  one agent
/events                changes, as server-sent events; ?verdict=&workspace=&recent=
/flight                the last inputs, to be replayed
/metrics               Prometheus text
/livez, /readyz        200 while the hub works
";

/// Everything that is asked on `ops`.
pub(super) fn router(state: Arc<HubState>) -> Router {
    let private = Router::new()
        .route("/fleet", get(fleet))
        .route("/fleet/{workspace}/{name}", get(agent))
        .route("/events", get(events::events))
        .route("/metrics", get(metrics::metrics))
        .merge(flight::router())
        .fallback(async || (StatusCode::NOT_FOUND, PATHS))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&state),
            access::authorize,
        ));
    private
        .route("/", get(page::page))
        .route("/login", post(access::login))
        .route("/logout", post(access::logout))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&state),
            access::loopback_names,
        ))
        .merge(probes())
        .layer(axum::middleware::map_response(page::guard))
        .with_state(state)
}

/// The probes, which both servers answer and nobody needs a token for.
pub(super) fn probes() -> Router<Arc<HubState>> {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
}

/// Begins what runs beside the answers.
pub(super) fn start(state: &Arc<HubState>) {
    let fleet = Arc::clone(&state.fleet);
    let count = move || Counts::of(&fleet.lock().fleet);
    let stream = Arc::clone(&state.ops.stream);
    tokio::spawn(stream.run_counts(count, state.stop.clone()));
}

async fn livez(State(state): State<Arc<HubState>>) -> Response {
    match state.stalled(Instant::now()) {
        None => "ok".into_response(),
        Some(silent) => {
            let text = format!("[-]loop fleet no progress for {silent:.1?}\nlivez check failed\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn readyz(State(state): State<Arc<HubState>>) -> Response {
    if let Some(reason) = state.turns_away() {
        let text = format!("readyz check failed: {reason}\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    livez(State(state)).await
}

/// A page of the fleet; `next` continues where it ends.
async fn fleet(State(state): State<Arc<HubState>>, RawQuery(query): RawQuery) -> Response {
    let epoch = &state.ops.epoch;
    let query = match FleetQuery::parse(&query.unwrap_or_default(), epoch) {
        Ok(query) => query,
        Err(problem) => return bad_request(&problem),
    };
    let listing = Listing::of(&state.fleet.lock().fleet, &query, epoch);
    let mut answer = Answer::begin(WallClock::now());
    for some in listing.chosen.chunks(listing::AT_ONCE) {
        // Our loops share one thread: they have their turn before each part.
        tokio::task::yield_now().await;
        let agents = copy(&state.fleet.lock().fleet, some);
        answer.add(&agents);
    }
    let json = answer.end(&listing, &query, epoch);
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// Copies agents; who was forgotten meanwhile is left out.
fn copy(fleet: &Fleet, agents: &[AgentKey]) -> Vec<AgentCopy> {
    let views = agents.iter().filter_map(|agent| fleet.view(*agent));
    views.map(AgentCopy::of).collect()
}

async fn agent(
    State(state): State<Arc<HubState>>,
    Path((workspace, name)): Path<(String, String)>,
) -> Response {
    let id = view::named(workspace, name);
    let found = {
        let inner = state.fleet.lock();
        let key = inner.fleet.find(&id);
        let view = key.and_then(|key| inner.fleet.view(key));
        view.map(|view| AgentDetailCopy::of(view, inner.report(view.key())))
    };
    match found {
        Some(found) => Json(found.detail(&WallClock::now())).into_response(),
        None => (StatusCode::NOT_FOUND, format!("no agent {id}\n")).into_response(),
    }
}

fn bad_request(problem: &impl Display) -> Response {
    (StatusCode::BAD_REQUEST, format!("{problem}\n")).into_response()
}

// === impl OpsState ===

impl OpsState {
    pub(super) fn new(config: &HubConfig, now: Instant) -> Self {
        let epoch = Epoch::begin(now);
        Self {
            stream: Stream::new(epoch.tag.clone()),
            epoch,
            sessions: Mutex::new(Sessions::new(now)),
            loopback_names_only: config.ops.token_file.is_empty() && !config.ops.insecure,
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
