//! A log becomes a file.

use std::io::{self, Write};

use satpost_commands::ports::LogError;
use satpost_domain::Position;
use satpost_event_store::{EventStore, RecordedEvent};

use super::file::{RecordWriter, Scanned};
use super::head::LogHead;
use super::pages::Pages;
use super::record::{ExportedEvent, Header, PayloadContent, Record};

/// Why a log could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file cannot be written.
    #[error("the file cannot be written")]
    Io(#[from] io::Error),
    /// The file to go on with is one of another log.
    #[error(
        "the file to go on with is not of this log: they differ within the first {events} events"
    )]
    OtherLog {
        /// How many events were compared.
        events: u64,
    },
}

/// Where a file begins.
pub enum Start<'a> {
    /// With the first event at or after this position.
    At(Position),
    /// Where an unfinished file ends.
    After(&'a Scanned),
}

/// What an export did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// How many events were written.
    pub events: u64,
    /// How many payloads were written with them.
    pub payloads: u64,
    /// The head of the log through the last of them.
    pub head: LogHead,
}

/// Computes the head of `store` through `end`.
///
/// # Errors
/// [`LogError`] when the log cannot be read.
pub async fn head_through(
    store: &dyn EventStore,
    end: Position,
    mut on_progress: impl FnMut(Position),
) -> Result<LogHead, LogError> {
    let mut head = LogHead::start();
    let mut pages = Pages::new(store);
    while let Some(event) = pages.next().await?.filter(|event| event.position <= end) {
        head.add(&event);
        on_progress(event.position);
    }
    Ok(head)
}

/// Writes everything from `start` through `end` to `out`, which has its beginning already, and
/// finishes it. The events before `start` are read as well: the head of the log depends on them.
///
/// # Errors
/// [`ExportError`]; the file can be gone on with after every one but `OtherLog`.
pub async fn export<W: Write>(
    store: &dyn EventStore,
    (start, end): (Start<'_>, Position),
    with_payloads: bool,
    out: RecordWriter<W>,
    mut on_progress: impl FnMut(Position),
) -> Result<(Exported, W), ExportError> {
    let mut export = Export {
        store,
        start,
        with_payloads,
        out,
        done: Exported {
            events: 0,
            payloads: 0,
            head: LogHead::start(),
        },
        started: false,
    };
    let mut pages = Pages::new(store);
    while let Some(event) = pages.next().await?.filter(|event| event.position <= end) {
        let position = event.position;
        export.take(event).await?;
        on_progress(position);
    }
    if !export.started {
        export.begin().await?;
    }
    let out = export.out.finish(export.done.head)?;
    Ok((export.done, out))
}

struct Export<'a, W> {
    store: &'a dyn EventStore,
    start: Start<'a>,
    with_payloads: bool,
    out: RecordWriter<W>,
    done: Exported,
    started: bool,
}

impl<W: Write> Export<'_, W> {
    async fn take(&mut self, event: RecordedEvent) -> Result<(), ExportError> {
        if !self.started && self.begins_with(&event) {
            self.begin().await?;
        }
        self.done.head.add(&event);
        if !self.started {
            return Ok(());
        }
        let payload = self.payload(&event).await?;
        self.done.payloads += u64::from(matches!(payload, Some(PayloadContent::Present(_))));
        self.done.events += 1;
        let event = ExportedEvent {
            recorded: event,
            payload,
        };
        self.out.write(&Record::Event(Box::new(event)))?;
        Ok(())
    }

    fn begins_with(&self, event: &RecordedEvent) -> bool {
        match self.start {
            Start::At(from) => event.position >= from,
            Start::After(scanned) => self.done.head.events == scanned.head.events,
        }
    }

    /// Everything before the first event to be written was seen.
    async fn begin(&mut self) -> Result<(), ExportError> {
        self.started = true;
        match self.start {
            Start::At(_) => {
                let header = Header {
                    log: self.store.identity().await?,
                    before: self.done.head,
                    with_payloads: self.with_payloads,
                };
                self.out.write(&Record::Header(header))?;
                Ok(())
            }
            Start::After(scanned) if scanned.head == self.done.head => Ok(()),
            Start::After(scanned) => Err(ExportError::OtherLog {
                events: scanned.head.events,
            }),
        }
    }

    async fn payload(&self, event: &RecordedEvent) -> Result<Option<PayloadContent>, LogError> {
        let Some(id) = event.payload else {
            return Ok(None);
        };
        if !self.with_payloads {
            return Ok(Some(PayloadContent::LeftOut));
        }
        let bytes = self.store.payload(id).await?;
        Ok(Some(
            bytes.map_or(PayloadContent::Erased, PayloadContent::Present),
        ))
    }
}
