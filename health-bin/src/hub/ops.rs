//! What people and monitors ask a hub: the fleet, metrics, probes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use health_heartbeat::AgentId;
use health_heartbeat::AgentView;
use health_heartbeat::Channel;
use health_heartbeat::Fleet;
use health_heartbeat::FleetVerdict;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::HubState;
use crate::clock::WallClock;
use crate::exposition::Exposition;
use crate::exposition::Kind;

/// Agents in one answer, unless `limit` says otherwise.
const LIMIT_DEFAULT: usize = 500;
const LIMIT_MAX: usize = 5000;

/// Everything that is asked on `ops`.
pub(super) fn router(state: Arc<HubState>) -> Router {
    let private = Router::new()
        .route("/fleet", get(fleet))
        .route("/fleet/{workspace}/{name}", get(agent))
        .route("/metrics", get(metrics))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&state),
            authorize,
        ));
    private
        .merge(probes())
        .layer(axum::middleware::map_response(no_store))
        .with_state(state)
}

/// The probes, which both servers answer and nobody needs a token for.
pub(super) fn probes() -> Router<Arc<HubState>> {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
}

async fn livez(State(state): State<Arc<HubState>>) -> Response {
    match state.fleet.pulse().stalled(Instant::now()) {
        None => "ok".into_response(),
        Some(silent) => {
            let text = format!("[-]loop fleet no progress for {silent:.1?}\nlivez check failed\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn readyz(State(state): State<Arc<HubState>>) -> Response {
    if *state.stop.borrow() {
        let text = "readyz check failed: ShuttingDown\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    livez(State(state)).await
}

#[derive(Debug, Deserialize)]
struct FleetQuery {
    verdict: Option<String>,
    workspace: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The fleet, by workspace and name; `next` continues where this answer ends.
async fn fleet(State(state): State<Arc<HubState>>, Query(query): Query<FleetQuery>) -> Response {
    let verdict = match query.verdict.as_deref().map(parse_verdict).transpose() {
        Ok(verdict) => verdict,
        Err(text) => return (StatusCode::BAD_REQUEST, text).into_response(),
    };
    let wall = WallClock::now();
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let inner = state.fleet.lock();
    let mut matching = inner
        .fleet
        .views()
        .filter(|view| verdict.is_none_or(|verdict| view.verdict() == verdict))
        .filter(|view| {
            query
                .workspace
                .as_ref()
                .is_none_or(|name| shown(view.id()) == *name)
        })
        .skip_while(|view| {
            query
                .cursor
                .as_ref()
                .is_some_and(|at| view.id().to_string() <= *at)
        });
    let page: Vec<_> = matching.by_ref().take(limit).collect();
    let more = matching.next().is_some();
    let next = page
        .last()
        .filter(|_| more)
        .map(|last| last.id().to_string());
    Json(json!({
        "agents": page.iter().map(|view| summary(*view, &wall)).collect::<Vec<_>>(),
        "next": next,
        "counts": counts(&inner.fleet),
    }))
    .into_response()
}

async fn agent(
    State(state): State<Arc<HubState>>,
    Path((workspace, name)): Path<(String, String)>,
) -> Response {
    let wall = WallClock::now();
    let workspace = if workspace == "-" {
        String::new()
    } else {
        workspace
    };
    let id = AgentId { workspace, name };
    let inner = state.fleet.lock();
    let known = inner.fleet.find(&id).and_then(|key| inner.fleet.view(key));
    let Some(view) = known else {
        return (StatusCode::NOT_FOUND, format!("no agent {id}\n")).into_response();
    };
    let mut answer = summary(view, &wall);
    answer.insert(
        "deciding".to_owned(),
        json!(view.carried().map(|carried| carried.deciding)),
    );
    let report = inner
        .report(view.key())
        .and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    answer.insert("report".to_owned(), report.into());
    let transitions = view.transitions().map(|one| {
        json!({
            "at": wall.show(one.at),
            "verdict": one.verdict.as_str(),
            "reason": one.reason.as_str(),
        })
    });
    answer.insert("transitions".to_owned(), transitions.collect());
    Json(answer).into_response()
}

/// One agent in a list.
fn summary(view: AgentView<'_>, wall: &WallClock) -> Map<String, Value> {
    let carried = view.carried();
    let evidence: Map<_, _> = Channel::ALL
        .into_iter()
        .filter_map(|channel| {
            let at = view.last_evidence(channel)?;
            let age = wall.instant().saturating_duration_since(at).as_secs_f64();
            Some((
                channel.as_str().to_owned(),
                json!({ "at": wall.show(at), "ageSeconds": age }),
            ))
        })
        .collect();
    let summary = json!({
        "workspace": view.id().workspace,
        "name": view.id().name,
        "verdict": view.verdict().as_str(),
        "reason": view.reason().as_str(),
        "since": wall.show(view.since()),
        "status": carried.and_then(|carried| carried.status),
        "slot": carried.map(|carried| carried.slot),
        "incarnation": carried.map(|carried| carried.incarnation),
        "sequence": carried.map(|carried| carried.sequence),
        "heartbeats": view.heartbeats(),
        "lastEvidence": evidence,
    });
    if let Value::Object(map) = summary {
        return map;
    }
    Map::new()
}

fn counts(fleet: &Fleet) -> BTreeMap<&'static str, usize> {
    FleetVerdict::ALL
        .into_iter()
        .map(|verdict| (verdict.as_str(), fleet.count(verdict)))
        .collect()
}

async fn metrics(State(state): State<Arc<HubState>>) -> Response {
    let mut text = Exposition::default();
    text.family(
        "syncer_health_build_info",
        Kind::Gauge,
        "1, with the version as a label.",
    )
    .sample(&[("version", crate::VERSION)], 1.0);
    text.family("syncer_hub_agents", Kind::Gauge, "Agents by verdict.");
    let (counts, tunnels) = {
        let inner = state.fleet.lock();
        (counts(&inner.fleet), inner.tunnels())
    };
    for verdict in FleetVerdict::ALL {
        let count = counts.get(verdict.as_str()).copied().unwrap_or_default();
        text.sample(&[("verdict", verdict.label())], count as f64);
    }
    text.family("syncer_hub_tunnels", Kind::Gauge, "Open tunnels.")
        .sample(&[], tunnels as f64);
    state.process.borrow().write(&mut text);
    let mut answer = state.exporter.render();
    answer.push_str(&text.finish());
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        answer,
    )
        .into_response()
}

/// Asks for the bearer token, where one is set.
async fn authorize(
    State(state): State<Arc<HubState>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    if state.ops_token.admits(&headers) {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (
        StatusCode::UNAUTHORIZED,
        challenge,
        "a bearer token is needed\n",
    )
        .into_response()
}

async fn no_store(mut response: Response) -> Response {
    let value = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response
}

fn parse_verdict(text: &str) -> Result<FleetVerdict, String> {
    let known = FleetVerdict::ALL
        .into_iter()
        .find(|verdict| verdict.label() == text.to_lowercase());
    known.ok_or_else(|| {
        format!("unknown verdict {text:?}, one of Pending, Alive, Suspect, Lost, Left\n")
    })
}

/// A workspace as it is written in paths and queries.
fn shown(id: &AgentId) -> &str {
    if id.workspace.is_empty() {
        "-"
    } else {
        &id.workspace
    }
}
