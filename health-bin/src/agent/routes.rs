//! The agent's HTTP answers: probes, report, metrics. All from memory.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use health_core::ComponentName;
use health_core::Probe;
use health_core::ProbeAnswer;
use health_core::ProbeLine;
use serde_json::json;

use super::metrics;
use super::report;
use super::state::AgentState;
use super::transitions;
use crate::clock::WallClock;

/// What stands at `/`, and where nothing is.
const PATHS: &str = "\
/livez, /healthz  200 unless only a restart would help
/readyz           200 while everything that counts works
/startupz         200 once everything was looked at once
                  each: ?verbose, ?exclude=NAME, /NAME; Accept: application/json
/report           everything, as JSON
/transitions      what changed lately, as JSON; ?component=NAME
/metrics          Prometheus text
";

/// Everything that the agent answers; `pushed` takes what others report.
pub(super) fn router(state: Arc<AgentState>, pushed: Router) -> Router {
    let mut router = Router::new();
    for (path, probe) in [
        ("/livez", Probe::Liveness),
        ("/healthz", Probe::Liveness),
        ("/readyz", Probe::Readiness),
        ("/startupz", Probe::Startup),
    ] {
        let whole = move |State(state): State<Arc<AgentState>>,
                          RawQuery(query): RawQuery,
                          headers: HeaderMap| async move {
            answer_probe(&state, probe, query.as_deref(), &headers)
        };
        let single = move |State(state): State<Arc<AgentState>>,
                           Path(name): Path<String>,
                           headers: HeaderMap| async move {
            answer_component(&state, probe, &name, &headers)
        };
        router = router
            .route(path, get(whole))
            .route(&format!("{path}/{{name}}"), get(single));
    }
    router
        .route("/report", get(answer_report))
        .route("/transitions", get(answer_transitions))
        .route("/", get(async || PATHS))
        .route("/metrics", get(answer_metrics))
        .fallback(async || (StatusCode::NOT_FOUND, PATHS))
        .with_state(state)
        .merge(pushed)
        .layer(axum::middleware::map_response(no_store))
}

async fn answer_report(State(state): State<Arc<AgentState>>) -> Response {
    let heartbeat = state
        .heartbeater
        .as_ref()
        .map(health_heartbeat::Heartbeater::snapshot);
    Json(state.report.report(heartbeat.as_ref())).into_response()
}

async fn answer_transitions(
    State(state): State<Arc<AgentState>>,
    RawQuery(query): RawQuery,
) -> Response {
    let wall = WallClock::now();
    let history = state.monitor.history(wall.instant());
    let query = query.unwrap_or_default();
    let component = form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, value)| (name == "component").then_some(value));
    Json(transitions::render(&history, component.as_deref(), &wall)).into_response()
}

async fn answer_metrics(State(state): State<Arc<AgentState>>) -> Response {
    let text = metrics::render(&state, Instant::now());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// What stands in a probe's query.
#[derive(Debug, Default, PartialEq, Eq)]
struct ProbeQuery {
    verbose: bool,
    exclude: Vec<String>,
}

fn answer_probe(
    state: &AgentState,
    probe: Probe,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Response {
    let now = Instant::now();
    let query = ProbeQuery::parse(query.unwrap_or_default());
    let mut exclude: Vec<ComponentName> = Vec::with_capacity(query.exclude.len());
    for name in &query.exclude {
        let known = state.monitor.component(name, now);
        let Some(health) = known.filter(|health| health.scopes.contains(probe.scope())) else {
            let text = format!("no component named {name:?} is part of {probe}\n");
            return (StatusCode::BAD_REQUEST, text).into_response();
        };
        exclude.push(health.name.clone());
    }
    let answer = state.probe(probe, &exclude, now);
    let status = if answer.holds {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let json_wanted = wants_json(headers);
    if !json_wanted && answer.holds && !query.verbose {
        return (status, "ok").into_response();
    }
    let mut lines = state.monitor.probe_lines(probe, state.rules, now);
    lines.retain(|line| !exclude.contains(&line.name));
    if json_wanted {
        (status, Json(as_json(&answer, &lines))).into_response()
    } else {
        (status, as_text(&answer, &lines, &exclude)).into_response()
    }
}

fn answer_component(state: &AgentState, probe: Probe, name: &str, headers: &HeaderMap) -> Response {
    let now = Instant::now();
    let found = state.monitor.component(name, now);
    let Some(health) = found.filter(|health| health.scopes.contains(probe.scope())) else {
        let text = format!("no component named {name:?} is part of {probe}\n");
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let line = ProbeLine {
        name: health.name.clone(),
        holds: probe.holds_for(&health, state.rules),
        status: health.status,
        reason: health.reason.clone(),
    };
    let status = if line.holds {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    if wants_json(headers) {
        let mut json = line_as_json(&line);
        json["probe"] = probe.path().into();
        json["message"] = health.message.as_str().into();
        (status, Json(json)).into_response()
    } else if line.holds {
        (status, "ok").into_response()
    } else {
        let text = format!("{} ({}): {}\n", line.status, line.reason, health.message);
        (status, text).into_response()
    }
}

fn wants_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"))
}

fn as_text(answer: &ProbeAnswer, lines: &[ProbeLine], exclude: &[ComponentName]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for line in lines {
        let _ = match line.holds {
            true => writeln!(text, "[+]{} ok", line.name),
            false => writeln!(text, "[-]{} {} ({})", line.name, line.status, line.reason),
        };
    }
    for name in exclude {
        let _ = writeln!(text, "[+]{name} excluded");
    }
    for state in &answer.stalled {
        let silent = state.stalled.unwrap_or_default();
        let _ = writeln!(text, "[-]loop {} no progress for {silent:.1?}", state.name);
    }
    let result = if answer.holds { "passed" } else { "failed" };
    let _ = write!(text, "{} check {result}", answer.probe);
    if !answer.holds {
        let _ = write!(text, ": {}", answer.verdict.reason);
    }
    text.push('\n');
    text
}

fn as_json(answer: &ProbeAnswer, lines: &[ProbeLine]) -> serde_json::Value {
    let components: Vec<_> = lines.iter().map(line_as_json).collect();
    let stalled: Vec<_> = answer.stalled.iter().map(|state| state.name).collect();
    json!({
        "probe": answer.probe.path(),
        "holds": answer.holds,
        "status": answer.verdict.status,
        "reason": answer.verdict.reason.as_str(),
        "rule": answer.verdict.rule.as_str(),
        "deciding": answer.verdict.deciding.iter().map(report::deciding).collect::<Vec<_>>(),
        "stalledLoops": stalled,
        "components": components,
    })
}

fn line_as_json(line: &ProbeLine) -> serde_json::Value {
    json!({
        "name": line.name.as_str(),
        "holds": line.holds,
        "status": line.status,
        "reason": line.reason.as_str(),
    })
}

async fn no_store(mut response: Response) -> Response {
    let value = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response
}

// === impl ProbeQuery ===

impl ProbeQuery {
    /// Other parameters are ignored, as the API server does; `verbose` needs no value.
    fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "verbose" => parsed.verbose = !matches!(&*value, "false" | "0"),
                "exclude" => parsed.exclude.push(value.into_owned()),
                _ => {}
            }
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_query_is_read_as_the_api_server_does() {
        for (query, verbose, exclude) in [
            ("", false, vec![]),
            ("verbose", true, vec![]),
            (
                "verbose=true&exclude=a&exclude=b%2Dc",
                true,
                vec!["a", "b-c"],
            ),
            ("verbose=false&other=1", false, vec![]),
        ] {
            let parsed = ProbeQuery::parse(query);
            assert_eq!(
                (parsed.verbose, parsed.exclude),
                (verbose, exclude.into_iter().map(str::to_owned).collect())
            );
        }
    }
}
