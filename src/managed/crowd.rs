//! Requests that come at the same moment go to the database together, in one statement: in a flight.
//!
//! - A request goes alone, and at once, while fewer than [`MOST_FLIGHTS`] are under way. So a few tasks or threads are served
//!   as if there was no crowd.
//! - Any other request takes a seat. The end of a flight takes those along who have a seat, in the next flight. Since a
//!   flight had many passengers, and as long as somebody waits, there is one flight at a time: few full flights cost less
//!   than many with few passengers. This ends when a flight leaves somebody behind who cannot go with its passengers.
//! - A flight may hang, or be polled by nobody. If somebody waits, and no flight has begun for [`PATIENCE`], those that are
//!   under way count no more.
//! - A flight waits for no row. It answers each passenger, or sends the passenger on: then that request goes alone. If the
//!   database refuses the statement, each goes alone. If nobody knows what the database did, each gets the error.
//! - A passenger may give up at any time. The others do not notice, and what was acquired for that passenger is given back.

mod flight;
mod seat;
#[cfg(all(test, feature = "sqlite"))]
mod tests;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::locked;
use super::pool::{Pool, Runtime};
use crate::clock::Moment;
use crate::error::Result;
use crate::lock::Lock;
pub(crate) use flight::Flight;
use seat::{Passenger, Seat, Seated};

/// A flight has one connection. More flights than this would take the pool from others, and gain little.
const MOST_FLIGHTS: usize = 4;
/// The most passengers of a flight.
const MOST_SEATS: usize = 256;
const PATIENCE: Duration = Duration::from_millis(250);

/// What a caller asks for. Dropping it must be quick.
pub(crate) trait Ask: Send + Sync + Sized + 'static {
    type Pool: Pool;
    type Answer: Send + 'static;
    /// Whether a flight is cancelled if all its passengers have given up.
    const ENDS_WITH_CALLER: bool;

    fn pool(&self) -> Self::Pool;

    fn lock(&self) -> &Lock;

    /// How long the caller waits for its answer.
    fn within(&self) -> Duration;

    /// Whether one statement can ask for both, if they have different names.
    fn goes_with(&self, other: &Self) -> bool;

    /// Asks the database for this caller alone. The flight ends when the connection is free again.
    fn alone(
        self,
        within: Duration,
        flight: Option<Flight<Self>>,
    ) -> impl Future<Output = Result<Self::Answer>> + Send;

    /// Asks the database in one statement. Nothing is answered to those who have to be asked for alone.
    fn together(
        executor: &mut <Self::Pool as Pool>::Executor,
        asks: &[&Self],
    ) -> impl Future<Output = Result<Vec<Option<Result<Self::Answer>>>>> + Send;

    /// Passes the answer on to its caller.
    fn answered(self, answer: Result<Self::Answer>) -> Result<Self::Answer>;

    /// Undoes what the database may have done for these.
    fn undo(asks: &[&Self]);

    /// The same request once more, which [`undo`](Self::undo) does not concern.
    fn anew(self) -> Result<Self>;
}

type RuntimeOf<A> = <<A as Ask>::Pool as Pool>::Runtime;

/// Those who ask for the same kind of thing.
pub(crate) struct Crowd<A: Ask> {
    state: Mutex<State<A>>,
    patience: Duration,
}

impl<A: Ask> Default for Crowd<A> {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            patience: PATIENCE,
        }
    }
}

enum Entry<A: Ask> {
    Flight(A, Flight<A>),
    Seat(Arc<Seat<A>>),
}

impl<A: Ask> Crowd<A> {
    pub(super) async fn ask(self: &Arc<Self>, ask: A) -> Result<A::Answer> {
        let within = ask.within();
        match self.enter(ask) {
            Entry::Flight(ask, flight) => ask.alone(within, Some(flight)).await,
            Entry::Seat(seat) => Seated::new(self, seat).answer(within).await,
        }
    }

    fn enter(self: &Arc<Self>, ask: A) -> Entry<A> {
        let mut state = locked(&self.state);
        match RuntimeOf::<A>::here() {
            Some(runtime) if state.is_full() => {
                let seat = Arc::new(Seat::default());
                state.waiting.push(Passenger::new(ask, runtime, &seat));
                Entry::Seat(seat)
            }
            _ => Entry::Flight(ask, Flight::new(self, state.begin())),
        }
    }

    /// Begins flights while there is room for one and somebody waits. A flight may end before its beginning returns:
    /// then this begins the next flight, too. If each end began the next flight itself, one inside of the other, the
    /// stack might overflow.
    fn begin_flights(self: &Arc<Self>) {
        if std::mem::replace(&mut locked(&self.state).is_beginning, true) {
            return;
        }
        let next = || locked(&self.state).board();
        while let Some((epoch, passengers)) = next() {
            Flight::new(self, epoch).take_off(passengers);
        }
    }

    /// How long a caller on its seat may wait before it looks here again. If no flight has begun in time, those that are
    /// under way count no more.
    fn patience(self: &Arc<Self>) -> Duration {
        let mut state = locked(&self.state);
        let waited = Moment::now().since(state.last_began);
        if let Some(rest) = self.patience.checked_sub(waited)
            && !rest.is_zero()
        {
            return rest;
        }
        state.abandon_flights();
        drop(state);
        self.begin_flights();
        self.patience
    }

    /// Takes a passenger back whose flight has not begun.
    fn leave(&self, seat: &Arc<Seat<A>>) -> Option<Passenger<A>> {
        let mut state = locked(&self.state);
        let place = state.waiting.iter().position(|it| it.has(seat))?;
        Some(state.waiting.remove(place))
    }
}

struct State<A: Ask> {
    /// The flights under way that count.
    flights: usize,
    /// Counts how often flights were abandoned. The end of a flight of an earlier epoch changes nothing.
    epoch: u64,
    last_began: Moment,
    /// Whether some caller begins flights at this moment: [`Crowd::begin_flights`].
    is_beginning: bool,
    /// Whether there is one flight at a time.
    is_crowded: bool,
    waiting: Vec<Passenger<A>>,
}

impl<A: Ask> Default for State<A> {
    fn default() -> Self {
        Self {
            flights: 0,
            epoch: 0,
            last_began: Moment::default(),
            is_beginning: false,
            is_crowded: false,
            waiting: Vec::new(),
        }
    }
}

impl<A: Ask> State<A> {
    fn is_full(&self) -> bool {
        self.flights >= if self.is_crowded { 1 } else { MOST_FLIGHTS }
    }

    fn begin(&mut self) -> u64 {
        self.flights += 1;
        self.last_began = Moment::now();
        self.epoch
    }

    fn land(&mut self, epoch: u64) {
        if epoch == self.epoch {
            self.flights -= 1;
            self.is_crowded &= !self.waiting.is_empty();
        }
    }

    fn abandon_flights(&mut self) {
        self.epoch += 1;
        self.flights = 0;
        self.is_crowded = false;
    }

    /// Begins a flight with those of the waiting who go together, if there are any and there is room for the flight.
    fn board(&mut self) -> Option<(u64, Vec<Passenger<A>>)> {
        if self.is_full() || self.waiting.is_empty() {
            self.is_beginning = false;
            return None;
        }
        let passengers = self.those_who_go_together();
        let all_go_together = self.waiting.is_empty() || passengers.len() == MOST_SEATS;
        self.is_crowded |= passengers.len() >= MOST_FLIGHTS;
        self.is_crowded &= all_go_together;
        Some((self.begin(), passengers))
    }

    fn those_who_go_together(&mut self) -> Vec<Passenger<A>> {
        let (mut aboard, mut names) = (Vec::<Passenger<A>>::new(), HashSet::new());
        for passenger in std::mem::take(&mut self.waiting) {
            if aboard.len() < MOST_SEATS
                && passenger.goes_with(aboard.first().unwrap_or(&passenger))
                && names.insert(hash(passenger.ask.lock().key()))
            {
                passenger.board();
                aboard.push(passenger);
            } else {
                self.waiting.push(passenger);
            }
        }
        aboard
    }
}

/// Two names with the same hash go one after the other.
fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
