//! Reads Server-Sent Events (WHATWG HTML, section 9.2.6) from pieces of any size, within bounds.

use std::collections::VecDeque;

/// The longest line that is read, in bytes; the server's are below a thousand.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// The most data one event may have, in bytes.
pub const DATA_BYTES_MAX: usize = 256 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamEvent {
    /// The last id the stream named; empty when it named none.
    pub id: String,
    /// Its name; `message` when the stream gave none.
    pub name: String,
    /// Its data, without the last line break.
    pub data: String,
}

/// A stream that no Satpost server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventStreamError {
    /// A line does not end.
    #[error("a line of the event stream has more than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// An event does not end.
    #[error("an event of the stream has more than {DATA_BYTES_MAX} bytes")]
    EventTooLarge,
}

/// Puts pieces of a stream together.
#[derive(Debug, Default)]
pub struct EventParser {
    line: Vec<u8>,
    /// The last byte was a carriage return, so that a line feed belongs to it.
    after_return: bool,
    id: String,
    name: String,
    data: String,
    has_data: bool,
    ready: VecDeque<StreamEvent>,
}

impl EventParser {
    /// Takes the next piece.
    ///
    /// # Errors
    /// [`EventStreamError`]; nothing that comes after it can be understood.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), EventStreamError> {
        for &byte in bytes {
            let belongs_to_return = std::mem::take(&mut self.after_return) && byte == b'\n';
            match byte {
                b'\n' if belongs_to_return => {}
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    self.take_line(&String::from_utf8_lossy(&line))?;
                }
                _ if self.line.len() == LINE_BYTES_MAX => {
                    return Err(EventStreamError::LineTooLong);
                }
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    /// The next whole event, if there is one.
    pub fn next_event(&mut self) -> Option<StreamEvent> {
        self.ready.pop_front()
    }

    fn take_line(&mut self, line: &str) -> Result<(), EventStreamError> {
        if line.is_empty() {
            self.dispatch();
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" if self.data.len() + value.len() >= DATA_BYTES_MAX => {
                return Err(EventStreamError::EventTooLarge);
            }
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            // Comments, `retry` (the wait before another stream is the caller's), the future.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) {
            let name = if name.is_empty() {
                "message".to_owned()
            } else {
                name
            };
            let id = self.id.clone();
            self.ready.push_back(StreamEvent { id, name, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "retry: 2000\n\n:\n\nid: 7\nevent: seen\ndata: {\"a\":1}\n\nid:8\r\nevent:confirmed\r\ndata:one\r\ndata: two\r\n\r\nevent: nothing\n\ndata\n\nfuture: x\rdata: end\r\rid: 9\ndata: cut off";

    fn read(pieces: &[&[u8]]) -> Vec<(String, String, String)> {
        let mut parser = EventParser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(piece).unwrap();
            while let Some(event) = parser.next_event() {
                events.push((event.id, event.name, event.data));
            }
        }
        events
    }

    #[test]
    fn reads_the_same_events_from_pieces_of_any_size() {
        let expected = [
            ("7", "seen", "{\"a\":1}"),
            ("8", "confirmed", "one\ntwo"),
            ("8", "message", ""),
            ("8", "message", "end"),
        ]
        .map(|(id, name, data)| (id.to_owned(), name.to_owned(), data.to_owned()));
        for size in 1..=STREAM.len() {
            let pieces: Vec<_> = STREAM.as_bytes().chunks(size).collect();
            assert_eq!(read(&pieces), expected, "pieces of {size}");
        }
    }

    #[test]
    fn refuses_a_line_or_an_event_that_does_not_end() {
        let mut parser = EventParser::default();
        assert_eq!(parser.push(&[b'x'; LINE_BYTES_MAX]), Ok(()));
        assert_eq!(parser.push(b"x"), Err(EventStreamError::LineTooLong));

        let mut parser = EventParser::default();
        let line = format!("data: {}\n", "x".repeat(LINE_BYTES_MAX / 2));
        let refusal = (0..100).find_map(|_| parser.push(line.as_bytes()).err());
        assert_eq!(refusal, Some(EventStreamError::EventTooLarge));
    }
}
