//! `/tunnel`: where agents dial in.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use health_heartbeat::AgentId;
use health_transport_ws::AcceptOptions;
use health_transport_ws::AcceptedTunnel;
use health_transport_ws::Admission;
use health_transport_ws::ConnectionId;
use health_transport_ws::SessionLimits;
use health_transport_ws::Terms;
use health_transport_ws::UpgradeRequest;
use health_transport_ws::wire::HandshakePayload;
use hyper_util::rt::TokioIo;

use super::HubState;
use super::auth::Claim;
use super::auth::Denied;
use super::ops;

/// When to ask again a hub that is full, in seconds.
const BUSY_SECONDS: &str = "10";

/// When to come back to a hub that has no room for another agent.
const FULL: Duration = Duration::from_secs(60);

/// Everything that is asked on `server`.
pub(super) fn router(state: Arc<HubState>) -> Router {
    Router::new()
        .route("/tunnel", get(tunnel))
        .merge(ops::probes())
        .with_state(state)
}

async fn tunnel(State(state): State<Arc<HubState>>, mut request: Request) -> Response {
    let upgrade = match UpgradeRequest::from_headers(request.headers()) {
        Ok(upgrade) => upgrade,
        Err(error) => return (error.status(), format!("{error}\n")).into_response(),
    };
    let claim = Claim {
        bearer: upgrade.bearer.as_ref(),
        workspace: &upgrade.workspace,
        name: upgrade.sync_target.as_deref(),
    };
    let id = match state.auth.admit(claim) {
        Ok(id) => id,
        Err(Denied::Unauthorized) => {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            let text = "the bearer token is missing or belongs to no target\n";
            return (StatusCode::UNAUTHORIZED, challenge, text).into_response();
        }
        Err(Denied::Forbidden) => {
            let text = "the bearer token belongs to another target\n";
            return (StatusCode::FORBIDDEN, text).into_response();
        }
    };
    if *state.stop.borrow() {
        let retry = [(header::RETRY_AFTER, "1")];
        return (StatusCode::SERVICE_UNAVAILABLE, retry, "the hub ends\n").into_response();
    }
    let Ok(place) = Arc::clone(&state.places).try_acquire_owned() else {
        let retry = [(header::RETRY_AFTER, BUSY_SECONDS)];
        return (StatusCode::SERVICE_UNAVAILABLE, retry, "the hub is full\n").into_response();
    };
    let on_upgrade = hyper::upgrade::on(&mut request);
    let connection = ConnectionId(state.connections.fetch_add(1, Ordering::Relaxed));
    tokio::spawn(async move {
        let _place = place;
        match on_upgrade.await {
            Ok(stream) => accepted(&state, connection, id, TokioIo::new(stream)).await,
            Err(error) => tracing::debug!(%connection, %error, "the upgrade failed"),
        }
    });
    let answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, upgrade.accept)
        .body(Body::empty());
    answer.unwrap_or_else(|_| StatusCode::BAD_REQUEST.into_response())
}

/// Runs one tunnel to its end.
async fn accepted<S>(state: &Arc<HubState>, connection: ConnectionId, id: AgentId, stream: S)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin,
{
    let limits = SessionLimits {
        handshake: state.handshake_timeout,
        ..SessionLimits::default()
    };
    let options = AcceptOptions {
        limits,
        message_max: state.message_bytes,
        seed: state.seed,
        ..AcceptOptions::default()
    };
    let (tunnel, handle) = AcceptedTunnel::new(stream, connection, options);
    let decide = |handshake: HandshakePayload| {
        let admission = admit(state, connection, id, &handshake);
        std::future::ready(admission)
    };
    let mut stop = state.stop.clone();
    let run = tunnel.run(decide, state.events.clone());
    tokio::pin!(run);
    tokio::select! {
        _ = &mut run => return,
        _ = stop.wait_for(|stop| *stop) => handle.close(super::closing(), Some(super::COME_BACK)),
    }
    run.await;
}

/// What the headers left out comes from the handshake; the two must not contradict each other.
fn admit(
    state: &HubState,
    connection: ConnectionId,
    mut id: AgentId,
    handshake: &HandshakePayload,
) -> Admission {
    if id.name.is_empty() {
        id.name.clone_from(&handshake.sync_target);
    }
    if id.name.is_empty() || handshake.sync_target != id.name {
        let reason = format!(
            "the handshake names the sync target {:?}, the request {:?}",
            handshake.sync_target, id.name
        );
        return Admission::Refuse {
            reason,
            retry_after: None,
        };
    }
    tracing::debug!(%connection, agent = %id, "tunnel accepted");
    if state.fleet.assign(connection, id) {
        return Admission::Accept(Terms::default());
    }
    Admission::Refuse {
        reason: "the hub knows as many agents as it may".to_owned(),
        retry_after: Some(FULL),
    }
}
