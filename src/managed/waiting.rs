//! How a lock is waited for: nothing is held meanwhile, neither a lock nor a connection.
//!
//! Cancelled anywhere, it leaves at worst a lease that nobody knows of: what a request acquires whose answer nobody
//! waits for any more is given back when the answer comes, and where it breaks off it is looked for by its token. So a
//! token of our own is used for one request only.

use std::time::Duration;

use super::asking::Ask;
use super::bell::Bell;
use super::chore::Chore;
use super::event::What;
use super::ground::{Ground, Mode, answer};
use super::hold::Hold;
use super::line::Place;
use super::manager::Manager;
use crate::answer::{Attempt, Holder};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lease::{Lease, can_be_trusted};
use crate::lock::Lock;
use crate::protocol::{self, Executor, Transactions, several};
use crate::set::LockSet;
use crate::token::Token;
use crate::wait::{Pauses, Wait};

/// What is to be acquired.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    One(Lock),
    All(LockSet),
    Any(LockSet),
}

impl Wanted {
    fn locks(&self) -> &[Lock] {
        match self {
            Self::One(lock) => std::slice::from_ref(lock),
            Self::All(set) | Self::Any(set) => set.locks(),
        }
    }

    /// How all of it is held.
    pub(crate) fn pattern(&self) -> &Lock {
        &self.locks()[0]
    }

    async fn ask<E: Executor>(
        &self,
        executor: &mut E,
        token: &Token,
    ) -> Result<Attempt<Vec<Lease>>> {
        match self {
            Self::One(lock) => {
                let attempt = protocol::try_as(executor, lock, token).await?;
                Ok(attempt.map(|lease| vec![lease]))
            }
            Self::All(set) => several::try_all(executor, set, token).await,
            Self::Any(set) => several::try_any(executor, set, token).await,
        }
    }
}

impl<G: Ground> Manager<G> {
    /// Tries until it is acquired or the wait is over. One who waits is small, because there may be many: not an
    /// `async fn`, which holds its arguments twice, and what is only needed for a moment is on the heap.
    pub(crate) fn acquire<'w>(
        &'w self,
        wanted: &'w Wanted,
        wait: &'w Wait,
    ) -> impl Future<Output = Result<Attempt<Vec<Hold<G>>>>> + Send {
        let mut waiting = Waiting::new(self, wanted, wait);
        async move {
            loop {
                let seen = waiting.turn.bell().rings();
                let pause = match Box::pin(waiting.step()).await? {
                    Step::Ended(attempt) => return Ok(attempt),
                    Step::Pause(pause) => pause,
                };
                G::Mode::wait(waiting.turn.bell(), seen, pause).await;
            }
        }
    }
}

struct Waiting<'w, G: Ground> {
    manager: &'w Manager<G>,
    wanted: &'w Wanted,
    turn: Turn,
    pauses: Pauses<'w>,
    waits: bool,
    began: Moment,
    has_told: bool,
    /// Whether the last answer named a holder.
    was_named: bool,
}

enum Step<G: Ground> {
    Ended(Attempt<Vec<Hold<G>>>),
    Pause(Duration),
}

impl<'w, G: Ground> Waiting<'w, G> {
    fn new(manager: &'w Manager<G>, wanted: &'w Wanted, wait: &'w Wait) -> Self {
        let turn = Turn::of(manager, wanted, wait);
        Self {
            pauses: turn.pauses(wait),
            turn,
            waits: wait.waits(),
            began: Moment::now(),
            has_told: false,
            was_named: false,
            manager,
            wanted,
        }
    }

    async fn step(&mut self) -> Result<Step<G>> {
        let sent = Moment::now();
        let (holder, error) = match self.try_once().await {
            Ok(Attempt::Acquired(won)) => return self.hold(won, sent),
            Ok(Attempt::Busy(holder)) => (holder, None),
            Err(error) if self.waits && error.may_pass() => (None, Some(error)),
            Err(error) => return Err(error),
        };
        match (self.pause(holder.as_ref()), error) {
            (Some(pause), _) => Ok(Step::Pause(pause)),
            (None, None) => Ok(Step::Ended(Attempt::Busy(holder))),
            (None, Some(error)) => Err(error),
        }
    }

    /// Asks the database, or takes what the first of the line was told.
    async fn try_once(&mut self) -> Result<Attempt<Won<G>>> {
        if self.manager.keeper.is_closed() {
            return Err(Error::Closed);
        }
        if !self.turn.takes_turn() {
            return Ok(Attempt::Busy(self.turn.holder()));
        }
        let token = protocol::token_for(self.wanted.pattern())?;
        let request = self.request(token, false);
        let mut attempt = answer(&self.manager.ground, Some(self.patience()), request).await?;
        if let Attempt::Busy(Some(holder)) = &attempt {
            if self.asks_to_be_told(holder) {
                let token = protocol::token_for(self.wanted.pattern())?;
                let request = self.request(token, true);
                attempt = answer(&self.manager.ground, Some(self.patience()), request).await?;
            }
        }
        if let Attempt::Busy(holder) = &attempt {
            self.turn.note(holder.as_ref());
        }
        Ok(attempt)
    }

    fn request(&self, token: Token, wants: bool) -> Try<G> {
        Try {
            manager: self.manager.clone(),
            wanted: self.wanted.clone(),
            token,
            wants,
        }
    }

    /// How long to wait for an answer. One that takes longer than the lease would live is of no use, those who come
    /// after must not wait for it for ever, and the wait has its own end.
    fn patience(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(30);
        const FOR_EACH: Duration = Duration::from_millis(100); // some databases take them one after the other
        const SHORTEST: Duration = Duration::from_secs(1);
        let locks = u32::try_from(self.wanted.locks().len()).unwrap_or(u32::MAX);
        let longest = LONGEST + FOR_EACH.saturating_mul(locks);
        let useful = self.wanted.pattern().ttl.min(longest);
        if !self.waits {
            return useful;
        }
        let rest = self.pauses.rest(Moment::now().since(self.began));
        useful.min(rest.unwrap_or_default().max(SHORTEST))
    }

    /// Whether to have the database announce the release: once for each holder and window.
    fn asks_to_be_told(&self, holder: &Holder) -> bool {
        let (Turn::InLine(place), Some(listening)) = (&self.turn, &self.manager.listening) else {
            return false;
        };
        let now = Moment::now();
        if !listening.hears::<G::Mode>() || place.is_announced(holder, now) {
            return false;
        }
        place.note_announced(holder, now.after(WINDOW / 2));
        true
    }

    /// How long to pause before the next try; `None` when the wait is over.
    fn pause(&mut self, holder: Option<&Holder>) -> Option<Duration> {
        let now = Moment::now();
        let waited = now.since(self.began);
        // A lock that nobody can be named for is about to change hands.
        if std::mem::replace(&mut self.was_named, holder.is_some()) && holder.is_none() {
            self.pauses.restart();
        }
        let pause = if self.turn.is_first() {
            let is_told = holder.is_some_and(|holder| self.turn.is_announced(holder, now));
            let left = holder.map(|holder| holder.time_left);
            self.pauses.next_if_told(is_told, waited, left)
        } else {
            self.pauses.until_turn(waited)
        };
        let what = match pause {
            Some(_) => What::Waiting { holder },
            None => What::Busy { holder, waited },
        };
        if pause.is_none() || !std::mem::replace(&mut self.has_told, true) {
            self.manager.tell(self.wanted.pattern(), what);
        }
        pause
    }

    fn hold(&mut self, won: Won<G>, sent: Moment) -> Result<Step<G>> {
        let waited = Moment::now().since(self.began);
        let leases = won.claim();
        self.turn.end_with(leases.first());
        let ends = self.manager.settings.ends(sent);
        let holds: Vec<Result<Hold<G>>> = leases
            .into_iter()
            .map(|lease| self.manager.hold(lease, ends))
            .collect(); // all of them, before the first error lets go of the others
        let holds: Result<Vec<Hold<G>>> = holds.into_iter().collect();
        let holds = holds?;
        for hold in &holds {
            hold.tell(What::Acquired { waited });
        }
        Ok(Step::Ended(Attempt::Acquired(holds)))
    }
}

impl Error {
    /// Whether who waits may go on waiting.
    fn may_pass(&self) -> bool {
        match self {
            Self::TooLate { ttl, .. } => can_be_trusted(*ttl),
            Self::NoAnswer { .. } | Self::NoConnection { .. } => true,
            error => error.is_connection(),
        }
    }
}

/// For so long a release is announced, unless that is asked for again.
const WINDOW: Duration = Duration::from_secs(60);

/// One try.
struct Try<G: Ground> {
    manager: Manager<G>,
    wanted: Wanted,
    token: Token,
    /// Whether to have the release announced, and then to look once more, because it may have been released before.
    wants: bool,
}

impl<G: Ground> Ask for Try<G> {
    type Answer = Attempt<Won<G>>;

    async fn ask<E: Transactions>(self, executor: &mut E) -> Result<Attempt<Won<G>>> {
        if self.wants {
            protocol::want(executor, self.wanted.pattern(), WINDOW).await?;
        }
        let unseen = Unseen(&self);
        let attempt = self.wanted.ask(executor, &self.token).await;
        if !matches!(&attempt, Err(error) if error.leaves_open()) {
            std::mem::forget(unseen);
        }
        Ok(attempt?.map(|leases| Won {
            manager: self.manager.clone(),
            leases,
        }))
    }
}

/// A try whose answer has not come. Broken off before it has, what it may have acquired is looked for and given back;
/// unless the caller chose the token: then somebody else may rely on the same acquisition.
struct Unseen<'t, G: Ground>(&'t Try<G>);

impl<G: Ground> Drop for Unseen<'_, G> {
    fn drop(&mut self) {
        let Try {
            manager,
            wanted,
            token,
            ..
        } = self.0;
        if wanted.pattern().token.is_some() {
            return;
        }
        let settings = &manager.settings;
        for lock in wanted.locks() {
            let (lock, token) = (lock.clone(), token.clone());
            let observer = settings.observer.clone();
            let chore = Chore::ReleaseUnseen(lock, token, settings.release, observer);
            manager.keeper.later(chore);
        }
    }
}

impl Error {
    /// Whether it says nothing about what the database did.
    fn leaves_open(&self) -> bool {
        matches!(self, Self::Database(_)) && !self.is_transient()
    }
}

/// What was acquired. Dropped before somebody has claimed it, it is given back.
struct Won<G: Ground> {
    manager: Manager<G>,
    leases: Vec<Lease>,
}

impl<G: Ground> Won<G> {
    fn claim(mut self) -> Vec<Lease> {
        std::mem::take(&mut self.leases)
    }
}

impl<G: Ground> Drop for Won<G> {
    fn drop(&mut self) {
        for lease in self.leases.drain(..) {
            if lease.lock.token.is_none() {
                self.manager.give_back(lease);
            }
        }
    }
}

/// Whose turn it is to ask the database.
enum Turn {
    /// That of those who came before, then mine.
    InLine(Place),
    /// Mine: who tries just once does not wait for others, and for a set there is no line.
    Alone(Box<Bell>),
}

impl Turn {
    fn of<G: Ground>(manager: &Manager<G>, wanted: &Wanted, wait: &Wait) -> Self {
        match wanted {
            Wanted::One(lock) if wait.waits() => Self::InLine(manager.lines.join(lock)),
            _ => Self::Alone(Box::default()),
        }
    }

    fn pauses<'w>(&self, wait: &'w Wait) -> Pauses<'w> {
        match self {
            Self::InLine(_) => wait.pauses_in_line(),
            Self::Alone(_) => wait.pauses(),
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::InLine(place) => Some(place),
            Self::Alone(_) => None,
        }
    }

    fn is_first(&self) -> bool {
        self.place().is_none_or(Place::is_first)
    }

    fn takes_turn(&self) -> bool {
        self.place().is_none_or(Place::takes_turn)
    }

    fn is_announced(&self, holder: &Holder, now: Moment) -> bool {
        let place = self.place();
        place.is_some_and(|place| place.is_announced(holder, now))
    }

    fn bell(&self) -> &Bell {
        match self {
            Self::InLine(place) => &place.bell,
            Self::Alone(bell) => bell,
        }
    }

    fn holder(&self) -> Option<Holder> {
        self.place().and_then(Place::holder)
    }

    fn note(&self, holder: Option<&Holder>) {
        if let Some(place) = self.place() {
            place.note(holder);
        }
    }

    fn end_with(&mut self, lease: Option<&Lease>) {
        if let Self::InLine(place) = self {
            place.won = lease.map(|lease| lease.fence);
        }
    }
}
