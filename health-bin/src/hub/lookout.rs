//! Looks at the files of certificates and tokens though nobody dials in: what changed has an effect,
//! and what is wrong is told, before the next agent comes.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use super::HubState;

/// The files are looked at so often, and on SIGHUP. A file of 15,000 tokens is read within
/// milliseconds, and nobody who takes a token away waits longer.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A look takes no longer, unless a disk hangs.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Runs until the hub stops.
pub(super) async fn run(state: Arc<HubState>) {
    let mut stop = state.stop.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = state.look_again.notified() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = Instant::now();
        let tls = async {
            if let Some(tls) = &state.tls {
                tls.look_again(now).await;
            }
        };
        let looks = async {
            tokio::join!(
                tls,
                state.ops_token.look_again(now),
                state.auth.look_again(now)
            )
        };
        // Who hangs on a disk is waited for by nobody: it is looked at again when it has ended.
        let _ = tokio::time::timeout(LOOK_MAX, looks).await;
        state.follow_tokens();
    }
}
