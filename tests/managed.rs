//! A `Locks` of some world and its guards, behind two traits, as [`Session`](crate::session::Session) is for connections:
//! each case is written once, in the crate's own words.

mod asynchronous;
mod blocking;
pub mod recorder;
pub mod traffic;

use std::fmt::Debug;
use std::time::Duration;

use diesel_locks::locks::{Event, Purging};
use diesel_locks::{
    Attempt, Forced, Holder, Lease, List, Lock, LockSet, Outcome, Record, Result, Run, Table, Wait,
};

use crate::session::{Answer, Work};

/// A guard.
pub type AnyGuard = Box<dyn Held>;

/// What is done under a guard of [`Managed::run`].
pub type Job = Box<dyn for<'g> FnOnce(&'g dyn Held) -> Answer<'g, i64> + Send>;

pub type Observer = Box<dyn Fn(&Event<'_>) + Send + Sync>;

/// A `Locks`. Settings make another handle, as on a clone.
pub trait Managed: Debug + Send + Sync {
    fn another(&self) -> Box<dyn Managed>;
    fn ttl(&self, ttl: Duration) -> Result<Box<dyn Managed>>;
    fn owner(&self, label: &str) -> Result<Box<dyn Managed>>;
    fn table(&self, table: Table) -> Box<dyn Managed>;
    fn renew_every(&self, interval: Duration) -> Box<dyn Managed>;
    fn release_within(&self, time: Duration) -> Box<dyn Managed>;
    fn release_durably(&self) -> Box<dyn Managed>;
    fn at_least(&self, time: Duration) -> Box<dyn Managed>;
    fn at_most(&self, time: Duration) -> Box<dyn Managed>;
    fn observe(&self, observer: Observer) -> Box<dyn Managed>;
    #[cfg(feature = "postgres")]
    fn listen(&self, url: &str) -> Box<dyn Managed>;

    fn lock(&self, name: &str) -> Result<Lock>;
    fn try_acquire<'a>(&'a self, lock: &'a Lock) -> Answer<'a, Result<Attempt<AnyGuard>>>;
    fn acquire<'a>(&'a self, lock: &'a Lock, wait: Wait) -> Answer<'a, Result<AnyGuard>>;
    fn try_acquire_all<'a>(
        &'a self,
        set: &'a LockSet,
    ) -> Answer<'a, Result<Attempt<Vec<AnyGuard>>>>;
    fn acquire_all<'a>(&'a self, set: &'a LockSet, wait: Wait)
    -> Answer<'a, Result<Vec<AnyGuard>>>;
    fn try_acquire_any<'a>(&'a self, set: &'a LockSet) -> Answer<'a, Result<Attempt<AnyGuard>>>;
    fn acquire_any<'a>(&'a self, set: &'a LockSet, wait: Wait) -> Answer<'a, Result<AnyGuard>>;
    fn adopt(&self, lease: Lease) -> Answer<'_, Result<AnyGuard>>;
    fn run<'a>(&'a self, lock: &'a Lock, wait: Wait, job: Job) -> Answer<'a, Result<Run<i64>>>;
    fn inspect<'a>(&'a self, lock: &'a Lock) -> Answer<'a, Result<Option<Record>>>;
    fn list<'a>(&'a self, list: &'a List) -> Answer<'a, Result<Vec<Record>>>;
    fn force_release<'a>(&'a self, lock: &'a Lock) -> Answer<'a, Result<Forced>>;
    fn purge<'a>(&'a self, list: &'a List, age: Duration) -> Answer<'a, Result<usize>>;
    fn purge_every(&self, interval: Duration, list: &List, age: Duration) -> Purging;
    fn close(&self) -> Answer<'_, ()>;
}

/// What a guard can do.
pub trait Held: Debug + Send + Sync {
    fn lock(&self) -> Lock;
    fn fence(&self) -> i64;
    fn lease(&self) -> Lease;
    fn is_valid(&self) -> bool;
    fn trusted_for(&self) -> Duration;
    fn check(&self) -> Result<()>;
    fn on_lost(&self, callback: Box<dyn FnOnce() + Send>);
    fn into_lease(self: Box<Self>) -> Lease;
    /// `lost_within`, or `lost` with a timeout.
    fn lost_within(&self, time: Duration) -> Answer<'_, bool>;
    fn transaction(&self, work: Work) -> Answer<'_, Result<()>>;
    fn finish(self: Box<Self>, work: Work) -> Answer<'static, Result<()>>;
    fn extend(&self) -> Answer<'_, Result<Outcome>>;
    fn extend_to(&self, ttl: Duration) -> Answer<'_, Result<Outcome>>;
    fn set_data<'a>(&'a self, data: Option<&'a str>) -> Answer<'a, Result<Outcome>>;
    fn release(self: Box<Self>) -> Answer<'static, Result<Outcome>>;
}

impl dyn Managed + '_ {
    /// Acquires a lock that is to be had.
    pub async fn take(&self, lock: &Lock) -> AnyGuard {
        match self.try_acquire(lock).await.expect("an answer") {
            Attempt::Acquired(guard) => guard,
            Attempt::Busy(holder) => panic!("{lock:?} is busy: {holder:?}"),
        }
    }

    /// Tries to acquire a lock that is not to be had.
    pub async fn told_busy(&self, lock: &Lock) -> Option<Holder> {
        match self.try_acquire(lock).await.expect("an answer") {
            Attempt::Acquired(guard) => panic!("acquired: {guard:?}"),
            Attempt::Busy(holder) => holder,
        }
    }

    pub async fn is_held(&self, lock: &Lock) -> bool {
        let record = self.inspect(lock).await.expect("an answer");
        record.is_some_and(|record| record.is_held())
    }
}

fn boxed<H: Held + 'static>(guard: H) -> AnyGuard {
    Box::new(guard)
}

fn all<H: Held + 'static>(guards: Vec<H>) -> Vec<AnyGuard> {
    guards.into_iter().map(boxed).collect()
}

/// How the `Locks` of a mode are `Managed`; `[.await]` for the async ones.
macro_rules! managed {
    ($connections:ident, [$($wait:tt)*]) => {
        impl<P: $connections> Managed for Locks<P>
        where
            P::Connection: Session,
        {
            fn another(&self) -> Box<dyn Managed> {
                Box::new(self.clone())
            }
            fn ttl(&self, ttl: Duration) -> Result<Box<dyn Managed>> {
                Ok(Box::new(self.clone().ttl(ttl)?))
            }
            fn owner(&self, label: &str) -> Result<Box<dyn Managed>> {
                Ok(Box::new(self.clone().owner(label)?))
            }
            fn table(&self, table: Table) -> Box<dyn Managed> {
                Box::new(self.clone().table(table))
            }
            fn renew_every(&self, interval: Duration) -> Box<dyn Managed> {
                Box::new(self.clone().renew_every(interval))
            }
            fn release_within(&self, time: Duration) -> Box<dyn Managed> {
                Box::new(self.clone().release_within(time))
            }
            fn release_durably(&self) -> Box<dyn Managed> {
                Box::new(self.clone().release_durably())
            }
            fn at_least(&self, time: Duration) -> Box<dyn Managed> {
                Box::new(self.clone().at_least(time))
            }
            fn at_most(&self, time: Duration) -> Box<dyn Managed> {
                Box::new(self.clone().at_most(time))
            }
            fn observe(&self, observer: Observer) -> Box<dyn Managed> {
                Box::new(self.clone().observe(observer))
            }
            #[cfg(feature = "postgres")]
            fn listen(&self, url: &str) -> Box<dyn Managed> {
                Box::new(self.clone().listen(url))
            }
            fn lock(&self, name: &str) -> Result<Lock> {
                self.lock(name)
            }
            fn try_acquire<'a>(&'a self, lock: &'a Lock) -> Answer<'a, Result<Attempt<AnyGuard>>> {
                Box::pin(async move { Ok(self.try_acquire(lock)$($wait)*?.map(boxed)) })
            }
            fn acquire<'a>(&'a self, lock: &'a Lock, wait: Wait) -> Answer<'a, Result<AnyGuard>> {
                Box::pin(async move { self.acquire(lock, wait)$($wait)*.map(boxed) })
            }
            fn try_acquire_all<'a>(&'a self, set: &'a LockSet) -> Answer<'a, Result<Attempt<Vec<AnyGuard>>>> {
                Box::pin(async move { Ok(self.try_acquire_all(set)$($wait)*?.map(all)) })
            }
            fn acquire_all<'a>(&'a self, set: &'a LockSet, wait: Wait) -> Answer<'a, Result<Vec<AnyGuard>>> {
                Box::pin(async move { self.acquire_all(set, wait)$($wait)*.map(all) })
            }
            fn try_acquire_any<'a>(&'a self, set: &'a LockSet) -> Answer<'a, Result<Attempt<AnyGuard>>> {
                Box::pin(async move { Ok(self.try_acquire_any(set)$($wait)*?.map(boxed)) })
            }
            fn acquire_any<'a>(&'a self, set: &'a LockSet, wait: Wait) -> Answer<'a, Result<AnyGuard>> {
                Box::pin(async move { self.acquire_any(set, wait)$($wait)*.map(boxed) })
            }
            fn adopt(&self, lease: Lease) -> Answer<'_, Result<AnyGuard>> {
                Box::pin(async move { self.adopt(lease)$($wait)*.map(boxed) })
            }
            fn run<'a>(&'a self, lock: &'a Lock, wait: Wait, job: Job) -> Answer<'a, Result<Run<i64>>> {
                Box::pin(async move { self.run(lock, wait, closure!([guard], job(guard), [$($wait)*]))$($wait)* })
            }
            fn inspect<'a>(&'a self, lock: &'a Lock) -> Answer<'a, Result<Option<Record>>> {
                Box::pin(async move { self.inspect(lock)$($wait)* })
            }
            fn list<'a>(&'a self, list: &'a List) -> Answer<'a, Result<Vec<Record>>> {
                Box::pin(async move { self.list(list)$($wait)* })
            }
            fn force_release<'a>(&'a self, lock: &'a Lock) -> Answer<'a, Result<Forced>> {
                Box::pin(async move { self.force_release(lock)$($wait)* })
            }
            fn purge<'a>(&'a self, list: &'a List, age: Duration) -> Answer<'a, Result<usize>> {
                Box::pin(async move { self.purge(list, age)$($wait)* })
            }
            fn purge_every(&self, interval: Duration, list: &List, age: Duration) -> diesel_locks::locks::Purging {
                self.purge_every(interval, list.clone(), age)
            }
            fn close(&self) -> Answer<'_, ()> {
                Box::pin(async move { self.close()$($wait)* })
            }
        }

        impl<P: $connections> Held for Guard<P>
        where
            P::Connection: Session,
        {
            fn lock(&self) -> Lock {
                self.lock()
            }
            fn fence(&self) -> i64 {
                self.fence()
            }
            fn lease(&self) -> Lease {
                self.lease()
            }
            fn is_valid(&self) -> bool {
                self.is_valid()
            }
            fn trusted_for(&self) -> Duration {
                self.trusted_for()
            }
            fn check(&self) -> Result<()> {
                self.check()
            }
            fn on_lost(&self, callback: Box<dyn FnOnce() + Send>) {
                self.on_lost(callback);
            }
            fn into_lease(self: Box<Self>) -> Lease {
                (*self).into_lease()
            }
            fn lost_within(&self, time: Duration) -> Answer<'_, bool> {
                Box::pin(lost_within(self, time))
            }
            fn transaction(&self, work: Work) -> Answer<'_, Result<()>> {
                Box::pin(async move { self.transaction(closure!([conn], work(conn), [$($wait)*]))$($wait)* })
            }
            fn finish(self: Box<Self>, work: Work) -> Answer<'static, Result<()>> {
                Box::pin(async move { (*self).finish(closure!([conn], work(conn), [$($wait)*]))$($wait)* })
            }
            fn extend(&self) -> Answer<'_, Result<Outcome>> {
                Box::pin(async move { self.extend()$($wait)* })
            }
            fn extend_to(&self, ttl: Duration) -> Answer<'_, Result<Outcome>> {
                Box::pin(async move { self.extend_to(ttl)$($wait)* })
            }
            fn set_data<'a>(&'a self, data: Option<&'a str>) -> Answer<'a, Result<Outcome>> {
                Box::pin(async move { self.set_data(data)$($wait)* })
            }
            fn release(self: Box<Self>) -> Answer<'static, Result<Outcome>> {
                Box::pin(async move { (*self).release()$($wait)* })
            }
        }
    };
}
use managed;
