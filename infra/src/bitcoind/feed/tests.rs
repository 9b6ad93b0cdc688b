//! Against a publisher in this process; the real node is in the regtest tests.

use std::time::Duration;

use super::*;

const HASH: [u8; 32] = [0xab; 32];

struct Publisher {
    socket: zmq::Socket,
    endpoint: String,
    number: u32,
}

impl Publisher {
    fn new() -> Self {
        let socket = zmq::Context::new().socket(zmq::PUB).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = socket.get_last_endpoint().unwrap().unwrap();
        Self {
            socket,
            endpoint,
            number: 0,
        }
    }

    fn publish(&mut self, letter: u8, sequence: Option<u64>) {
        let mut body = HASH.to_vec();
        body.push(letter);
        body.extend(sequence.into_iter().flat_map(u64::to_le_bytes));
        let number = self.number.to_le_bytes();
        self.socket
            .send_multipart([b"sequence".as_slice(), &body, &number], 0)
            .unwrap();
        self.number += 1;
    }

    /// Publishes until the subscription has reached this end.
    async fn meet(&mut self, feed: &mut Feed) {
        assert_eq!(next(feed).await, Notice::Opened);
        let wait = Duration::from_millis(20);
        loop {
            self.publish(b'C', None);
            if tokio::time::timeout(wait, feed.next()).await.is_ok() {
                break;
            }
        }
        tokio::time::sleep(wait).await;
        feed.discard();
    }
}

async fn next(feed: &mut Feed) -> Notice {
    tokio::time::timeout(Duration::from_secs(10), feed.next())
        .await
        .expect("a notice arrives")
        .expect("the thread runs")
}

#[tokio::test]
async fn reads_every_kind_of_sequence_message() {
    let mut node = Publisher::new();
    let mut feed = Feed::open(&node.endpoint, None).unwrap();
    node.meet(&mut feed).await;
    node.publish(b'A', Some(7));
    node.publish(b'R', Some(8));
    node.publish(b'C', None);
    node.publish(b'D', None);
    let txid = Txid::new(HASH);
    let added = Notice::Added {
        txid,
        sequence: 7,
        body: None,
    };
    assert_eq!(next(&mut feed).await, added);
    assert_eq!(next(&mut feed).await, Notice::Removed { txid, sequence: 8 });
    let hash = BlockHash::new(HASH);
    assert_eq!(next(&mut feed).await, Notice::Connected(hash));
    assert_eq!(next(&mut feed).await, Notice::Disconnected(hash));
}

#[tokio::test]
async fn says_that_a_message_is_missing_before_the_next_one() {
    let mut node = Publisher::new();
    let mut feed = Feed::open(&node.endpoint, None).unwrap();
    node.meet(&mut feed).await;
    node.number += 1;
    node.publish(b'R', Some(8));
    assert_eq!(next(&mut feed).await, Notice::Gap(GapKind::Counter));
    assert!(matches!(next(&mut feed).await, Notice::Removed { .. }));
}

#[tokio::test]
async fn says_that_a_message_cannot_be_read() {
    let mut node = Publisher::new();
    let mut feed = Feed::open(&node.endpoint, None).unwrap();
    node.meet(&mut feed).await;
    node.publish(b'A', None);
    assert_eq!(next(&mut feed).await, Notice::Gap(GapKind::Counter));
}

#[tokio::test]
async fn says_that_the_connection_broke_and_that_it_stands_again() {
    let mut node = Publisher::new();
    let mut feed = Feed::open(&node.endpoint, None).unwrap();
    node.meet(&mut feed).await;
    node.socket.unbind(&node.endpoint).unwrap();
    let endpoint = node.endpoint.clone();
    drop(node);
    assert_eq!(next(&mut feed).await, Notice::Gap(GapKind::Disconnected));
    let socket = zmq::Context::new().socket(zmq::PUB).unwrap();
    socket.bind(&endpoint).unwrap();
    assert_eq!(next(&mut feed).await, Notice::Opened);
}

#[test]
fn says_that_notices_were_thrown_away_when_the_channel_was_full() {
    let (sender, mut notices) = mpsc::channel(2);
    let mut outbox = Outbox::new(sender);
    let block = |number| Notice::Connected(BlockHash::new([number; 32]));
    for number in 0..4 {
        outbox.send(block(number));
    }
    assert_eq!(notices.try_recv(), Ok(block(0)));
    assert_eq!(notices.try_recv(), Ok(block(1)));
    outbox.send(block(4));
    assert_eq!(notices.try_recv(), Ok(Notice::Gap(GapKind::Overflow)));
    assert_eq!(notices.try_recv(), Ok(block(4)));
}
