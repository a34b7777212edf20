use futures_util::SinkExt;
use futures_util::StreamExt;
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::Data;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use super::*;

#[tokio::test]
async fn the_memory_of_a_large_frame_is_given_back_once_nothing_waits() {
    let (mut peer, mut link) = pair(1 << 20).await;
    for size in [10, 100_000, 10, 70_000, 5_000, 3_000, 2_000] {
        peer.send(text(size)).await.unwrap();
        assert_eq!(received(&mut link).await, size);
        assert_eq!(link.grown, size > 2 * 1024, "{size}");
        link.slim();
        assert!(!link.grown, "{size}");
    }
}

#[tokio::test]
async fn it_is_not_given_back_while_something_waits_or_an_answer_is_owed() {
    let (mut peer, mut link) = pair(1 << 20).await;
    peer.feed(text(100_000)).await.unwrap();
    peer.send(text(10)).await.unwrap();
    assert_eq!(received(&mut link).await, 100_000);
    link.slim();
    assert!(link.grown, "the next frame may be in the buffer");
    assert_eq!(received(&mut link).await, 10);
    link.slim();
    assert!(!link.grown);

    let ping = tungstenite::Message::Ping(vec![1].into());
    peer.send(ping).await.unwrap();
    assert_eq!(received(&mut link).await, 1);
    peer.send(text(9_000)).await.unwrap();
    assert_eq!(received(&mut link).await, 9_000);
    link.slim();
    assert!(link.grown, "the pong may be on its way");
    let sent = link.send("sent".to_owned(), Instant::now());
    sent.await.unwrap();
    link.slim();
    assert!(!link.grown);
}

#[tokio::test]
async fn what_the_socket_does_not_take_at_once_leaves_by_turns() {
    let (mut peer, mut link) = pair(1_000).await;
    let now = Instant::now();
    link.send("a".repeat(10), now).await.unwrap();
    assert_eq!(link.writing(), None, "it had room");
    link.send("b".repeat(5_000), now).await.unwrap();
    assert_eq!(link.writing(), Some(now));
    assert!(link.turn(false).now_or_never().is_none(), "it has none");
    let read = async {
        let sizes = [peer.next().await, peer.next().await];
        sizes.map(|came| came.unwrap().unwrap().len())
    };
    let (turn, sizes) = tokio::join!(link.turn(false), read);
    assert!(matches!(turn, Turn::Sent), "{turn:?}");
    assert_eq!(sizes, [10, 5_000]);
    assert_eq!(link.writing(), None);
}

/// Whatever comes, in pieces or at once: each message arrives, whole and in order.
#[tokio::test]
async fn nothing_is_lost_however_frames_come() {
    for seed in 0..40 {
        let mut chance = fastrand::Rng::with_seed(seed);
        let (mut peer, mut link) = pair(chance.usize(1..20_000)).await;
        let mut sizes = Vec::new();
        let mut frames = Vec::new();
        for _ in 0..30 {
            let size = chance.usize(0..12_000);
            sizes.push(size);
            if chance.u8(..) < 64 {
                let half = size / 2;
                frames.extend([
                    Frame::message(vec![b'x'; half], OpCode::Data(Data::Text), false),
                    Frame::message(vec![b'x'; size - half], OpCode::Data(Data::Continue), true),
                ]);
            } else {
                let bytes = vec![b'x'; size];
                frames.push(Frame::message(bytes, OpCode::Data(Data::Text), true));
            }
        }
        let write = async move {
            for frame in frames {
                peer.feed(tungstenite::Message::Frame(frame)).await.unwrap();
                if chance.bool() {
                    peer.flush().await.unwrap();
                }
            }
            peer.flush().await.unwrap();
            peer
        };
        let read = async {
            let mut came = Vec::new();
            while came.len() < sizes.len() {
                came.push(received(&mut link).await);
                link.slim();
            }
            came
        };
        let (_peer, came) = tokio::join!(write, read);
        assert_eq!(came, sizes, "seed {seed}");
    }
}

async fn pair(buffer: usize) -> (WebSocketStream<DuplexStream>, Link<Counted<DuplexStream>>) {
    let (theirs, ours) = tokio::io::duplex(buffer);
    let peer = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    let config = Some(config(MESSAGE_MAX));
    let socket = WebSocketStream::from_raw_socket(Counted::new(ours), Role::Server, config).await;
    (peer, Link::new(socket))
}

async fn received<S: AsyncRead + AsyncWrite + Unpin>(link: &mut Link<S>) -> usize {
    match link.turn(true).await {
        Turn::Received(message) => message.len(),
        turn @ (Turn::Sent | Turn::Broken(_)) => panic!("{turn:?}"),
    }
}

fn text(size: usize) -> tungstenite::Message {
    tungstenite::Message::text("x".repeat(size))
}
