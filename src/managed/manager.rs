//! What a `Locks` does.

use std::sync::Arc;
use std::time::Duration;

use super::asking::{Ask, Extend, ForceRelease, Inspect, Purge, ReadList};
use super::chore::Chore;
use super::event::What;
use super::ground::{Database, Ground, answer};
use super::hold::Hold;
use super::keeper::Keeper;
use super::kept::Kept;
use super::line::Lines;
use super::listening::Listening;
use super::settings::{Named, Settings, SettingsOf};
use crate::answer::{Forced, Record};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::list::List;
use crate::lock::Lock;

/// A handle: cheap to clone. All clones share the keeper and the lines of those who wait.
pub(crate) struct Manager<G: Ground> {
    pub(crate) ground: G,
    pub(crate) keeper: Arc<Keeper<G::Mode>>,
    pub(crate) lines: Arc<Lines>,
    pub(crate) listening: Option<Arc<Listening>>,
    pub(crate) settings: Arc<Settings>,
}

impl<G: Ground> Clone for Manager<G> {
    fn clone(&self) -> Self {
        Self {
            ground: self.ground.clone(),
            keeper: self.keeper.clone(),
            lines: self.lines.clone(),
            listening: self.listening.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<G: Ground> Manager<G> {
    pub(crate) fn new(ground: G) -> Self {
        let lines = Arc::new(Lines::default());
        let database: Arc<dyn Database> = Arc::new(ground.clone());
        Self {
            keeper: Arc::new(Keeper::new(database, lines.clone())),
            ground,
            lines,
            listening: None,
            settings: Arc::new(Settings::new()),
        }
    }

    /// The same with a keeper of its own, whose connections come from elsewhere.
    pub(crate) fn kept_by(mut self, database: Arc<dyn Database>) -> Self {
        self.keeper = Arc::new(Keeper::new(database, self.lines.clone()));
        self
    }

    /// The same, and hears of releases.
    #[cfg(any(feature = "listen", feature = "async-listen"))]
    pub(crate) fn told_by(mut self, open: super::listening::Open) -> Self {
        self.listening = Some(Arc::new(Listening::new(open, self.lines.clone())));
        self
    }

    pub(crate) fn lock(&self, name: impl Named) -> Result<Lock> {
        name.lock(&SettingsOf(&self.settings))
    }

    /// Keeps a lease alive from now on.
    pub(crate) fn hold(&self, lease: Lease, ends: Option<Moment>) -> Result<Hold<G>> {
        let every = self.settings.every(lease.lock.ttl);
        let kept = Arc::new(Kept::new(lease, ends, self.settings.observer.clone()));
        if let Some(number) = self.keeper.keep(kept.clone(), every) {
            return Ok(Hold::new(self.clone(), number, kept));
        }
        self.keeper
            .later(Chore::Release(kept, self.settings.release));
        Err(Error::Closed)
    }

    /// Gives a lease back in the background that nobody holds.
    pub(crate) fn give_back(&self, lease: Lease) {
        let kept = Arc::new(Kept::new(lease, None, self.settings.observer.clone()));
        self.keeper
            .later(Chore::Release(kept, self.settings.release));
    }

    /// Extends a lease from elsewhere, and keeps it alive from now on.
    pub(crate) async fn adopt(&self, lease: Lease) -> Result<Hold<G>> {
        if self.keeper.is_closed() {
            return Err(Error::Closed);
        }
        let (sent, ttl) = (Moment::now(), lease.lock.ttl);
        let (lease, outcome) = self.ask(Extend(lease, ttl)).await?;
        if outcome.is_lost() {
            let name = lease.lock.key().to_owned();
            return Err(Error::Lost { name });
        }
        let hold = self.hold(lease, self.settings.ends(sent))?;
        let waited = Moment::now().since(sent);
        hold.tell(What::Acquired { waited });
        Ok(hold)
    }

    pub(crate) async fn inspect(&self, lock: Lock) -> Result<Option<Record>> {
        self.ask(Inspect(lock)).await
    }

    pub(crate) async fn list(&self, list: &List) -> Result<Vec<Record>> {
        self.ask(ReadList(list.clone())).await
    }

    pub(crate) async fn force_release(&self, lock: Lock) -> Result<Forced> {
        let forced = self.ask(ForceRelease(lock.clone())).await;
        self.lines.released(&lock);
        forced
    }

    pub(crate) async fn purge(&self, list: &List, age: Duration) -> Result<usize> {
        self.ask(Purge(list.clone(), age)).await
    }

    /// Releases all that is held, takes no more, and waits until nothing goes on in the background: as long as giving
    /// back may take.
    pub(crate) async fn close(&self) {
        let how = self.settings.release;
        for kept in self.keeper.close() {
            if kept.close() {
                self.keeper.later(Chore::Release(kept, how));
            }
        }
        self.lines.end();
        if let Some(listening) = &self.listening {
            listening.close();
        }
        self.keeper.join(how.within).await;
    }

    pub(crate) fn tell(&self, lock: &Lock, what: What<'_>) {
        self.settings.observer.tell(lock, None, what);
    }

    async fn ask<A: Ask>(&self, request: A) -> Result<A::Answer> {
        answer(&self.ground, None, request).await
    }
}
