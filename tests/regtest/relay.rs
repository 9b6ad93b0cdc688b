//! A ZMQ relay between the node and the server that loses messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Forwards one topic, without every nth message once it is told to.
pub(crate) struct Relay {
    endpoint: String,
    lose_every: Arc<AtomicUsize>,
    double_every: Arc<AtomicUsize>,
    stalled: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Forwards everything that `upstream` publishes.
    pub(crate) fn of(upstream: &str) -> Self {
        let context = zmq::Context::new();
        let source = context.socket(zmq::SUB).unwrap();
        source.set_rcvhwm(0).unwrap();
        source.set_subscribe(b"").unwrap();
        source.connect(upstream).unwrap();
        let sink = context.socket(zmq::PUB).unwrap();
        sink.set_sndhwm(0).unwrap();
        sink.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = sink.get_last_endpoint().unwrap().unwrap();

        let lose_every = Arc::new(AtomicUsize::new(usize::MAX));
        let double_every = Arc::new(AtomicUsize::new(usize::MAX));
        let stalled = Arc::new(AtomicBool::new(false));
        let stop = Arc::new(AtomicBool::new(false));
        let (every, stopped) = (Arc::clone(&lose_every), Arc::clone(&stop));
        let (doubled, waits) = (Arc::clone(&double_every), Arc::clone(&stalled));
        let thread = std::thread::spawn(move || {
            let mut count = 0_usize;
            while !stopped.load(Ordering::Relaxed) {
                if waits.load(Ordering::Relaxed) {
                    std::thread::park_timeout(std::time::Duration::from_millis(5));
                    continue;
                }
                if source.poll(zmq::POLLIN, 50).unwrap() == 0 {
                    continue;
                }
                let message = source.recv_multipart(0).unwrap();
                count += 1;
                if count.is_multiple_of(doubled.load(Ordering::Relaxed)) {
                    sink.send_multipart(&message, 0).unwrap();
                }
                if !count.is_multiple_of(every.load(Ordering::Relaxed)) {
                    sink.send_multipart(message, 0).unwrap();
                }
            }
        });
        Self {
            endpoint,
            lose_every,
            double_every,
            stalled,
            stop,
            thread: Some(thread),
        }
    }

    /// Where the server subscribes instead.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// From now on every `n`th message is lost; all of them for 1.
    pub(crate) fn lose_every(&self, n: usize) {
        self.lose_every.store(n, Ordering::Relaxed);
    }

    /// From now on every `n`th message comes twice; all of them for 1.
    pub(crate) fn double_every(&self, n: usize) {
        self.double_every.store(n, Ordering::Relaxed);
    }

    /// Holds everything back, like a reader that is stopped, until it is told otherwise.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Forwards everything once again.
    pub(crate) fn work_again(&self) {
        self.lose_every(usize::MAX);
        self.double_every(usize::MAX);
        self.stall(false);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
