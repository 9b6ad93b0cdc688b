//! Counting, and who is ended.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream as Socket};

use satpost_api_types::problem::ProblemCode;

use super::*;

fn connections(total_max: usize, per_peer_max: Option<usize>) -> Arc<Connections> {
    let limits = ConnectionLimits {
        total_max,
        per_peer_max,
    };
    let metrics = HttpMetrics::register(&prometheus::Registry::new()).unwrap();
    Arc::new(Connections::new(limits, metrics))
}

fn peer(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

/// Both ends of a connection.
fn pair() -> (Socket, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Socket::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0.into())
}

fn enter(connections: &Arc<Connections>, peer: IpAddr) -> Option<Ticket> {
    connections.enter(peer, pair().1)
}

fn refusal(ticket: &Ticket) -> ApiError {
    ticket.begin().err().unwrap()
}

#[tokio::test]
async fn counts_each_peer_and_all_together() {
    let connections = connections(3, Some(2));
    let first = enter(&connections, peer(1)).unwrap();
    let second = enter(&connections, peer(1)).unwrap();
    first.begin().unwrap();
    let third = enter(&connections, peer(1)).unwrap();
    let error = refusal(&third);
    assert_eq!(error.code, ProblemCode::TooManyConnections);
    assert_eq!(error.limit, Some(2));
    assert_eq!(error.limit_name, Some(LimitName::ConnectionsPerPeer));
    let other = enter(&connections, peer(2)).unwrap();
    other.begin().unwrap();
    let last = enter(&connections, peer(3)).unwrap();
    assert_eq!(refusal(&last).limit_name, Some(LimitName::Connections));
    drop((second, last));
    enter(&connections, peer(3)).unwrap().begin().unwrap();
    drop((first, third, other));
    let open = connections.open();
    assert!(open.of_peer.is_empty() && open.lines.is_empty());
    assert_eq!(open.refused, 0);
}

#[tokio::test]
async fn tells_a_bounded_number_that_they_are_too_many() {
    let connections = connections(1, None);
    let _open = enter(&connections, peer(1)).unwrap();
    let told: Vec<_> = (0..CONNECTIONS_REFUSED_POLITELY_MAX)
        .map(|_| enter(&connections, peer(1)).unwrap())
        .collect();
    assert!(enter(&connections, peer(1)).is_none());
    drop(told);
    assert!(enter(&connections, peer(1)).is_some());
}

#[tokio::test]
async fn an_ipv6_subscriber_is_one_peer() {
    let connections = connections(9, Some(1));
    let _one = enter(&connections, "2001:db8::1".parse().unwrap()).unwrap();
    let same = enter(&connections, "2001:db8::2:1".parse().unwrap()).unwrap();
    assert!(same.begin().is_err());
}

#[tokio::test]
async fn ends_those_that_have_asked_nothing_for_too_long_and_no_other() {
    let connections = connections(9, None);
    let (mut quiet, theirs) = pair();
    let _quiet = connections.enter(peer(1), theirs).unwrap();
    let (mut busy, theirs) = pair();
    let ticket = connections.enter(peer(1), theirs).unwrap();
    let answering = ticket.begin().unwrap();
    connections.close_stalled(Duration::from_secs(60));
    tokio::time::sleep(Duration::from_millis(20)).await;
    connections.close_stalled(Duration::from_millis(10));
    assert_eq!(quiet.read(&mut [0; 1]).unwrap(), 0, "it was ended");
    busy.set_nonblocking(true).unwrap();
    let error = busy.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "it goes on");
    drop(answering);
    connections.close_stalled(Duration::from_secs(60));
    assert!(busy.read(&mut [0; 1]).is_err(), "its time begins anew");
}
