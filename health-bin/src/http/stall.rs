//! A connection whose other end reads nothing is given up.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

/// A stream that fails once a write has waited for [`STALL_MAX`].
///
/// Nothing above it could tell: while a write waits, hyper asks no body for more. Without this, who
/// asks and does not read holds a connection for as long as it likes.
/// While nothing waits it costs a comparison.
#[derive(Debug)]
pub(crate) struct StallGuard<S> {
    inner: S,
    /// Set while a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// Longer than any network that still carries something holds up a write.
const STALL_MAX: Duration = Duration::from_secs(30);

// === impl StallGuard ===

impl<S> StallGuard<S> {
    pub(crate) const fn new(inner: S) -> Self {
        Self {
            inner,
            deadline: None,
        }
    }

    /// Passes on what a write said, unless it has waited for too long.
    fn judge<T>(&mut self, cx: &mut Context<'_>, said: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if said.is_ready() {
            self.deadline = None;
            return said;
        }
        let begin = || Box::pin(tokio::time::sleep(STALL_MAX));
        ready!(self.deadline.get_or_insert_with(begin).as_mut().poll(cx));
        let text = "the other end reads nothing";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let said = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.judge(cx, said)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let said = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.judge(cx, said)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let said = Pin::new(&mut self.inner).poll_flush(cx);
        self.judge(cx, said)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let said = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judge(cx, said)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_reads_fails_in_time_and_one_that_is_read_slowly_does_not() {
        let (ours, mut theirs) = tokio::io::duplex(1);
        let mut guarded = StallGuard::new(ours);
        let mut byte = [0];
        let slowly = async {
            for _ in 0..5 {
                tokio::time::sleep(STALL_MAX - Duration::from_secs(1)).await;
                theirs.read_exact(&mut byte).await.expect("it is written");
            }
        };
        let (written, ()) = tokio::join!(guarded.write_all(b"12345"), slowly);
        written.expect("each byte was read in time");
        guarded.write_all(b"6").await.expect("there is room");
        let began = tokio::time::Instant::now();
        let error = guarded.write_all(b"7").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), STALL_MAX);
    }
}
