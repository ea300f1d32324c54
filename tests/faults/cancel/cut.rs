//! The point at which a future is dropped.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// No future needs this many polls.
const MOST: usize = 200;

/// Drops a future after this many polls: at once, or only when the future would have been polled again.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub polls: usize,
    pub when_woken: bool,
}

/// `None` if the future was dropped before it was ready.
pub async fn until<F: Future>(cut: Cut, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(move |context| {
        if polls == cut.polls {
            return Poll::Ready(None);
        }
        polls += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == cut.polls && !cut.when_woken => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Repeats the test with one poll more each time, until the future is ready before it would be dropped.
pub async fn every_cut(what: &str, mut test: impl AsyncFnMut(Cut) -> bool) {
    for when_woken in [false, true] {
        let mut polls = 0;
        while !test(Cut { polls, when_woken }).await {
            polls += 1;
            assert!(polls < MOST, "{what} never ends");
        }
    }
}

pub struct Random(u64);

impl Random {
    /// Another sequence in each run. The timing of the run is as random as the sequence.
    pub fn new(number: usize) -> Self {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
        let nanos = now.expect("after 1970").subsec_nanos();
        Self(u64::from(nanos) * 31 + number as u64 + 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("a small number")
    }
}
