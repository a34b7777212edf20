//! The flight recorder's answer: the fleet's last inputs, to be saved and replayed.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use hyper::body::Frame;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use super::HubState;
use crate::clock::WallClock;

/// So many are saved at once: each keeps up to some tens of MiB in memory while it is read.
const FLIGHTS_MAX: usize = 2;

/// Who finds them all being saved asks again after so many seconds.
const RETRY_AFTER_SECONDS: &str = "5";

/// Lines are written in pieces of about this many bytes; one takes some hundred microseconds.
const PIECE_BYTES: usize = 64 * 1024;

const CONTENT_TYPE: &str = "application/jsonl";
const DISPOSITION: &str = "attachment; filename=\"flight.jsonl\"";

/// The lines of a flight, made as they are read.
struct FlightBody {
    lines: Box<dyn Iterator<Item = String> + Send>,
    _place: OwnedSemaphorePermit,
}

pub(super) fn router() -> Router<Arc<HubState>> {
    let places = Arc::new(Semaphore::new(FLIGHTS_MAX));
    Router::new()
        .route("/flight", get(flight))
        .layer(Extension(places))
}

/// The fleet's last inputs. The fleet is locked while they are copied, not while they are written.
async fn flight(
    State(state): State<Arc<HubState>>,
    Extension(places): Extension<Arc<Semaphore>>,
) -> Response {
    let Ok(place) = places.try_acquire_owned() else {
        let text = "others are saving flights now; try again in a few seconds\n";
        let later = [(header::RETRY_AFTER, RETRY_AFTER_SECONDS)];
        return (StatusCode::SERVICE_UNAVAILABLE, later, text).into_response();
    };
    let (flight, beginning) = {
        let fleet = &state.fleet.lock().fleet;
        (fleet.flight(), fleet.beginning())
    };
    let Some(flight) = flight else {
        let text = "nothing is recorded: no agent is known yet, there are too many to record, or the \
                    feature gate FlightRecorder is closed\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let flight = flight.with_began(WallClock::now().show(beginning));
    let body = FlightBody {
        lines: Box::new(flight.lines()),
        _place: place,
    };
    let headers = [
        (header::CONTENT_TYPE, CONTENT_TYPE),
        (header::CONTENT_DISPOSITION, DISPOSITION),
    ];
    (headers, Body::new(body)).into_response()
}

// === impl FlightBody ===

impl hyper::body::Body for FlightBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut piece = String::new();
        while piece.len() < PIECE_BYTES
            && let Some(line) = self.lines.next()
        {
            piece.push_str(&line);
            piece.push('\n');
        }
        let frame = (!piece.is_empty()).then(|| Ok(Frame::data(piece.into())));
        Poll::Ready(frame)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn all_lines_come_in_pieces_and_the_place_is_free_again() {
        let places = Arc::new(Semaphore::new(1));
        let lines = |number: usize| format!("{number:0100}");
        let body = FlightBody {
            lines: Box::new((0..3_000).map(lines)),
            _place: Arc::clone(&places).try_acquire_owned().unwrap(),
        };
        assert_eq!(places.available_permits(), 0);
        let mut body = Body::new(body);
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(first.len() < PIECE_BYTES + 200, "{}", first.len());
        let rest = body.collect().await.unwrap().to_bytes();
        let text = [first, rest].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(text.lines().eq((0..3_000).map(lines)));
        assert!(text.ends_with('\n'));
        assert_eq!(places.available_permits(), 1);
    }
}
