//! Requests that come at the same moment go to the database together, in one statement: in a flight.
//!
//! - A request goes alone, and at once, while fewer than [`Ask::CROWD`] flights are under way. So a few tasks or threads are
//!   served as if there was no crowd.
//! - Any other request takes a seat. The end of a flight begins the next one, with the first who waits, and with all who go
//!   with the first. If they are fewer than [`Ask::CROWD`], the first goes alone: few gain nothing from a shared statement.
//! - While a crowd flies, and as long as somebody waits then, there is one flight at a time: few full flights cost less than
//!   many with few passengers. The flights before it do not count: one of them may wait for a row. This ends when a flight
//!   leaves somebody behind who cannot go with its passengers.
//! - A flight may hang, or be polled by nobody. If somebody waits, and no flight has begun for [`PATIENCE`], those that are
//!   under way count no more.
//! - A shared flight waits for no row. It answers each passenger, or sends the passenger on: then that request goes alone. If the
//!   database refuses the statement, each goes alone. If nobody knows what the database did, each gets the error.
//! - A passenger may give up at any time. The others do not notice, and what was acquired for that passenger is given back.

mod flight;
mod seat;
#[cfg(all(test, feature = "sqlite"))]
mod tests;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::locked;
use super::pool::{Pool, Runtime};
use crate::clock::Moment;
use crate::dialect::Sql;
use crate::error::Result;
use crate::lock::Lock;
use crate::protocol::Executor;
pub(crate) use flight::Flight;
use seat::{Passenger, Seat, Seated};

/// The most passengers of a flight.
const MOST_SEATS: usize = 256;
const PATIENCE: Duration = Duration::from_millis(250);

/// What a caller asks for. Dropping it must be quick.
pub(crate) trait Ask: Send + Sync + Sized + 'static {
    type Pool: Pool;
    type Answer: Send + 'static;
    /// Whether a flight is cancelled if all its passengers have given up.
    const ENDS_WITH_CALLER: bool;
    /// How many requests are a crowd. So many go alone at the same time, each on its connection, and so many gain from one
    /// statement for all of them: [`Sql::CROWD`].
    const CROWD: usize = <<Self::Pool as Pool>::Executor as Executor>::Backend::CROWD;

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

    /// Begins flights while there is room for one and somebody waits. The first is begun before anybody else can take its
    /// place. A flight may end before its beginning returns: then this begins the next flight, too. If each end began the
    /// next flight itself, one inside of the other, the stack might overflow.
    fn begin_flights(self: &Arc<Self>, mut state: MutexGuard<'_, State<A>>) {
        if std::mem::replace(&mut state.is_beginning, true) {
            return;
        }
        let mut next = state.board();
        drop(state);
        while let Some((epoch, passengers)) = next {
            Flight::new(self, epoch).take_off(passengers);
            next = locked(&self.state).board();
        }
    }

    /// How long a caller on its seat may wait before it looks here again. If no flight has begun in time, those that are
    /// under way count no more.
    fn patience(self: &Arc<Self>) -> Duration {
        let mut state = locked(&self.state);
        let waited = Moment::now().since(state.last_began);
        let rest = self.patience.saturating_sub(waited);
        if !rest.is_zero() {
            return rest;
        }
        state.abandon_flights();
        self.begin_flights(state);
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
        self.flights >= if self.is_crowded { 1 } else { A::CROWD }
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

    /// Begins a flight, if somebody waits and there is room for the flight.
    fn board(&mut self) -> Option<(u64, Vec<Passenger<A>>)> {
        if self.is_full() || self.waiting.is_empty() {
            self.is_beginning = false;
            return None;
        }
        let passengers = self.those_who_go_together();
        let all_go_together = self.waiting.is_empty() || passengers.len() == MOST_SEATS;
        let is_crowded = all_go_together && passengers.len() >= A::CROWD;
        if is_crowded {
            self.abandon_flights();
        }
        self.is_crowded = is_crowded;
        Some((self.begin(), passengers))
    }

    /// The first who waits, and if they are a crowd, those who go with the first. The others wait on in their order.
    fn those_who_go_together(&mut self) -> Vec<Passenger<A>> {
        let (first, mut names) = (&self.waiting[0], HashSet::new());
        let goes = |it: &Passenger<A>| {
            names.len() < MOST_SEATS
                && it.goes_with(first)
                && names.insert(hash(it.ask.lock().key()))
        };
        let goes: Vec<bool> = self.waiting.iter().map(goes).collect();
        let is_crowd = names.len() >= A::CROWD;
        let mut aboard = Vec::new();
        for (passenger, goes) in std::mem::take(&mut self.waiting).into_iter().zip(goes) {
            if aboard.is_empty() || is_crowd && goes {
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
