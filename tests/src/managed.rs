//! The `Locker` of a world and its guards, behind two traits. [`Session`](crate::session::Session) does this for
//! connections. So each case is written once, with the crate's own method names.

mod asynchronous;
mod blocking;

use std::any::Any;
use std::fmt::Debug;
use std::time::Duration;

use diesel_locks::locker::{Event, Purging};
use diesel_locks::{
    Attempt, Forced, Holder, Lease, LeaseStatus, List, Lock, LockSet, Outcome, Record, Released,
    Result, Run, Table, Wait,
};

use crate::Answer;
use crate::session::Work;

/// A guard of either mode.
pub type AnyGuard = Box<dyn Held>;

/// The work that [`Managed::run`] does under a guard.
pub type Job = Box<dyn for<'g> FnOnce(&'g dyn Held) -> Answer<'g, i64> + Send>;

pub type Observer = Box<dyn Fn(&Event<'_>) + Send + Sync>;

/// The operations of a `Locker`. A setting or an operation is one line here: the trait and both modes are built from
/// this list. The word at the end of an operation names the function of [`become_any`] that converts its guards.
macro_rules! operations {
    ($make:ident $wait:tt) => {
        $make! { $wait
            settings {
                in_table(table: Table);
                renew_every(interval: Duration);
                release_within(time: Duration);
                release_durably();
                hold_at_least(time: Duration);
                hold_at_most(time: Duration);
                observe(observer: Observer);
            }
            fallible settings {
                with_ttl(ttl: Duration);
                with_owner(label: &str);
            }
            operations {
                try_acquire(lock: &'a Lock) -> Result<Attempt<AnyGuard>>, attempt;
                acquire(lock: &'a Lock, wait: Wait) -> Result<AnyGuard>, guard;
                try_acquire_all(set: &'a LockSet) -> Result<Attempt<Vec<AnyGuard>>>, attempt_of_all;
                acquire_all(set: &'a LockSet, wait: Wait) -> Result<Vec<AnyGuard>>, all;
                try_acquire_any(set: &'a LockSet) -> Result<Attempt<AnyGuard>>, attempt;
                acquire_any(set: &'a LockSet, wait: Wait) -> Result<AnyGuard>, guard;
                adopt(lease: Lease) -> Result<AnyGuard>, guard;
                inspect(lock: &'a Lock) -> Result<Option<Record>>, plain;
                is_held(lock: &'a Lock) -> Result<bool>, plain;
                list(list: &'a List) -> Result<Vec<Record>>, plain;
                force_release(lock: &'a Lock) -> Result<Forced>, plain;
                purge(list: &'a List, age: Duration) -> Result<usize>, plain;
                close() -> (), plain;
            }
        }
    };
}
use operations;

/// The operations of a guard, as a list.
macro_rules! guard_operations {
    ($make:ident $wait:tt) => {
        $make! { $wait
            known {
                fence() -> i64;
                lease() -> Lease;
                is_valid() -> bool;
                trusted_for() -> Duration;
                check() -> Result<()>;
                on_lost(callback: Box<dyn FnOnce() + Send>) -> ();
            }
            operations {
                extend() -> Result<()>;
                try_extend() -> Result<Outcome>;
                extend_to(ttl: Duration) -> Result<()>;
                try_extend_to(ttl: Duration) -> Result<Outcome>;
                extend_by(time: Duration) -> Result<()>;
                try_extend_by(time: Duration) -> Result<Outcome>;
                set_data(data: Option<&'a str>) -> Result<()>;
                try_set_data(data: Option<&'a str>) -> Result<Outcome>;
                status() -> Result<LeaseStatus>;
            }
        }
    };
}
use guard_operations;

macro_rules! declare {
    ([]
        settings { $($setting:ident($($set:ident: $to:ty)?);)+ }
        fallible settings { $($fallible:ident($given:ident: $as:ty);)+ }
        operations { $($name:ident($($arg:ident: $type:ty),*) -> $result:ty, $becomes:ident;)+ }
    ) => {
        $(fn $setting(&self $(, $set: $to)?) -> Box<dyn Managed>;)+
        $(fn $fallible(&self, $given: $as) -> Result<Box<dyn Managed>>;)+
        $(fn $name<'a>(&'a self $(, $arg: $type)*) -> Answer<'a, $result>;)+
    };
    ([]
        known { $($known:ident($($given:ident: $as:ty)?) -> $value:ty;)+ }
        operations { $($name:ident($($arg:ident: $type:ty)?) -> $result:ty;)+ }
    ) => {
        $(fn $known(&self $(, $given: $as)?) -> $value;)+
        $(fn $name<'a>(&'a self $(, $arg: $type)?) -> Answer<'a, $result>;)+
    };
}

macro_rules! implement {
    ($wait:tt
        settings { $($setting:ident($($set:ident: $to:ty)?);)+ }
        fallible settings { $($fallible:ident($given:ident: $as:ty);)+ }
        operations { $($name:ident($($arg:ident: $type:ty),*) -> $result:ty, $becomes:ident;)+ }
    ) => {
        $(fn $setting(&self $(, $set: $to)?) -> Box<dyn Managed> {
            Box::new(self.clone().$setting($($set)?))
        })+
        $(fn $fallible(&self, $given: $as) -> Result<Box<dyn Managed>> {
            Ok(Box::new(self.clone().$fallible($given)?))
        })+
        $(fn $name<'a>(&'a self $(, $arg: $type)*) -> Answer<'a, $result> {
            Box::pin(async move { become_any::$becomes(answer!($wait, self.$name($($arg),*))) })
        })+
    };
    ($wait:tt
        known { $($known:ident($($given:ident: $as:ty)?) -> $value:ty;)+ }
        operations { $($name:ident($($arg:ident: $type:ty)?) -> $result:ty;)+ }
    ) => {
        $(fn $known(&self $(, $given: $as)?) -> $value {
            self.$known($($given)?)
        })+
        $(fn $name<'a>(&'a self $(, $arg: $type)?) -> Answer<'a, $result> {
            Box::pin(async move { answer!($wait, self.$name($($arg)?)) })
        })+
    };
}
use implement;

/// A `Locker`. A setting returns a changed copy.
pub trait Managed: Debug + Send + Sync {
    operations! { declare [] }

    fn another(&self) -> Box<dyn Managed>;
    #[cfg(feature = "postgres")]
    fn listen(&self, url: &str) -> Box<dyn Managed>;
    fn lock(&self, name: &str) -> Result<Lock>;
    fn run<'a>(&'a self, lock: &'a Lock, wait: Wait, job: Job) -> Answer<'a, Result<Run<i64>>>;
    /// [`transaction`](diesel_locks::blocking::Locker::transaction) under guards of this `Locker`.
    fn transaction<'a>(&'a self, guards: &'a [&'a AnyGuard], work: Work) -> Answer<'a, Result<()>>;
    fn purge_every(&self, interval: Duration, list: &List, age: Duration) -> Purging;
}

/// A guard.
pub trait Held: Debug + Send + Sync {
    guard_operations! { declare [] }

    fn as_any(&self) -> &dyn Any;
    fn lock(&self) -> &Lock;
    fn into_lease(self: Box<Self>) -> Lease;
    /// Calls the blocking `lost_within`, or the async `lost` with a timeout.
    fn lost_within(&self, time: Duration) -> Answer<'_, bool>;
    fn transaction(&self, work: Work) -> Answer<'_, Result<()>>;
    fn finish(self: Box<Self>, work: Work) -> Answer<'static, Result<()>>;
    fn release(self: Box<Self>) -> Answer<'static, Result<Released>>;
}

impl dyn Managed + '_ {
    /// Acquires a lock that must be free.
    pub async fn take(&self, lock: &Lock) -> AnyGuard {
        match self.try_acquire(lock).await.expect("an answer") {
            Attempt::Acquired(guard) => guard,
            Attempt::Busy(holder) => panic!("{lock:?} is busy: {holder:?}"),
        }
    }

    /// Tries to acquire a lock that must be busy. Returns the holder.
    pub async fn told_busy(&self, lock: &Lock) -> Option<Holder> {
        match self.try_acquire(lock).await.expect("an answer") {
            Attempt::Acquired(guard) => panic!("acquired: {guard:?}"),
            Attempt::Busy(holder) => holder,
        }
    }
}

/// Converts the answers of an operation: guards of one mode become [`AnyGuard`].
mod become_any {
    use super::{AnyGuard, Attempt, Held, Result};

    pub fn plain<T>(answer: T) -> T {
        answer
    }

    pub fn guard<H: Held + 'static>(answer: Result<H>) -> Result<AnyGuard> {
        answer.map(boxed)
    }

    pub fn all<H: Held + 'static>(answer: Result<Vec<H>>) -> Result<Vec<AnyGuard>> {
        answer.map(all_boxed)
    }

    pub fn attempt<H: Held + 'static>(answer: Result<Attempt<H>>) -> Result<Attempt<AnyGuard>> {
        answer.map(|attempt| attempt.map(boxed))
    }

    pub fn attempt_of_all<H: Held + 'static>(
        answer: Result<Attempt<Vec<H>>>,
    ) -> Result<Attempt<Vec<AnyGuard>>> {
        answer.map(|attempt| attempt.map(all_boxed))
    }

    fn boxed<H: Held + 'static>(guard: H) -> AnyGuard {
        Box::new(guard)
    }

    fn all_boxed<H: Held + 'static>(guards: Vec<H>) -> Vec<AnyGuard> {
        guards.into_iter().map(boxed).collect()
    }
}

/// Implements the traits for the `Locker` and the guard of a mode; `[.await]` for the async ones.
macro_rules! managed {
    ($connections:ident, [$($wait:tt)*]) => {
        impl<P: $connections> Managed for Locker<P>
        where
            P::Connection: Session,
        {
            operations! { implement [$($wait)*] }

            fn another(&self) -> Box<dyn Managed> {
                Box::new(self.clone())
            }
            #[cfg(feature = "postgres")]
            fn listen(&self, url: &str) -> Box<dyn Managed> {
                Box::new(self.clone().listen(url))
            }
            fn lock(&self, name: &str) -> Result<Lock> {
                self.lock(name)
            }
            fn run<'a>(&'a self, lock: &'a Lock, wait: Wait, job: Job) -> Answer<'a, Result<Run<i64>>> {
                Box::pin(async move { self.run(lock, wait, closure!([guard], job(guard), [$($wait)*]))$($wait)* })
            }
            fn transaction<'a>(&'a self, guards: &'a [&'a AnyGuard], work: Work) -> Answer<'a, Result<()>> {
                Box::pin(async move {
                    let of_mode = |guard: &&'a AnyGuard| guard.as_any().downcast_ref::<Guard<P>>();
                    let guards: Option<Vec<&Guard<P>>> = guards.iter().map(of_mode).collect();
                    let guards = guards.expect("guards of this mode");
                    self.transaction(&guards, closure!([conn], work(conn), [$($wait)*]))$($wait)*
                })
            }
            fn purge_every(&self, interval: Duration, list: &List, age: Duration) -> Purging {
                self.purge_every(interval, list, age)
            }
        }

        impl<P: $connections> Held for Guard<P>
        where
            P::Connection: Session,
        {
            guard_operations! { implement [$($wait)*] }

            fn as_any(&self) -> &dyn Any {
                self
            }
            fn lock(&self) -> &Lock {
                self.lock()
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
            fn release(self: Box<Self>) -> Answer<'static, Result<Released>> {
                Box::pin(async move { (*self).release()$($wait)* })
            }
        }
    };
}
use managed;
