//! Who floods, holds on without a word, or sends what is no gRPC.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Code;

use super::agent;
use super::client::Client;
use super::client::Is;
use crate::support::secs;

/// What HTTP/2 begins with, and an empty frame of settings.
const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The connections that the program has at once.
const CONNECTIONS_MAX: usize = 128;

const WORKS: &str = "{ name: works, exec: { command: [/bin/true] } }";

#[tokio::test]
async fn what_is_no_grpc_is_closed_and_harms_nobody() {
    let (agent, address) = agent(WORKS).await;
    let client = Client::connect(address).await;
    let mut watch = client.watch("").await;
    watch.until(Is::Serving).await;
    let rubbish: Vec<u8> = (0..4096_u32).map(|n| ((n * 7919) >> 3) as u8).collect();
    let begun = |rest: &[u8]| [BEGIN, rest].concat();
    for (what, bytes) in [
        ("rubbish", rubbish.clone()),
        (
            "HTTP/1.1",
            b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (
            "TLS",
            [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], &[0; 32]].concat(),
        ),
        ("rubbish after the beginning", begun(&rubbish)),
        ("a frame of 16 MiB", begun(b"\xff\xff\xff\0\0\0\0\0\x01")),
        (
            "a stream that is none of the client's",
            begun(b"\0\0\x01\x01\x05\0\0\0\x02\x82"),
        ),
        (
            "settings that cannot be",
            begun(b"\0\0\x06\x04\0\0\0\0\0\0\x04\xff\xff\xff\xff"),
        ),
        (
            "headers that cannot be unpacked",
            begun(b"\0\0\x02\x01\x05\0\0\0\x01\xff\xff"),
        ),
    ] {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        // It may be closed before all of it is sent.
        let _ = stream.write_all(&bytes).await;
        assert!(closed(stream).await, "{what}");
    }
    assert_eq!(client.check("").await, Ok(Is::Serving), "{}", agent.log());
    assert!(!agent.log().contains("panicked"), "{}", agent.log());
}

#[tokio::test]
async fn calls_that_are_none_of_ours_and_names_that_are_too_long_are_refused() {
    let (_agent, address) = agent(WORKS).await;
    let client = Client::connect(address).await;
    for path in [
        "/grpc.health.v1.Health/Other",
        "/grpc.health.v2.Health/Check",
        "/readyz",
    ] {
        assert_eq!(client.call(path).await, Err(Code::Unimplemented), "{path}");
    }
    let long = "x".repeat(100_000);
    assert_eq!(client.check(&long).await, Err(Code::OutOfRange));
    assert_eq!(client.check(&long[..900]).await, Err(Code::NotFound));
    assert_eq!(client.check("liveness").await, Ok(Is::Serving));
}

/// The other one's place is not taken by whoever takes most.
#[tokio::test]
async fn whoever_takes_all_connections_loses_his_own() {
    let (agent, address) = agent(WORKS).await;
    let before = Client::connect(address).await;
    let mut watch = before.watch("").await;
    watch.until(Is::Serving).await;
    let mut flood = JoinSet::new();
    let mut held = Vec::new();
    for number in 0..CONNECTIONS_MAX * 2 {
        let mut stream = from("127.0.0.2:0", address).await;
        // Some have said nothing at all, and some have begun.
        if number % 2 == 0 {
            stream.write_all(BEGIN).await.expect("it is taken");
        }
        if number < CONNECTIONS_MAX {
            flood.spawn(closed(stream));
        } else {
            held.push(stream);
        }
    }
    // So many must leave, and these are the oldest.
    while let Some(ended) = flood.join_next().await {
        assert!(ended.expect("nobody panics"));
    }
    let after = Client::connect(address).await;
    for client in [&before, &after] {
        assert_eq!(client.check("").await, Ok(Is::Serving));
    }
    drop(held);
    // Nor was the watch that was there before. An agent that is asked to end would say more.
    agent.signal("KILL").await;
    assert!(watch.end().await.is_some());
}

#[tokio::test]
async fn whoever_watches_as_often_as_he_can_keeps_nobody_else_from_asking() {
    let (mut agent, address) = agent(WORKS).await;
    let flooder = Client::connect(address).await;
    let mut watches = JoinSet::new();
    // More than a connection may have at once wait for those before them.
    let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..100 {
        let (flooder, began) = (flooder.clone(), began.clone());
        watches.spawn(async move {
            let mut watch = flooder.watch_whenever(&format!("nobody-{number}")).await;
            let first = watch.next().await;
            let _ = began.send(first);
            watch.end().await
        });
    }
    for _ in 0..16 {
        assert_eq!(begun.recv().await, Some(Is::ServiceUnknown));
    }
    let other = Client::connect(address).await;
    other.watch("").await.until(Is::Serving).await;
    assert!(begun.try_recv().is_err(), "there are more than 16 at once");
    assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
    watches.abort_all();
}

async fn from(local: &str, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let local = local.parse().expect("an address");
    socket.bind(local).expect("all of 127/8 is loopback");
    socket.connect(address).await.expect("it listens")
}

/// Whether the other side closes it.
async fn closed(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    // A reset is an end as well.
    timeout(secs(20), stream.read_to_end(&mut rest))
        .await
        .is_ok()
}
