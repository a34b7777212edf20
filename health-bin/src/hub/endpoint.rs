//! `/tunnel`: where agents dial in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use axum::Extension;
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
use tracing::Instrument;

use super::HubState;
use super::auth::Admitted;
use super::auth::Claim;
use super::auth::Denied;
use super::door::Guest;
use super::ops;
use super::pressure::Pace;
use super::refused::Dial;
use super::refused::Refusal;

/// When to come back to a hub that has no room for another agent.
const FULL: Duration = Duration::from_secs(60);

/// When to ask a standby again: within that time it may lead.
const STANDBY: Duration = Duration::from_secs(3);

/// What an agent is told whose token the file of tokens has no more.
pub(super) const TOKEN_GONE: &str = "the bearer token of this tunnel is valid no more";

/// Everything that is asked on `server`.
pub(super) fn router(state: Arc<HubState>) -> Router {
    Router::new()
        .route("/tunnel", get(tunnel))
        .merge(ops::probes())
        .with_state(state)
}

async fn tunnel(
    State(state): State<Arc<HubState>>,
    Extension(guest): Extension<Arc<Guest>>,
    mut request: Request,
) -> Response {
    let upgrade = match UpgradeRequest::from_headers(request.headers()) {
        Ok(upgrade) => upgrade,
        Err(error) => return (error.status(), format!("{error}\n")).into_response(),
    };
    if !*state.leads.borrow() {
        state.refused.count(Refusal::Standby);
        let text = "this hub stands by, another one leads\n";
        return later(StatusCode::SERVICE_UNAVAILABLE, STANDBY, text);
    }
    let claim = Claim {
        certified: guest.certified(),
        bearer: upgrade.bearer.as_ref(),
        workspace: &upgrade.workspace,
        name: upgrade.sync_target.as_deref(),
    };
    let admitted = state.auth.admit(claim, Instant::now()).await;
    state.follow_tokens();
    let Admitted { id, mark } = match admitted {
        Ok(admitted) => admitted,
        Err(denied) => return refuse(&state, denied, &claim.said(), guest.from()),
    };
    if *state.stop.borrow() {
        state.refused.count(Refusal::Stopping);
        return later(StatusCode::SERVICE_UNAVAILABLE, SOON, "the hub ends\n");
    }
    match state.pressure().dial(&id, Instant::now()) {
        Pace::Go => {}
        Pace::Busy(away) => {
            state.refused.count(Refusal::Busy);
            let text = "too many agents dial in at once\n";
            return later(StatusCode::SERVICE_UNAVAILABLE, away, text);
        }
        Pace::TooOften(away) => {
            state.refused.count(Refusal::TooOften);
            let text = "this agent dials in too often\n";
            return later(StatusCode::TOO_MANY_REQUESTS, away, text);
        }
    }
    let Ok(place) = Arc::clone(&state.places).try_acquire_owned() else {
        state.refused.count(Refusal::Full);
        let away = state.pressure().full();
        return later(StatusCode::SERVICE_UNAVAILABLE, away, "the hub is full\n");
    };
    let on_upgrade = hyper::upgrade::on(&mut request);
    let connection = ConnectionId(state.connections.fetch_add(1, Ordering::Relaxed));
    // It has no parent: it may outlive the dial by months.
    let span = tracing::debug_span!(
        parent: None,
        "tunnel",
        %connection,
        agent = %id,
        peer = %guest.from()
    );
    let run = async move {
        let _place = place;
        match on_upgrade.await {
            Ok(stream) => {
                let whose = Admitted { id, mark };
                accepted(&state, connection, whose, guest, TokioIo::new(stream)).await;
            }
            Err(error) => tracing::debug!(%connection, %error, "the upgrade failed"),
        }
    };
    tokio::spawn(run.instrument(span));
    let answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, upgrade.accept)
        .body(Body::empty());
    answer.unwrap_or_else(|_| StatusCode::BAD_REQUEST.into_response())
}

/// When to come back where it makes no difference.
const SOON: Duration = Duration::from_secs(1);

/// Refuses who does not show what its target asks for. Whoever dials in says whose dial it is.
fn refuse(state: &HubState, denied: Denied, agent: &AgentId, from: SocketAddr) -> Response {
    let tell = |refusal, why: &str| {
        let dial = Dial { agent, from, why };
        state.refused.tell(refusal, dial, Instant::now());
    };
    match denied {
        Denied::Unauthorized(why) => {
            tell(Refusal::Unauthorized, why);
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            (StatusCode::UNAUTHORIZED, challenge, format!("{why}\n")).into_response()
        }
        Denied::Forbidden(why) => {
            tell(Refusal::Forbidden, &why);
            (StatusCode::FORBIDDEN, format!("{why}\n")).into_response()
        }
        Denied::Unavailable => {
            let away = state.pressure().full();
            let text = "nobody can say now whether this agent may come in";
            tell(Refusal::Unavailable, text);
            later(StatusCode::SERVICE_UNAVAILABLE, away, format!("{text}\n"))
        }
    }
}

/// An answer that says when to ask again: in whole seconds, and not too early.
fn later(status: StatusCode, away: Duration, text: impl IntoResponse) -> Response {
    let seconds = away.as_secs() + u64::from(away.subsec_nanos() > 0);
    let retry = [(header::RETRY_AFTER, seconds.to_string())];
    (status, retry, text).into_response()
}

/// Runs one tunnel to its end.
async fn accepted<S>(
    state: &Arc<HubState>,
    connection: ConnectionId,
    whose: Admitted,
    guest: Arc<Guest>,
    stream: S,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin,
{
    let limits = SessionLimits {
        handshake: guest.time_left(Instant::now()),
        ..SessionLimits::default()
    };
    let options = AcceptOptions {
        limits,
        message_max: state.message_bytes,
        seed: state.seed,
        ..AcceptOptions::default()
    };
    let (tunnel, handle) = AcceptedTunnel::new(stream, connection, options);
    let _registered = state.registry.insert(connection, handle, whose.mark);
    let decide = {
        let guest = Arc::clone(&guest);
        move |handshake: HandshakePayload| {
            let admission = admit(state, connection, whose, &handshake, guest.from());
            if matches!(admission, Admission::Accept(_)) {
                guest.is_in();
            }
            std::future::ready(admission)
        }
    };
    let run = tunnel.run(decide, state.events.clone());
    tokio::pin!(run);
    tokio::select! {
        _ = &mut run => return,
        is_in = guest.settled() => if !is_in { return },
    }
    // The tunnel may live for months.
    drop(guest);
    run.await;
}

/// What the headers left out comes from the handshake; the two must not contradict each other.
fn admit(
    state: &HubState,
    connection: ConnectionId,
    Admitted { mut id, mark }: Admitted,
    handshake: &HandshakePayload,
    from: SocketAddr,
) -> Admission {
    let refused = |refusal, agent: &AgentId, why: String| {
        let dial = Dial {
            agent,
            from,
            why: &why,
        };
        state.refused.tell(refusal, dial, Instant::now());
        Admission::Refuse {
            reason: why,
            retry_after: None,
        }
    };
    // Whoever follows the tokens finds registered tunnels only, and this one is registered by now.
    if mark.is_some_and(|mark| !state.auth.holds(mark)) {
        return refused(Refusal::Unauthorized, &id, TOKEN_GONE.to_owned());
    }
    if id.name.is_empty() {
        id.name.clone_from(&handshake.sync_target);
        if !state.auth.may_be_named(&id) {
            let why = format!("{id} has a bearer token, which was not shown");
            return refused(Refusal::Unauthorized, &id, why);
        }
    }
    if id.name.is_empty() || handshake.sync_target != id.name {
        let why = format!(
            "the handshake names the sync target {:?}, the request {:?}",
            handshake.sync_target, id.name
        );
        return refused(Refusal::Handshake, &id, why);
    }
    if *state.stop.borrow() {
        state.refused.count(Refusal::Stopping);
        return Admission::Refuse {
            reason: super::closing().to_string(),
            retry_after: Some(SOON),
        };
    }
    tracing::debug!(%connection, agent = %id, "tunnel accepted");
    if state.fleet.assign(connection, id) {
        return Admission::Accept(Terms::default());
    }
    state.refused.count(Refusal::Full);
    Admission::Refuse {
        reason: "the hub knows as many agents as it may".to_owned(),
        retry_after: Some(FULL),
    }
}
