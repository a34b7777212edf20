//! One run of a check, as a future that always tells its end.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::AbortRegistration;
use futures_util::future::Abortable;
use futures_util::future::Aborted;
use health_core::ComponentId;
use health_core::Outcome;
use tokio::sync::mpsc;
use tracing::Span;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::schedule::RunId;
use crate::work::Start;
use crate::work::mark::Mark;

type CheckFuture = Pin<Box<dyn Future<Output = Result<Outcome, CheckError>> + Send>>;

/// That a run ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) key: ComponentId,
    pub(crate) run: RunId,
    pub(crate) at: Instant,
    /// From the first poll on.
    pub(crate) duration: Duration,
    pub(crate) ending: Ending,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The check said so.
    Result(Result<Outcome, CheckError>),
    /// It panicked with this text.
    Panicked(String),
    /// It was dropped.
    Dropped,
}

/// The future around a check's own: it keeps the [`Mark`], catches panics, and sends exactly one
/// [`End`], unless it is revoked.
pub(super) struct Run {
    key: ComponentId,
    run: RunId,
    work: Work,
    began: Option<Instant>,
    mark: Arc<Mark>,
    /// What the check says meanwhile is said in it.
    span: Span,
    /// Taken when the end is told.
    ends: Option<mpsc::UnboundedSender<End>>,
}

/// What there is to do.
enum Work {
    /// The call itself may panic or block as well, and what it allocates is best freed where it was
    /// allocated: it happens inside the first poll.
    Begin(Arc<dyn HealthChecker>, CheckContext, AbortRegistration),
    Go(Abortable<CheckFuture>),
    Done,
}

// === impl Work ===

impl Work {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        *self = match std::mem::replace(self, Self::Done) {
            Self::Begin(checker, context, registration) => {
                let future = Box::pin(async move { checker.check(context).await });
                Self::Go(Abortable::new(future, registration))
            }
            begun @ (Self::Go(_) | Self::Done) => begun,
        };
        match self {
            Self::Go(future) => Pin::new(future).poll(cx).map(|ended| match ended {
                Ok(result) => Ending::Result(result),
                Err(Aborted) => Ending::Dropped,
            }),
            // Nobody polls what has ended.
            Self::Begin(..) | Self::Done => Poll::Pending,
        }
    }
}

// === impl Run ===

impl Run {
    pub(super) fn new(
        start: Start,
        registration: AbortRegistration,
        mark: Arc<Mark>,
        ends: mpsc::UnboundedSender<End>,
    ) -> Self {
        Self {
            key: start.key,
            run: start.run,
            work: Work::Begin(start.checker, start.context, registration),
            began: None,
            mark,
            span: tracing::debug_span!("check", component = %start.name),
            ends: Some(ends),
        }
    }

    fn tell(&mut self, ending: Ending) {
        let Some(ends) = self.ends.take() else {
            return;
        };
        let at = Instant::now();
        let end = End {
            key: self.key,
            run: self.run,
            at,
            duration: self.began.map_or(Duration::ZERO, |began| at - began),
            ending,
        };
        // A subscriber may panic like anything else, and the end is told all the same.
        catch_unwind(AssertUnwindSafe(|| self.span.in_scope(|| log(&end)))).ok();
        // Without a receiver the monitor is gone, and nobody wants to know.
        ends.send(end).ok();
    }

    /// A destructor may panic or block like anything else.
    fn drop_work(&mut self) {
        let work = std::mem::replace(&mut self.work, Work::Done);
        let span = &self.span;
        let dropped = catch_unwind(AssertUnwindSafe(|| span.in_scope(|| drop(work))));
        if let Err(payload) = dropped {
            let message = text(payload);
            tracing::warn!(parent: span, message, "a check panicked while it was dropped");
        }
    }
}

impl Future for Run {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let now = Instant::now();
        if !this.mark.enter(now) {
            return Poll::Ready(());
        }
        this.began.get_or_insert(now);
        let (work, span) = (&mut this.work, &this.span);
        let poll = || span.in_scope(|| work.poll(cx));
        let polled = catch_unwind(AssertUnwindSafe(poll));
        let ending = match polled {
            Ok(Poll::Pending) => {
                this.mark.leave();
                return Poll::Pending;
            }
            Ok(Poll::Ready(ending)) => ending,
            Err(payload) => Ending::Panicked(text(payload)),
        };
        this.drop_work();
        this.tell(ending);
        this.mark.leave();
        Poll::Ready(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.ends.is_some() {
            // The mark shows a destructor that blocks, as it shows a poll.
            self.mark.enter(Instant::now());
            self.drop_work();
            self.tell(Ending::Dropped);
        }
    }
}

/// How a run ended, for debugging: most ends change nothing.
fn log(end: &End) {
    let duration = end.duration;
    match &end.ending {
        Ending::Result(Ok(Outcome { status, reason, .. })) => {
            tracing::debug!(%status, %reason, ?duration, "a run ended");
        }
        Ending::Result(Err(error)) => tracing::debug!(%error, ?duration, "a run found nothing out"),
        Ending::Panicked(text) => tracing::debug!(text, ?duration, "a run panicked"),
        Ending::Dropped => tracing::debug!(?duration, "a run was dropped"),
    }
}

/// What a panic said.
fn text(payload: Box<dyn Any + Send>) -> String {
    let text = match payload.downcast::<String>() {
        Ok(text) => return *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => return (*text).to_owned(),
            Err(payload) => payload,
        },
    };
    // The destructor of a strange payload may panic in turn.
    catch_unwind(AssertUnwindSafe(|| drop(text))).ok();
    "no text".to_owned()
}
