//! The wait for a lock. Meanwhile the waiter holds nothing, neither a lock nor a connection.

use std::time::Duration;

use super::attempt::{Unclaimed, WINDOW, Wanted};
use super::event::EventKind;
use super::into_lock::IntoLock;
use super::listening::Listening;
use super::pool::{Pool, Runtime};
use super::queue::{Seen, Ticket};
use crate::answer::Attempt;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::guard::Guard;
use crate::holder::Holder;
use crate::lease::can_be_trusted;
use crate::locker::Locker;
use crate::protocol::sets::Choice;
use crate::set::LockSet;
use crate::wait::{Pauses, Wait};

impl<P: Pool> Locker<P> {
    pub(crate) async fn attempt_one(
        &self,
        name: impl IntoLock,
        wait: Wait,
    ) -> Result<Attempt<Guard<P>>> {
        let wanted = Wanted::One(self.lock(name)?);
        Ok(self.attempt(&wanted, &wait).await?.map(one))
    }

    pub(crate) async fn try_set(
        &self,
        set: &LockSet,
        choice: Choice,
    ) -> Result<Attempt<Vec<Guard<P>>>> {
        let wanted = Wanted::Set(set.clone(), choice);
        self.attempt(&wanted, &Wait::never()).await
    }

    pub(crate) fn wait_for_one(
        &self,
        name: impl IntoLock,
        wait: Wait,
    ) -> impl Future<Output = Result<Guard<P>>> + Send {
        self.wait_for(self.lock(name).map(Wanted::One), wait, one)
    }

    pub(crate) fn wait_for_set(
        &self,
        set: &LockSet,
        choice: Choice,
        wait: Wait,
    ) -> impl Future<Output = Result<Vec<Guard<P>>>> + Send {
        let wanted = Wanted::Set(set.clone(), choice);
        self.wait_for(Ok(wanted), wait, |guards| guards)
    }

    /// Waits for the wanted locks. Returns the guards, or an error when the wait is over.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn holds its arguments twice, and there may be many waiters"
    )]
    fn wait_for<T>(
        &self,
        wanted: Result<Wanted>,
        wait: Wait,
        of: impl FnOnce(Vec<Guard<P>>) -> T + Send,
    ) -> impl Future<Output = Result<T>> + Send {
        async move {
            let wanted = match wanted {
                Ok(ref wanted) => wanted,
                Err(error) => return Err(error),
            };
            match self.attempt(wanted, &wait).await? {
                Attempt::Acquired(guards) => Ok(of(guards)),
                Attempt::Busy(holder) => Err(Error::Busy {
                    key: wanted.prototype().key().to_owned(),
                    holder: holder.map(Box::new),
                }),
            }
        }
    }

    /// Tries until the wanted locks are acquired or the wait is over. The future of each step is on the heap: it is
    /// needed only for a moment, and the future of a waiter stays small.
    fn attempt<'w>(
        &'w self,
        wanted: &'w Wanted,
        wait: &'w Wait,
    ) -> impl Future<Output = Result<Attempt<Vec<Guard<P>>>>> + Send {
        let mut waiting = Waiting::new(self, wanted, wait);
        async move {
            loop {
                let seen = waiting.ticket.bell.rings();
                let pause = match Box::pin(waiting.step()).await? {
                    Step::Ended(attempt) => return Ok(attempt),
                    Step::Pause(pause) => pause,
                };
                P::Runtime::wait(&waiting.ticket.bell, seen, pause).await;
            }
        }
    }
}

pub(crate) fn one<P: Pool>(guards: Vec<Guard<P>>) -> Guard<P> {
    let mut guards = guards.into_iter();
    guards.next().expect("at least one lock is acquired")
}

struct Waiting<'w, P: Pool> {
    locker: &'w Locker<P>,
    wanted: &'w Wanted,
    ticket: Ticket,
    pauses: Pauses<'w>,
    waits: bool,
    began: Moment,
    has_told: bool,
    /// Whether the last answer named a holder.
    was_named: bool,
}

enum Answer<P: Pool> {
    Acquired(Unclaimed<P>),
    InVain(Seen),
}

enum Step<P: Pool> {
    Ended(Attempt<Vec<Guard<P>>>),
    Pause(Duration),
}

impl<'w, P: Pool> Waiting<'w, P> {
    fn new(locker: &'w Locker<P>, wanted: &'w Wanted, wait: &'w Wait) -> Self {
        // A single try does not queue, and there is no queue for a set.
        let (ticket, pauses) = match wanted {
            Wanted::One(lock) if wait.waits() => (locker.queues.join(lock), wait.pauses_in_queue()),
            _ => (Ticket::alone(), wait.pauses()),
        };
        Self {
            ticket,
            pauses,
            waits: wait.waits(),
            began: Moment::now(),
            has_told: false,
            was_named: false,
            locker,
            wanted,
        }
    }

    async fn step(&mut self) -> Result<Step<P>> {
        let sent = Moment::now();
        let (seen, error) = match self.ask().await {
            Ok(Answer::Acquired(acquired)) => return self.hold(acquired, sent),
            Ok(Answer::InVain(seen)) => (seen, None),
            Err(error) if self.waits && error.may_pass() => (Seen::Busy(None), Some(error)),
            Err(error) => return Err(error),
        };
        match (self.pause(&seen), error) {
            (Some(pause), _) => Ok(Step::Pause(pause)),
            (None, None) => Ok(Step::Ended(Attempt::Busy(seen.holder().cloned()))),
            (None, Some(error)) => Err(error),
        }
    }

    /// Asks the database, if this waiter is to ask. Otherwise returns what the first waiter of the queue has seen.
    async fn ask(&mut self) -> Result<Answer<P>> {
        if self.locker.keeper.is_closed() {
            return Err(Error::Closed);
        }
        if !self.ticket.is_to_ask(self.is_last_try()) {
            return Ok(Answer::InVain(self.ticket.seen()));
        }
        let answer = self.try_once(false).await?;
        if let Answer::InVain(Seen::Busy(Some(holder))) = &answer {
            self.mark(holder).await;
            if self.asks_for_announcement(holder) {
                return self.try_once(true).await;
            }
        }
        Ok(answer)
    }

    /// Tries once. The last try of a wait takes no turns, so no wait ends in vain while the lock is free.
    async fn try_once(&self, is_to_be_announced: bool) -> Result<Answer<P>> {
        let since = self.ticket.counts_since().filter(|_| !self.is_last_try());
        let within = self.patience();
        let attempt = self
            .locker
            .try_once(self.wanted, within, is_to_be_announced, since)
            .await?;
        let seen = match attempt {
            Some(Attempt::Acquired(acquired)) => return Ok(Answer::Acquired(acquired)),
            Some(Attempt::Busy(holder)) => Seen::Busy(holder),
            None => Seen::NotInTurn,
        };
        self.ticket.note(&seen);
        Ok(Answer::InVain(seen))
    }

    /// Marks the row for this process if it was passed over, once for each holder. A mark is a hint: if it fails, the next
    /// try has the same error, or makes the mark.
    async fn mark(&self, holder: &Holder) {
        let Some(since) = self.ticket.mark(holder).filter(|_| !self.is_last_try()) else {
            return;
        };
        let lock = self.wanted.prototype();
        let marked = self.locker.mark(lock, self.patience(), since, holder).await;
        if marked.unwrap_or(false) {
            self.ticket.note_marked(holder);
        }
    }

    fn is_last_try(&self) -> bool {
        self.pauses.is_last_try(Moment::now().since(self.began))
    }

    /// The timeout for an answer. It has three limits: an answer that takes longer than the ttl is useless, later
    /// waiters must not wait for the answer for ever, and the wait has its own end.
    fn patience(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(30);
        const FOR_EACH: Duration = Duration::from_millis(100); // some databases take them one after the other
        const SHORTEST: Duration = Duration::from_secs(1);
        let locks = u32::try_from(self.wanted.locks().len()).unwrap_or(u32::MAX);
        let longest = LONGEST + FOR_EACH.saturating_mul(locks);
        let useful = self.wanted.prototype().ttl.min(longest);
        if !self.waits {
            return useful;
        }
        let rest = self.pauses.rest(Moment::now().since(self.began));
        useful.min(rest.unwrap_or_default().max(SHORTEST))
    }

    /// Whether to ask the database to announce the release. The database is asked once for each holder and window.
    fn asks_for_announcement(&self, holder: &Holder) -> bool {
        let (now, listening) = (Moment::now(), self.locker.listening.as_ref());
        let is_heard = listening.is_some_and(Listening::hears::<P::Runtime>);
        if self.ticket.is_alone() || !is_heard || self.is_told(holder) {
            return false;
        }
        self.ticket.note_announced(holder, now.after(WINDOW / 2));
        true
    }

    /// Whether the waiter is told when this holder releases the lock, by this process or by the database.
    fn is_told(&self, holder: &Holder) -> bool {
        self.ticket.is_held_here(holder) || self.ticket.is_announced(holder, Moment::now())
    }

    /// How long to pause before the next try; `None` when the wait is over.
    fn pause(&mut self, seen: &Seen) -> Option<Duration> {
        let (waited, holder) = (Moment::now().since(self.began), seen.holder());
        // The last answer named a holder, and this answer does not: the lock is about to change hands. So the usual
        // pauses begin anew.
        if std::mem::replace(&mut self.was_named, holder.is_some()) && holder.is_none() {
            self.pauses.restart();
        }
        let pause = match seen {
            _ if !self.ticket.is_first() => self.pauses.until_first(waited),
            Seen::NotInTurn => self.pauses.next_if_free(waited),
            Seen::Busy(_) if self.ticket.is_alone() => {
                let time_left = holder.map(|holder| holder.time_left);
                self.pauses.next(waited, time_left)
            }
            Seen::Busy(_) => {
                let is_told = holder.is_some_and(|holder| self.is_told(holder));
                self.pauses.next_in_queue(is_told, waited, holder)
            }
        };
        // No wait ends in vain while the lock is free: the last try follows, which takes no turns.
        let is_free = matches!(seen, Seen::NotInTurn);
        let pause = pause.or_else(|| is_free.then_some(Duration::ZERO));
        let what = match pause {
            Some(_) => EventKind::Waiting { holder },
            None => EventKind::Busy { holder, waited },
        };
        if pause.is_none() || !std::mem::replace(&mut self.has_told, true) {
            self.locker.tell(self.wanted.prototype(), what);
        }
        pause
    }

    fn hold(&mut self, acquired: Unclaimed<P>, sent: Moment) -> Result<Step<P>> {
        let waited = Moment::now().since(self.began);
        let leases = acquired.claim();
        let turn = leases
            .first()
            .and_then(|lease| self.ticket.win(lease.fence));
        let ends = self.locker.settings.ends(sent);
        let guards: Vec<Result<Guard<P>>> = leases
            .into_iter()
            .map(|lease| self.locker.guard_of(lease, ends, turn))
            .collect(); // all of them, before the first error lets go of the others
        let guards: Result<Vec<Guard<P>>> = guards.into_iter().collect();
        let guards = guards?;
        for guard in &guards {
            guard.tell(EventKind::Acquired { waited });
        }
        Ok(Step::Ended(Attempt::Acquired(guards)))
    }
}

impl Error {
    /// Whether a waiter may go on waiting after this error.
    fn may_pass(&self) -> bool {
        match self {
            Self::TooLate { ttl, .. } => can_be_trusted(*ttl),
            Self::NoAnswer { .. } | Self::NoConnection { .. } => true,
            error => error.is_connection(),
        }
    }
}
