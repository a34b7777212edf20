//! One HTTP request over a connection that is kept.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use bytes::BytesMut;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::Uri;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use secrecy::ExposeSecret;
use secrecy::SecretString;

use crate::CheckContext;
use crate::CheckError;
use crate::checks::failure::Failure;
use crate::checks::failure::Stage;
use crate::reasons;

mod connect;

mod failure;

mod material;

mod target;

mod tls;

use connect::Connector;
pub(super) use failure::status_failure;
pub use material::Material;
pub use target::ClientCertificate;
pub use target::HttpTarget;
pub use target::InvalidTarget;
#[cfg(fuzzing)]
pub use target::fuzz as fuzz_target;

/// Sends one request at a time to one target.
pub(super) struct Fetcher {
    target: HttpTarget,
    headers: HeaderMap,
    connector: Connector,
    /// The connection of the last request, if it may be used again.
    kept: Mutex<Option<Connection>>,
    /// The last header with a token that could be made.
    authorization: Mutex<Option<HeaderValue>>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Where it points, without user info, query and fragment.
    pub(super) location: Option<String>,
    /// As much of the body as was wanted.
    pub(super) body: Bytes,
    /// Whether that is all of it.
    pub(super) is_whole: bool,
    /// Until the whole answer was there.
    pub(super) latency: Duration,
}

/// Why nothing came back.
#[derive(Debug)]
pub(super) enum FetchError {
    /// The target is broken.
    Failed(Failure),
    /// It could not be asked.
    NotAsked(CheckError),
}

type Connection = SendRequest<Empty<Bytes>>;

const USER_AGENT: &str = concat!("syncer-health/", env!("CARGO_PKG_VERSION"));

/// Tokens are shorter; what is longer is another file.
const TOKEN_MAX: usize = 64 * 1024;

// === impl Fetcher ===

impl Fetcher {
    pub(super) fn new(target: HttpTarget) -> Result<Self, InvalidTarget> {
        let connector = Connector::new(&target)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::HOST, target.host_header()?);
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        for (name, value) in &target.headers {
            headers.insert(name, value.clone());
        }
        let fetcher = Self {
            headers,
            connector,
            kept: Mutex::default(),
            authorization: Mutex::default(),
            target,
        };
        if let Some(from) = &fetcher.target.bearer_token {
            let unreadable = |source| InvalidTarget::Token {
                from: from.clone(),
                source,
            };
            let value = authorization(from).map_err(unreadable)?;
            *lock(&fetcher.authorization) = Some(value);
        }
        Ok(fetcher)
    }

    pub(super) const fn target(&self) -> &HttpTarget {
        &self.target
    }

    /// The target, as it may be shown.
    pub(super) fn shown(&self) -> &str {
        self.target.shown()
    }

    /// Sends a request to the target and reads at most `body_max` bytes of the answer.
    ///
    /// # Cancel safety
    ///
    /// As [`fetch_below`](Self::fetch_below).
    pub(super) async fn fetch(
        &self,
        method: &Method,
        body_max: usize,
        cx: CheckContext,
    ) -> Result<Answer, FetchError> {
        let at = self.target.request_target();
        self.send(method, &at, body_max, cx).await
    }

    /// Sends a GET to `path` below the target and reads at most `body_max` bytes of the answer.
    ///
    /// # Cancel safety
    ///
    /// A request that is dropped takes its connection with it. It ends by itself shortly before
    /// the deadline of `cx`, and can then say where it stood.
    pub(super) async fn fetch_below(
        &self,
        path: &'static str,
        body_max: usize,
        cx: CheckContext,
    ) -> Result<Answer, FetchError> {
        let at = self.target.request_below(path);
        self.send(&Method::GET, &at, body_max, cx).await
    }

    async fn send(
        &self,
        method: &Method,
        at: &Uri,
        body_max: usize,
        cx: CheckContext,
    ) -> Result<Answer, FetchError> {
        let began = Instant::now();
        let request = || self.request(method, at);
        let stage = Stage::default();
        let work = async {
            let mut response = None;
            let kept = lock(&self.kept).take();
            if let Some(mut connection) = kept
                && connection.ready().await.is_ok()
            {
                stage.answer();
                // The other side may have closed it just now, so a failure here means nothing yet.
                if let Ok(answer) = connection.send_request(request()?).await {
                    response = Some((connection, answer));
                }
            }
            let (connection, answer) = match response {
                Some(response) => response,
                None => {
                    let mut connection = self.connector.connect(&stage, cx).await?;
                    stage.answer();
                    let answer = connection.send_request(request()?).await;
                    (connection, answer.map_err(Failure::from)?)
                }
            };
            stage.body();
            let answer = read(answer, body_max, began).await?;
            // Who a connection belongs to is said once, by its certificate, and that may be
            // another one by now.
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
            if answer.is_whole && !refused.contains(&answer.status) {
                *lock(&self.kept) = Some(connection);
            }
            Ok(answer)
        };
        let give_up_at = tokio::time::Instant::from_std(cx.give_up_at());
        match tokio::time::timeout_at(give_up_at, work).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::Failed(stage.timeout(cx.timeout))),
        }
    }

    fn request(&self, method: &Method, at: &Uri) -> Result<Request<Empty<Bytes>>, FetchError> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method.clone();
        *request.uri_mut() = at.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(from) = &self.target.bearer_token {
            let value = self.authorization(from)?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Ok(request)
    }

    /// The token as it is now; while it cannot be read, as it last was.
    fn authorization(&self, from: &Material) -> Result<HeaderValue, FetchError> {
        let mut last = lock(&self.authorization);
        match authorization(from) {
            Ok(value) => Ok(last.insert(value).clone()),
            Err(source) => last.clone().ok_or_else(|| {
                let message = format!("failed to read the token {from}");
                let error = CheckError::new(reasons::TOKEN_UNREADABLE, message);
                FetchError::NotAsked(error.with_source(source))
            }),
        }
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fetcher").field(&self.target).finish()
    }
}

// === impl FetchError ===

impl From<Failure> for FetchError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

async fn read(
    response: Response<Incoming>,
    body_max: usize,
    began: Instant,
) -> Result<Answer, Failure> {
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    let mut is_whole = true;
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(Failure::from)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = body_max - body.len();
        body.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            is_whole = false;
            break;
        }
    }
    let location = head.headers.get(header::LOCATION);
    Ok(Answer {
        status: head.status,
        location: location.map(shown_location),
        body: body.freeze(),
        is_whole,
        latency: began.elapsed(),
    })
}

/// A redirect's target without user info, query and fragment.
fn shown_location(value: &HeaderValue) -> String {
    let uri = value.to_str().ok().and_then(|text| {
        let end = text.find('#').unwrap_or(text.len());
        text[..end].parse::<Uri>().ok()
    });
    uri.map_or_else(
        || "a place that is no URL".to_owned(),
        |uri| target::shown(&uri),
    )
}

/// The header with the token that is there now.
fn authorization(from: &Material) -> std::io::Result<HeaderValue> {
    let no_text = |_| std::io::Error::other("it is no UTF-8");
    let text = SecretString::from(String::from_utf8(from.read()?).map_err(no_text)?);
    let token = text.expose_secret().trim();
    let why = match token.len() {
        // That is also how a file looks while it is written.
        0 => "it is empty",
        length if length > TOKEN_MAX => "it is too large for a token",
        _ => {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| std::io::Error::other("a header cannot hold what is in it"))?;
            value.set_sensitive(true);
            return Ok(value);
        }
    };
    Err(std::io::Error::other(why))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
