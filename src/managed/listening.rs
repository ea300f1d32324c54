//! Notifications of releases from the database, on PostgreSQL.
//!
//! The listener has one connection of its own. It is opened for the first waiter, and closed some seconds after the
//! last one. A notification is a hint: the first waiter of each queue also polls, so a lost notification costs time and
//! nothing else. After every (re)connection these waiters poll again, and ask again for announcements.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bell::Bell;
use super::locked;
use super::pool::{Boxed, Runtime};
use super::queue::Queues;
use crate::clock::Moment;
use crate::error::Result;

/// A connection that listens.
pub(crate) trait Ear: Send {
    /// Waits for a notification, and returns the key of the lock that was released; `None` after this time.
    fn hear(&mut self, at_most: Duration) -> Boxed<'_, Result<Option<String>>>;
}

/// Opens a connection that listens.
pub(crate) type Open = Box<dyn Fn() -> Boxed<'static, Result<Box<dyn Ear>>> + Send + Sync>;

/// The statement that asks the database for notifications.
#[cfg_attr(
    not(any(feature = "listen", feature = "async-listen")),
    expect(dead_code, reason = "nobody listens without these features")
)]
pub(crate) const LISTEN: &str = "LISTEN diesel_locks";

pub(crate) struct Listening {
    open: Open,
    queues: Arc<Queues>,
    state: Mutex<State>,
    bell: Bell,
}

#[derive(Default)]
struct State {
    running: bool,
    hears: bool,
    closed: bool,
}

/// How long the connection is kept after the last waiter.
const LINGER: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(500);
/// The pause between two tries to connect.
const PAUSE: Duration = Duration::from_secs(1);

impl Listening {
    #[cfg_attr(
        not(any(feature = "listen", feature = "async-listen")),
        expect(dead_code, reason = "nobody listens without these features")
    )]
    pub(crate) fn new(open: Open, queues: Arc<Queues>) -> Self {
        Self {
            open,
            queues,
            state: Mutex::default(),
            bell: Bell::default(),
        }
    }

    /// Whether a notification would be received now. If nothing listens yet, starts the listening.
    pub(crate) fn hears<R: Runtime>(self: &Arc<Self>) -> bool {
        let mut state = locked(&self.state);
        if !state.running && !state.closed {
            if let Some(runtime) = R::here() {
                state.running = true;
                drop(state);
                runtime.spawn(Running(self.clone()).run::<R>());
                return false;
            }
        }
        state.hears
    }

    pub(crate) fn close(&self) {
        locked(&self.state).closed = true;
        self.bell.ring();
    }

    fn set_hears(&self, hears: bool) {
        locked(&self.state).hears = hears;
        self.queues.wake_all();
    }
}

/// The running listener. If it is dropped together with its runtime, it can be started again on another runtime.
struct Running(Arc<Listening>);

impl Running {
    async fn run<R: Runtime>(self) {
        let mut last_waited = Moment::now();
        while self.is_wanted(&mut last_waited) {
            let seen = self.0.bell.rings();
            if let Ok(ear) = (self.0.open)().await {
                self.0.set_hears(true);
                self.listen(ear, &mut last_waited).await;
                self.0.set_hears(false);
            } else {
                R::wait(&self.0.bell, seen, PAUSE).await;
            }
        }
    }

    /// Receives notifications until the connection breaks, or is not needed any more.
    async fn listen(&self, mut ear: Box<dyn Ear>, last_waited: &mut Moment) {
        while self.is_wanted(last_waited) {
            match ear.hear(LOOK).await {
                Ok(Some(name)) => self.0.queues.announced(&name),
                Ok(None) => {}
                Err(_) => return, // it is opened anew
            }
        }
    }

    fn is_wanted(&self, last_waited: &mut Moment) -> bool {
        let now = Moment::now();
        if !self.0.queues.are_empty() {
            *last_waited = now;
        }
        now.since(*last_waited) < LINGER && !locked(&self.0.state).closed
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = locked(&self.0.state);
        state.running = false;
        state.hears = false;
    }
}
