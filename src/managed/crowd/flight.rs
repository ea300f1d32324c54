//! A flight: one request on one connection, for one caller or for several.

use std::sync::Arc;
use std::time::Duration;

use super::seat::Passenger;
use super::{Ask, Crowd};
use crate::error::{Error, Result};
use crate::managed::locked;
use crate::managed::pool::{Pool, Runtime};
use crate::managed::request::{no_answer, on_connection};
use crate::protocol::Executor;

/// A flight that is under way. Its end begins the next one.
pub(crate) struct Flight<A: Ask> {
    crowd: Arc<Crowd<A>>,
    epoch: u64,
}

impl<A: Ask> Flight<A> {
    pub(super) fn new(crowd: &Arc<Crowd<A>>, epoch: u64) -> Self {
        let crowd = crowd.clone();
        Self { crowd, epoch }
    }

    /// A single passenger gets the flight, and goes alone.
    pub(super) fn take_off(self, mut passengers: Vec<Passenger<A>>) {
        if passengers.len() > 1 {
            self.share(passengers);
        } else if let Some(passenger) = passengers.pop() {
            passenger.go_alone(Some(self));
        }
    }

    /// Tasks fly by themselves. Of threads, the first passenger's flies.
    fn share(self, passengers: Vec<Passenger<A>>) {
        let first = &passengers[0];
        let (runtime, leader) = (first.runtime.clone(), first.seat());
        let aboard = Aboard {
            passengers,
            is_sent: false,
        };
        let flight = Box::pin(async move {
            aboard.fly().await;
            drop(self);
        });
        if let (Some(flight), Some(seat)) = (runtime.start(flight), leader) {
            seat.lead(flight);
        }
    }
}

impl<A: Ask> Drop for Flight<A> {
    fn drop(&mut self) {
        let mut state = locked(&self.crowd.state);
        state.land(self.epoch);
        self.crowd.begin_flights(state);
    }
}

/// The passengers of a flight. Each of them is told how it ends, also if it is cancelled.
struct Aboard<A: Ask> {
    passengers: Vec<Passenger<A>>,
    /// Whether the database may have been asked.
    is_sent: bool,
}

impl<A: Ask> Aboard<A> {
    /// Asks the database for all passengers on one connection. When the connection is free again, they are told.
    async fn fly(mut self) {
        let (pool, within) = (self.passengers[0].ask.pool(), self.within());
        let is_wanted: Vec<_> = self.passengers.iter().map(Passenger::is_wanted).collect();
        let is_wanted = move || !A::ENDS_WITH_CALLER || is_wanted.iter().any(|it| it());
        let aboard = &mut self;
        let request =
            async move |executor: &mut <A::Pool as Pool>::Executor| aboard.ask(executor).await;
        match on_connection(pool, Some(within), is_wanted, request).await {
            Ok(answers) => self.answer(answers),
            Err(error) => self.fail(&error),
        }
    }

    /// A task can leave its flight when its time is over. A thread cannot.
    fn within(&self) -> Duration {
        let times = self.passengers.iter().map(Passenger::left);
        let time = if A::Pool::can_cancel() {
            times.max()
        } else {
            times.min()
        };
        time.unwrap_or_default()
    }

    /// The answers in the order of the passengers. Those who have given up are left behind.
    async fn ask(
        &mut self,
        executor: &mut <A::Pool as Pool>::Executor,
    ) -> Result<Vec<Option<Result<A::Answer>>>> {
        if executor.in_transaction() {
            return Ok(self.passengers.iter().map(|_| None).collect()); // alone, each gets the error
        }
        if A::ENDS_WITH_CALLER {
            self.passengers.retain(|it| it.is_wanted()());
        }
        self.passengers.iter().for_each(Passenger::send);
        self.is_sent = true;
        let asks: Vec<&A> = self.passengers.iter().map(|it| &it.ask).collect();
        if asks.is_empty() {
            return Ok(Vec::new());
        }
        A::together(executor, &asks).await
    }

    /// Tells the passengers their answers. Without an answer a request goes alone.
    fn answer(&mut self, answers: Vec<Option<Result<A::Answer>>>) {
        for (passenger, answer) in self.passengers.drain(..).zip(answers) {
            match answer {
                Some(answer) => passenger.answer(answer),
                None => passenger.go_alone(None),
            }
        }
    }

    /// If the database did nothing, each goes alone. If nobody knows what it did, that is undone.
    fn fail(&mut self, error: &Error) {
        let is_open = self.is_sent && error.leaves_open();
        if is_open {
            let asks: Vec<&A> = self.passengers.iter().map(|it| &it.ask).collect();
            A::undo(&asks);
        }
        for passenger in self.passengers.drain(..) {
            if !is_open {
                passenger.go_alone(None);
            } else if error.is_connection() {
                passenger.answer(Err(error.repeated()));
            } else {
                passenger.go_alone_anew();
            }
        }
    }
}

impl<A: Ask> Drop for Aboard<A> {
    fn drop(&mut self) {
        if !self.passengers.is_empty() {
            self.fail(&no_answer(Some(self.within())));
        }
    }
}
