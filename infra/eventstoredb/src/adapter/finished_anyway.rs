//! A future that is finished whether or not its caller waits for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

/// Runs as a part of its caller, without the cost of a task of its own; when the caller goes away
/// before its end, the rest runs in a task of its own.
pub(super) struct FinishedAnyway<T: Send + 'static> {
    /// Nothing once it has ended.
    rest: Option<BoxFuture<'static, T>>,
}

impl<T: Send + 'static> FinishedAnyway<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            rest: Some(Box::pin(future)),
        }
    }
}

impl<T: Send + 'static> Future for FinishedAnyway<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let rest = self.rest.as_mut().expect("nobody polls what has ended");
        let polled = rest.as_mut().poll(context);
        if polled.is_ready() {
            self.rest = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for FinishedAnyway<T> {
    fn drop(&mut self) {
        // A panic is not gone on with, and without a runtime nothing can be.
        if let Some(rest) = self.rest.take()
            && !std::thread::panicking()
            && let Ok(runtime) = Handle::try_current()
        {
            drop(runtime.spawn(rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::poll;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn gives_the_answer_to_a_caller_who_waits() {
        assert_eq!(FinishedAnyway::new(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn goes_on_without_a_caller() {
        let ((go, may_go), (done, is_done)) = (oneshot::channel(), oneshot::channel());
        let mut work = FinishedAnyway::new(async move {
            may_go.await.unwrap();
            done.send(()).unwrap();
        });
        assert_eq!(poll!(&mut work), Poll::Pending);
        drop(work);
        go.send(()).unwrap();
        is_done.await.unwrap();
    }

    #[tokio::test]
    async fn begins_even_if_the_caller_never_waits() {
        let (done, is_done) = oneshot::channel();
        drop(FinishedAnyway::new(async { done.send(()).unwrap() }));
        is_done.await.unwrap();
    }
}
