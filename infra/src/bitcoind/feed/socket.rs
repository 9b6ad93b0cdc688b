//! One subscribed ZMQ socket with its monitor and its message counter.

use std::io;

/// The monitor's news of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// The handshake is done, the subscription is on its way.
    Opened,
    /// The connection broke; the library makes it again by itself.
    Lost,
}

/// A topic and where it comes from.
pub(super) struct Subscription {
    topic: &'static str,
    socket: zmq::Socket,
    monitor: zmq::Socket,
    counter: Counter,
}

impl Subscription {
    /// Connects in the background.
    pub(super) fn new(
        context: &zmq::Context,
        topic: &'static str,
        endpoint: &str,
    ) -> io::Result<Self> {
        let socket = context.socket(zmq::SUB)?;
        // Messages must not be dropped by the library: this thread empties the socket at once,
        // and the bound stands where a loss is said.
        socket.set_rcvhwm(0)?;
        socket.set_linger(0)?;
        socket.set_tcp_keepalive(1)?;
        socket.set_subscribe(topic.as_bytes())?;

        let news = format!("inproc://monitor-{topic}");
        let events = zmq::SocketEvent::HANDSHAKE_SUCCEEDED.to_raw()
            | zmq::SocketEvent::DISCONNECTED.to_raw();
        socket.monitor(&news, i32::from(events))?;
        let monitor = context.socket(zmq::PAIR)?;
        monitor.set_linger(0)?;
        monitor.connect(&news)?;

        socket.connect(endpoint)?;
        Ok(Self {
            topic,
            socket,
            monitor,
            counter: Counter::default(),
        })
    }

    pub(super) fn poll_items(&self) -> Vec<zmq::PollItem<'_>> {
        vec![
            self.socket.as_poll_item(zmq::POLLIN),
            self.monitor.as_poll_item(zmq::POLLIN),
        ]
    }

    /// The next news of the connection, if any waits.
    pub(super) fn connection(&mut self) -> Result<Option<Connection>, zmq::Error> {
        loop {
            let Some(parts) = receive(&self.monitor)? else {
                return Ok(None);
            };
            // The first part is the event and its value, the second the endpoint.
            let event = parts.first().and_then(|part| part.first_chunk());
            let event = event.map(|event| zmq::SocketEvent::from_raw(u16::from_ne_bytes(*event)));
            match event {
                Some(zmq::SocketEvent::HANDSHAKE_SUCCEEDED) => {
                    // The node may be another process now, which counts from 0.
                    self.counter = Counter::default();
                    return Ok(Some(Connection::Opened));
                }
                Some(zmq::SocketEvent::DISCONNECTED) => return Ok(Some(Connection::Lost)),
                _ => {}
            }
        }
    }

    /// The body of the next message, if any waits, and whether it follows the one before.
    pub(super) fn message(&mut self) -> Result<Option<(Vec<u8>, bool)>, zmq::Error> {
        let Some(parts) = receive(&self.socket)? else {
            return Ok(None);
        };
        let Ok([topic, body, counter]) = <[Vec<u8>; 3]>::try_from(parts) else {
            return Ok(Some((Vec::new(), false)));
        };
        let number = counter.as_slice().try_into().map(u32::from_le_bytes);
        let in_order = number.is_ok_and(|number| self.counter.follows(number));
        if !in_order {
            tracing::warn!(topic = self.topic, "notifications of the node are missing");
        }
        let ours = topic == self.topic.as_bytes();
        Ok(Some((body, in_order && ours)))
    }
}

fn receive(socket: &zmq::Socket) -> Result<Option<Vec<Vec<u8>>>, zmq::Error> {
    match socket.recv_multipart(zmq::DONTWAIT) {
        Ok(parts) => Ok(Some(parts)),
        Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The node numbers the messages of each topic; the number wraps.
#[derive(Debug, Default)]
struct Counter {
    last: Option<u32>,
}

impl Counter {
    /// True when `number` is the one after the last, or the first.
    fn follows(&mut self, number: u32) -> bool {
        let last = self.last.replace(number);
        last.is_none_or(|last| last.wrapping_add(1) == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_a_number_that_is_skipped_or_repeated() {
        let mut counter = Counter::default();
        let follows = [5, 6, 8, 9, 9].map(|number| counter.follows(number));
        assert_eq!(follows, [true, true, false, true, false]);
    }

    #[test]
    fn counts_on_after_the_largest_number() {
        let mut counter = Counter::default();
        assert!(counter.follows(u32::MAX));
        assert!(counter.follows(0));
    }
}
