//! What a call of `Read` asks for.

use satpost_domain::{Position, Revision, StreamId};

use super::filter::{EventFilter, FilterRequest};
use super::refusal::Refusal;
use crate::protocol::shared;
use crate::protocol::streams::ReadReq;
use crate::protocol::streams::read_req::Options;
use crate::protocol::streams::read_req::options::all_options::AllOption;
use crate::protocol::streams::read_req::options::stream_options::RevisionOption;
use crate::protocol::streams::read_req::options::{
    CountOption, FilterOption, ReadDirection, StreamOption, uuid_option,
};
use crate::wire_event;

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start<T> {
    /// Before everything.
    Beginning,
    /// At this place.
    At(T),
    /// After everything that is there.
    End,
}

/// Which way reading goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From old to new.
    Forwards,
    /// From new to old.
    Backwards,
}

/// Which events.
#[derive(Debug)]
pub(super) enum Source {
    /// Those of a stream, or of a name that no stream can have.
    Stream {
        name: Vec<u8>,
        stream: Option<StreamId>,
        start: Start<Revision>,
    },
    /// Those of the whole log that a filter wants.
    All {
        start: Start<Position>,
        filter: EventFilter,
        /// After how many events a subscription is told how far it is; nothing without a filter.
        checkpoint_interval: Option<u32>,
    },
}

/// How many events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    /// At most so many.
    Events { direction: Direction, max: u64 },
    /// Those that are there, and those that will come.
    Subscription,
}

/// What a call of `Read` asks for.
#[derive(Debug)]
pub(super) struct ReadRequest {
    pub(super) source: Source,
    pub(super) amount: Amount,
    pub(super) structured_ids: bool,
}

impl ReadRequest {
    /// Reads the request. Links are not resolved, since no store here has any.
    pub(super) fn parse(request: ReadReq) -> Result<Self, Refusal> {
        let options = request.options.ok_or_else(|| missing("options"))?;
        let structured_ids = matches!(
            options.uuid_option.and_then(|option| option.content),
            Some(uuid_option::Content::Structured(()))
        );
        let amount = amount(&options)?;
        Ok(Self {
            source: source(options)?,
            amount,
            structured_ids,
        })
    }
}

fn missing(what: &str) -> Refusal {
    Refusal::BadRequest(format!("the request has no {what}"))
}

fn amount(options: &Options) -> Result<Amount, Refusal> {
    let direction = match ReadDirection::try_from(options.read_direction) {
        Ok(ReadDirection::Forwards) => Direction::Forwards,
        Ok(ReadDirection::Backwards) => Direction::Backwards,
        Err(_) => return Err(Refusal::BadRequest("there is no such direction".to_owned())),
    };
    match (options.count_option, direction) {
        (Some(CountOption::Count(max)), direction) => Ok(Amount::Events { direction, max }),
        (Some(CountOption::Subscription(_)), Direction::Forwards) => Ok(Amount::Subscription),
        (Some(CountOption::Subscription(_)), Direction::Backwards) => Err(Refusal::BadRequest(
            "a subscription goes forwards only".to_owned(),
        )),
        (None, _) => Err(missing("count")),
    }
}

fn source(options: Options) -> Result<Source, Refusal> {
    let filter = match options.filter_option {
        Some(FilterOption::Filter(filter)) => Some(FilterRequest::parse(filter)?),
        Some(FilterOption::NoFilter(())) | None => None,
    };
    match options.stream_option.ok_or_else(|| missing("stream"))? {
        StreamOption::Stream(stream) => {
            if filter.is_some() {
                return Err(Refusal::BadRequest(
                    "only the whole log can be filtered".to_owned(),
                ));
            }
            let name = stream
                .stream_identifier
                .ok_or_else(|| missing("stream name"))?
                .stream_name;
            Ok(Source::Stream {
                stream: stream_id(&name),
                name,
                start: match stream.revision_option {
                    Some(RevisionOption::Revision(u64::MAX) | RevisionOption::End(())) => {
                        Start::End
                    }
                    Some(RevisionOption::Revision(revision)) => Start::At(Revision(revision)),
                    Some(RevisionOption::Start(())) | None => Start::Beginning,
                },
            })
        }
        StreamOption::All(all) => {
            let start = match all.all_option {
                Some(AllOption::Position(at)) if at.commit_position == u64::MAX => Start::End,
                Some(AllOption::Position(at)) => Start::At(wire_event::position_from_wire(
                    at.commit_position,
                    at.prepare_position,
                )),
                Some(AllOption::End(())) => Start::End,
                Some(AllOption::Start(())) | None => Start::Beginning,
            };
            let checkpoint_interval = filter.as_ref().map(|filter| filter.checkpoint_interval);
            Ok(Source::All {
                start,
                filter: filter.map_or_else(EventFilter::all, |request| request.filter),
                checkpoint_interval,
            })
        }
    }
}

/// The stream of this name, if a stream can have it.
pub(super) fn stream_id(name: &[u8]) -> Option<StreamId> {
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// The stream that an append names.
pub(super) fn stream_to_append_to(
    identifier: Option<&shared::StreamIdentifier>,
) -> Result<StreamId, Refusal> {
    let name = &identifier
        .ok_or_else(|| missing("stream name"))?
        .stream_name;
    stream_id(name).ok_or_else(|| {
        Refusal::BadRequest(format!(
            "{:?} is no stream name here: that is category-name, with 1 to 200 visible ASCII characters and no leading $",
            String::from_utf8_lossy(name)
        ))
    })
}
