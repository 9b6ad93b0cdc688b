//! Reads and writes files of a log, in either form, one record at a time.

use std::io::{self, BufRead, Read as _, Write};

use satpost_domain::Position;
use satpost_domain::ids::Digest;
use sha2::{Digest as _, Sha256};

use super::head::LogHead;
use super::record::{End, ExportedEvent, Header, Record, VERSION};
use super::{binary, json_lines};

/// The largest record: an event and its payload of 64 KiB each, four times over for the readable form.
const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line, for people and their tools.
    Jsonl,
    /// Compact, with a checksum for each record.
    Postcard,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read or written.
    #[error("the file cannot be used")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("the file is no export of an event log")]
    Foreign,
    /// A newer program wrote it.
    #[error("the file has version {found}, this program knows {VERSION}")]
    Newer {
        /// Its version.
        found: u64,
    },
    /// Its bytes are not what was written.
    #[error("the file is damaged at byte {at}: {reason}")]
    Damaged {
        /// Where the record begins that cannot be used.
        at: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// It ends before it is finished.
    #[error(
        "the file is not finished: it ends at byte {at}, after event {events} of the log; `satpostd export --resume` goes on with it"
    )]
    Unfinished {
        /// Where its last whole record ends.
        at: u64,
        /// How many events of the log are in it or before it.
        events: u64,
    },
}

/// Writes records and keeps the digest of everything written.
pub struct RecordWriter<W> {
    format: Format,
    out: W,
    hasher: Sha256,
    buffer: Vec<u8>,
}

impl<W: Write> RecordWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// When `out` does not take it.
    pub fn begin(format: Format, out: W) -> io::Result<Self> {
        let mut writer = Self {
            format,
            out,
            hasher: Sha256::new(),
            buffer: Vec::new(),
        };
        if format == Format::Postcard {
            writer.put(&binary::preamble())?;
        }
        Ok(writer)
    }

    /// Goes on with a file that was read up to where `out` stands.
    pub fn resume(scanned: &Scanned, out: W) -> Self {
        Self {
            format: scanned.format,
            out,
            hasher: scanned.hasher.clone(),
            buffer: Vec::new(),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }

    /// Writes one record.
    ///
    /// # Errors
    /// When the output does not take it.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        match self.format {
            Format::Jsonl => json_lines::encode(record, &mut buffer),
            Format::Postcard => binary::encode(record, &mut buffer),
        }
        let written = self.put(&buffer);
        self.buffer = buffer;
        written
    }

    /// Writes the end and gives the output back.
    ///
    /// # Errors
    /// When the output does not take it.
    pub fn finish(mut self, head: LogHead) -> io::Result<W> {
        let file = finished(&self.hasher);
        self.write(&Record::End(End { head, file }))?;
        self.out.flush()?;
        Ok(self.out)
    }
}

fn finished(hasher: &Sha256) -> Digest {
    Digest::new(hasher.clone().finalize().into())
}

/// Reads records and keeps the digest of everything read.
struct RecordReader<R> {
    format: Format,
    input: R,
    /// Where the next record begins.
    at: u64,
    /// Of everything before [`Self::at`].
    hasher: Sha256,
    buffer: Vec<u8>,
}

/// What comes next in a file.
enum Next {
    Record(Record),
    /// Nothing, or a record that is not whole.
    CutShort,
}

impl<R: BufRead> RecordReader<R> {
    fn open(mut input: R) -> Result<Self, FileError> {
        let beginning = input.fill_buf()?;
        let mut hasher = Sha256::new();
        let (format, at) = match beginning.first() {
            Some(b'{') => (Format::Jsonl, 0),
            Some(_) => {
                let mut preamble = [0; binary::PREAMBLE_BYTES];
                input
                    .read_exact(&mut preamble)
                    .map_err(|_| FileError::Foreign)?;
                let (magic, version) = preamble.split_at(binary::MAGIC.len());
                if *magic != binary::MAGIC {
                    return Err(FileError::Foreign);
                }
                check_version(u64::from(u16::from_le_bytes([version[0], version[1]])))?;
                hasher.update(preamble);
                (Format::Postcard, preamble.len() as u64)
            }
            None => return Err(FileError::Foreign),
        };
        Ok(Self {
            format,
            input,
            at,
            hasher,
            buffer: Vec::new(),
        })
    }

    fn header(&mut self) -> Result<Header, FileError> {
        let record = match self.next() {
            Err(FileError::Damaged { .. }) if self.format == Format::Jsonl => {
                // A newer form need not be one that this program can read.
                return Err(match json_lines::version(&self.buffer) {
                    Some(found) if found > u64::from(VERSION) => FileError::Newer { found },
                    _ => FileError::Foreign,
                });
            }
            record => record?,
        };
        match record {
            Next::Record(Record::Header(header)) => Ok(header),
            Next::Record(_) => Err(self.damaged("the first record is no header")),
            Next::CutShort => Err(FileError::Unfinished { at: 0, events: 0 }),
        }
    }

    fn next(&mut self) -> Result<Next, FileError> {
        self.buffer.clear();
        let record = match self.format {
            Format::Jsonl => self.next_line()?,
            Format::Postcard => self.next_binary()?,
        };
        let Some(record) = record else {
            return Ok(Next::CutShort);
        };
        let record = record.map_err(|reason| self.damaged(&reason))?;
        // What is behind the end belongs to nobody.
        if matches!(record, Record::End(_)) {
            if !self.input.fill_buf()?.is_empty() {
                return Err(self.damaged("there is something behind the end"));
            }
        } else {
            self.pass();
        }
        Ok(Next::Record(record))
    }

    /// The record in the buffer is whole: the next one begins behind it.
    fn pass(&mut self) {
        self.hasher.update(&self.buffer);
        self.at += self.buffer.len() as u64;
    }

    fn next_line(&mut self) -> Result<Option<Result<Record, String>>, FileError> {
        let limit = RECORD_BYTES_MAX as u64;
        (&mut self.input)
            .take(limit)
            .read_until(b'\n', &mut self.buffer)?;
        if self.buffer.len() == RECORD_BYTES_MAX {
            return Err(self.damaged("a line is longer than any record"));
        }
        if !self.buffer.ends_with(b"\n") {
            return Ok(None);
        }
        Ok(Some(json_lines::decode(&self.buffer)))
    }

    fn next_binary(&mut self) -> Result<Option<Result<Record, String>>, FileError> {
        if !self.fill(4)? {
            return Ok(None);
        }
        let length = [
            self.buffer[0],
            self.buffer[1],
            self.buffer[2],
            self.buffer[3],
        ];
        let bytes = u32::from_le_bytes(length) as usize;
        if bytes > RECORD_BYTES_MAX {
            return Err(self.damaged("the length of a record is wrong"));
        }
        if !self.fill(bytes + 4)? {
            return Ok(None);
        }
        let (bytes, crc) = self.buffer[4..].split_at(bytes);
        let crc = [crc[0], crc[1], crc[2], crc[3]];
        Ok(Some(binary::decode(length, bytes, crc)))
    }

    /// Reads `more` bytes into the buffer; false when there are fewer.
    fn fill(&mut self, more: usize) -> io::Result<bool> {
        let count = (&mut self.input)
            .take(more as u64)
            .read_to_end(&mut self.buffer)?;
        Ok(count == more)
    }

    fn damaged(&self, reason: &str) -> FileError {
        FileError::Damaged {
            at: self.at,
            reason: reason.to_owned(),
        }
    }
}

fn check_version(found: u64) -> Result<(), FileError> {
    if found > u64::from(VERSION) {
        Err(FileError::Newer { found })
    } else {
        Ok(())
    }
}

/// The events of a file, one after the other. Ends at the end of a finished file; everything else
/// is an error, the last thing that comes.
pub struct Events<R> {
    reader: RecordReader<R>,
    header: Header,
    head: LogHead,
    end: Option<End>,
}

impl<R: BufRead> Events<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(input: R) -> Result<Self, FileError> {
        let mut reader = RecordReader::open(input)?;
        let header = reader.header()?;
        Ok(Self {
            reader,
            header,
            head: header.before,
            end: None,
        })
    }

    /// The header of the file.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The next event; nothing after the last one of a finished file whose end agrees with it.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn next_event(&mut self) -> Result<Option<ExportedEvent>, FileError> {
        if self.end.is_some() {
            return Ok(None);
        }
        match self.reader.next()? {
            Next::Record(Record::Event(event)) => {
                self.head.add(&event.recorded);
                Ok(Some(*event))
            }
            Next::Record(Record::End(end)) => {
                if end.head != self.head {
                    return Err(self
                        .reader
                        .damaged("the events are not those that were written"));
                }
                if end.file != finished(&self.reader.hasher) {
                    return Err(self
                        .reader
                        .damaged("the bytes are not those that were written"));
                }
                self.end = Some(end);
                Ok(None)
            }
            Next::Record(Record::Header(_)) => Err(self.reader.damaged("there is a second header")),
            Next::CutShort => Err(FileError::Unfinished {
                at: self.reader.at,
                events: self.head.events,
            }),
        }
    }
}

/// What a whole file tells, finished or not.
pub struct Scanned {
    /// Its form.
    pub format: Format,
    /// Its header.
    pub header: Header,
    /// The head of the log after its last whole event.
    pub head: LogHead,
    /// The position of its last whole event in the log it came from; nothing in a file without events.
    pub last: Option<Position>,
    /// Where its last whole event ends, in bytes. What is behind is its end, or was cut short.
    pub bytes: u64,
    /// Whether it is finished.
    pub finished: bool,
    hasher: Sha256,
}

impl Scanned {
    /// A file that is not finished is not to be relied on.
    ///
    /// # Errors
    /// [`FileError::Unfinished`].
    pub const fn check_finished(&self) -> Result<(), FileError> {
        if self.finished {
            return Ok(());
        }
        Err(FileError::Unfinished {
            at: self.bytes,
            events: self.head.events,
        })
    }
}

/// Reads a file to its end and checks everything that can be checked. A file that is cut short is
/// no error here.
///
/// # Errors
/// [`FileError`], apart from `Unfinished` behind a header.
pub fn scan(
    input: impl BufRead,
    mut on_event: impl FnMut(&ExportedEvent),
) -> Result<Scanned, FileError> {
    let mut events = Events::open(input)?;
    let mut last = None;
    let finished = loop {
        match events.next_event() {
            Ok(Some(event)) => {
                last = Some(event.recorded.position);
                on_event(&event);
            }
            Ok(None) => break true,
            Err(FileError::Unfinished { .. }) => break false,
            Err(error) => return Err(error),
        }
    };
    Ok(Scanned {
        format: events.reader.format,
        header: events.header,
        head: events.head,
        last,
        bytes: events.reader.at,
        finished,
        hasher: events.reader.hasher,
    })
}
