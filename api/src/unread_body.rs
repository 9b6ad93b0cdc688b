//! Keeps a body that nobody read to its end from keeping the connection; and lets an answer hold on to
//! what must live until its last byte is written.
//!
//! When a handler drops a chunked body, the web framework answers and then discards what still
//! comes, without a bound in bytes or time. A body that is alive while the answer is written makes
//! it close the connection instead, after a bounded moment. So the answer holds on to the body.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;

/// A body that its reader and the answer share.
#[derive(Clone)]
pub(crate) struct SharedBody(Rc<RefCell<Payload>>);

impl Stream for SharedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(context)
    }
}

/// An answer that holds on to something of its request.
struct Holding<T> {
    answer: BoxBody,
    _held: T,
}

impl<T: Unpin + 'static> MessageBody for Holding<T> {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(context)
    }
}

/// Puts a shared body in the place of the request's own; nothing when there is none.
pub(crate) fn share(request: &mut ServiceRequest) -> Option<SharedBody> {
    match request.take_payload() {
        Payload::None => None,
        payload => {
            let shared = SharedBody(Rc::new(RefCell::new(payload)));
            request.set_payload(Payload::Stream {
                payload: Box::pin(shared.clone()),
            });
            Some(shared)
        }
    }
}

/// Lets the answer hold on to something, like the body of its request.
pub(crate) fn hold<T: Unpin + 'static>(
    response: ServiceResponse,
    held: Option<T>,
) -> ServiceResponse {
    let Some(held) = held else {
        return response;
    };
    response.map_body(|_, answer| {
        BoxBody::new(Holding {
            answer,
            _held: held,
        })
    })
}
