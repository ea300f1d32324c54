//! Where a caller waits for its flight and its answer, and its request meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::{Ask, Crowd, Flight, RuntimeOf};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::managed::bell::Bell;
use crate::managed::locked;
use crate::managed::pool::{Boxed, Runtime};
use crate::managed::request::{no_answer, no_connection};

pub(super) struct Seat<A: Ask> {
    bell: Bell,
    told: Mutex<Option<Told<A>>>,
    /// Whether the flight has begun.
    is_aboard: AtomicBool,
    /// Whether the database may have been asked.
    is_sent: AtomicBool,
}

enum Told<A: Ask> {
    Answer(Result<A::Answer>),
    /// The caller is to go alone: on this flight, if there is one.
    Alone(A, Option<Flight<A>>),
    /// The caller's thread is to run the flight, with its own request among the others.
    Lead(Boxed<'static, ()>),
}

impl<A: Ask> Default for Seat<A> {
    fn default() -> Self {
        Self {
            bell: Bell::default(),
            told: Mutex::default(),
            is_aboard: AtomicBool::default(),
            is_sent: AtomicBool::default(),
        }
    }
}

impl<A: Ask> Seat<A> {
    pub(super) fn lead(&self, flight: Boxed<'static, ()>) {
        self.tell(Told::Lead(flight));
    }

    fn tell(&self, told: Told<A>) {
        *locked(&self.told) = Some(told);
        self.bell.ring();
    }

    fn told(&self) -> Option<Told<A>> {
        locked(&self.told).take()
    }
}

/// A caller that has a seat. If it gives up before its flight has begun, its request leaves.
pub(super) struct Seated<'c, A: Ask> {
    crowd: &'c Arc<Crowd<A>>,
    seat: Arc<Seat<A>>,
    has_left: bool,
}

impl<'c, A: Ask> Seated<'c, A> {
    pub(super) fn new(crowd: &'c Arc<Crowd<A>>, seat: Arc<Seat<A>>) -> Self {
        Self {
            crowd,
            seat,
            has_left: false,
        }
    }

    pub(super) async fn answer(mut self, within: Duration) -> Result<A::Answer> {
        let began = Moment::now();
        loop {
            let seen = self.seat.bell.rings();
            let told = self.seat.told();
            self.has_left |= told.is_some();
            let left = within.saturating_sub(Moment::now().since(began));
            match told {
                Some(Told::Answer(answer)) => return answer,
                Some(Told::Alone(ask, flight)) if !left.is_zero() => {
                    return ask.alone(left, flight).await;
                }
                Some(Told::Lead(flight)) => flight.await,
                Some(Told::Alone(..)) => return Err(self.overdue(within)),
                None if left.is_zero() => return Err(self.overdue(within)),
                None => {
                    let at_most = left.min(self.patience());
                    RuntimeOf::<A>::wait(&self.seat.bell, seen, at_most).await;
                }
            }
        }
    }

    fn patience(&self) -> Duration {
        if self.seat.is_aboard.load(Ordering::SeqCst) {
            Duration::MAX
        } else {
            self.crowd.patience()
        }
    }

    fn overdue(&self, within: Duration) -> Error {
        if self.seat.is_sent.load(Ordering::SeqCst) {
            no_answer(Some(within))
        } else {
            no_connection("the time was over before there was a connection")
        }
    }
}

impl<A: Ask> Drop for Seated<'_, A> {
    fn drop(&mut self) {
        if !self.has_left {
            drop(self.crowd.leave(&self.seat));
        }
    }
}

/// A request on its way, and the seat of its caller.
pub(super) struct Passenger<A: Ask> {
    pub(super) ask: A,
    seat: Weak<Seat<A>>,
    pub(super) runtime: RuntimeOf<A>,
    since: Moment,
}

impl<A: Ask> Passenger<A> {
    pub(super) fn new(ask: A, runtime: RuntimeOf<A>, seat: &Arc<Seat<A>>) -> Self {
        Self {
            ask,
            seat: Arc::downgrade(seat),
            runtime,
            since: Moment::now(),
        }
    }

    pub(super) fn seat(&self) -> Option<Arc<Seat<A>>> {
        self.seat.upgrade()
    }

    pub(super) fn has(&self, seat: &Arc<Seat<A>>) -> bool {
        self.seat.as_ptr() == Arc::as_ptr(seat)
    }

    /// A flight is on the runtime of all its passengers: another runtime may end, or stand still.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        self.runtime.place() == other.runtime.place() && self.ask.goes_with(&other.ask)
    }

    /// The question whether the caller still waits.
    pub(super) fn is_wanted(&self) -> impl Fn() -> bool + Send + use<A> {
        let seat = self.seat.clone();
        move || seat.strong_count() > 0
    }

    /// The rest of the time for which the caller waits.
    pub(super) fn left(&self) -> Duration {
        let waited = Moment::now().since(self.since);
        self.ask.within().saturating_sub(waited)
    }

    pub(super) fn board(&self) {
        if let Some(seat) = self.seat() {
            seat.is_aboard.store(true, Ordering::SeqCst);
        }
    }

    /// Notes that the database may be asked from now on.
    pub(super) fn send(&self) {
        if let Some(seat) = self.seat() {
            seat.is_sent.store(true, Ordering::SeqCst);
        }
    }

    pub(super) fn answer(self, answer: Result<A::Answer>) {
        tell(&self.seat, Told::Answer(self.ask.answered(answer)));
    }

    pub(super) fn go_alone(self, flight: Option<Flight<A>>) {
        tell(&self.seat, Told::Alone(self.ask, flight));
    }

    pub(super) fn go_alone_anew(self) {
        let anew = self.ask.anew();
        let told = anew.map_or_else(
            |error| Told::Answer(Err(error)),
            |ask| Told::Alone(ask, None),
        );
        tell(&self.seat, told);
    }
}

fn tell<A: Ask>(seat: &Weak<Seat<A>>, told: Told<A>) {
    if let Some(seat) = seat.upgrade() {
        seat.tell(told);
    }
}
