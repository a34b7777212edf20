//! Ports for servers that are to be found again where they were.

use std::net::TcpListener;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

/// Free ports below those that the system hands out: while the server is down, nobody else's
/// connection, and no connection of the agent to itself, takes them.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut free = std::iter::repeat_with(|| {
        // Another process begins elsewhere, and its neighbours far from it.
        let number =
            NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id().wrapping_mul(2_357) % 10_000;
        let port = u16::try_from(20_000 + number % 10_000).expect("a port");
        let listener = TcpListener::bind(("127.0.0.1", port));
        listener.is_ok().then_some(port)
    })
    .take(10_000)
    .flatten();
    [(); N].map(|()| free.next().expect("a free port"))
}
