//! `/metrics` of the hub: what was counted, and what is so now.
//!
//! No series names an agent, so that none can stay of one that is gone.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use health_heartbeat::FleetVerdict;

use super::listing::Counts;
use crate::exposition::Exposition;
use crate::exposition::Kind;
use crate::hub::HubState;

pub(super) async fn metrics(State(state): State<Arc<HubState>>) -> Response {
    let text = render(&state);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

fn render(state: &HubState) -> String {
    let (counts, doubts, tunnels) = {
        let inner = state.fleet.lock();
        let fleet = &inner.fleet;
        (Counts::of(fleet), fleet.doubts(), inner.tunnels())
    };
    let mut text = Exposition::default();
    let help = "1, with the version as a label.";
    text.family("syncer_health_build_info", Kind::Gauge, help)
        .sample(&[("version", crate::VERSION)], 1.0);
    text.family("syncer_hub_agents", Kind::Gauge, "Agents by verdict.");
    for verdict in FleetVerdict::ALL {
        let count = counts.get(verdict) as f64;
        text.sample(&[("verdict", verdict.label())], count);
    }
    let help = "1 while verdicts wait, since so many fell silent together.";
    text.family("syncer_hub_doubt", Kind::Gauge, help)
        .sample(&[], f64::from(u8::from(doubts)));
    let help = "1 while this hub leads, as one without a Lease always does.";
    text.family("syncer_hub_leader", Kind::Gauge, help)
        .sample(&[], f64::from(u8::from(*state.leads.borrow())));
    text.family("syncer_hub_tunnels", Kind::Gauge, "Open tunnels.")
        .sample(&[], tunnels as f64);
    let help = "Open streams of transitions.";
    text.family("syncer_hub_event_streams", Kind::Gauge, help)
        .sample(&[], state.ops.stream.readers() as f64);
    state.process.borrow().write(&mut text);
    let mut answer = state.exporter.render();
    answer.push_str(&text.finish());
    answer
}
