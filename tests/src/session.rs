//! A connection of a world, behind one trait, so that each case is written once. The trait has the crate's operations
//! under their own names, and the operations that a host application uses on its connection.
//!
//! The two kinds of connections differ in the traits that they import and in `.await`. As in the crate itself, the
//! futures of a blocking connection are ready at once.

mod asynchronous;
mod blocking;

use std::time::{Duration, Instant};

use diesel::connection::Instrumentation;
use diesel::result::QueryResult;
use diesel_locks::{
    Attempt, Error, Forced, Holder, Lease, LeaseStatus, List, Lock, LockSet, Outcome, Record,
    Released, Result, Table, Wait,
};

pub use crate::Answer;

/// The work of a guarded transaction.
pub type Work = Box<dyn for<'c> FnOnce(&'c mut dyn Session) -> Answer<'c, Result<()>> + Send>;

/// The crate's operations on a connection. An operation is one line here: the trait and its implementation for each
/// connection type are built from this list.
macro_rules! operations {
    ($make:ident $wait:tt) => {
        $make! { $wait
            LockDsl::try_acquire(lock: &'a Lock) -> Result<Attempt>;
            LockDsl::acquire(lock: &'a Lock, wait: Wait) -> Result<Attempt>;
            LockDsl::try_hold(lock: &'a Lock) -> Result<Attempt<i64>>;
            LockDsl::inspect(lock: &'a Lock) -> Result<Option<Record>>;
            LockDsl::is_held(lock: &'a Lock) -> Result<bool>;
            LockDsl::force_release(lock: &'a Lock) -> Result<Forced>;
            LockSetDsl::acquire_all(set: &'a LockSet, wait: Wait) -> Result<Attempt<Vec<Lease>>>;
            LockSetDsl::acquire_any(set: &'a LockSet, wait: Wait) -> Result<Attempt>;
            LeaseDsl::pin(lease: &'a Lease) -> Result<()>;
            LeaseDsl::try_pin(lease: &'a Lease) -> Result<diesel_locks::Pin>;
            LeaseDsl::release(lease: &'a Lease) -> Result<Released>;
            LeaseDsl::status(lease: &'a Lease) -> Result<LeaseStatus>;
            LeaseDsl::set_data(lease: &'a Lease, data: Option<&'a str>) -> Result<()>;
            LeaseDsl::try_set_data(lease: &'a Lease, data: Option<&'a str>) -> Result<Outcome>;
            LeaseDsl::extend(lease: &'a mut Lease) -> Result<()>;
            LeaseDsl::try_extend(lease: &'a mut Lease) -> Result<Outcome>;
            LeaseDsl::extend_to(lease: &'a mut Lease, ttl: Duration) -> Result<()>;
            LeaseDsl::try_extend_to(lease: &'a mut Lease, ttl: Duration) -> Result<Outcome>;
            LeaseDsl::extend_by(lease: &'a mut Lease, time: Duration) -> Result<()>;
            LeaseDsl::try_extend_by(lease: &'a mut Lease, time: Duration) -> Result<Outcome>;
            ListDsl::load(list: &'a List) -> Result<Vec<Record>>;
            ListDsl::purge(list: &'a List, age: Duration) -> Result<usize>;
            TableDsl::migrate(table: &'a Table) -> Result<()>;
            TableDsl::verify(table: &'a Table) -> Result<()>;
        }
    };
}
use operations;

macro_rules! declare {
    ([] $($dsl:ident::$name:ident($of:ident: $what:ty $(, $arg:ident: $type:ty)*) -> $result:ty;)+) => {$(
        fn $name<'a>(&'a mut self, $of: $what $(, $arg: $type)*) -> Answer<'a, $result>;
    )+};
}

macro_rules! implement {
    ($wait:tt $($dsl:ident::$name:ident($of:ident: $what:ty $(, $arg:ident: $type:ty)*) -> $result:ty;)+) => {$(
        fn $name<'a>(&'a mut self, $of: $what $(, $arg: $type)*) -> Answer<'a, $result> {
            Box::pin(async move { answer!($wait, $dsl::$name($of, self $(, $arg)*)) })
        }
    )+};
}
use implement;

/// The answer of an operation, awaited in async mode.
macro_rules! answer {
    ([], $answer:expr) => {
        $answer
    };
    ([.await], $answer:expr) => {
        $answer.await
    };
}
pub(crate) use answer;

pub trait Session: Send {
    operations! { declare [] }

    /// The host's jobs of a scope whose locks are held, or those whose locks are free.
    fn jobs<'a>(&'a mut self, scope: &'a str, held: bool) -> Answer<'a, QueryResult<Vec<String>>>;

    /// [`transaction`](diesel_locks::blocking::LockDsl::transaction) on a lock.
    fn transaction_on<'a>(
        &'a mut self,
        lock: &'a Lock,
        wait: Wait,
        work: Work,
    ) -> Answer<'a, Result<Attempt<()>>>;
    /// [`transaction`](diesel_locks::blocking::LeaseDsl::transaction) under a lease.
    fn transaction_under<'a>(
        &'a mut self,
        lease: &'a mut Lease,
        work: Work,
    ) -> Answer<'a, Result<()>>;
    fn finish<'a>(&'a mut self, lease: &'a mut Lease, work: Work) -> Answer<'a, Result<()>>;

    /// Opens a transaction. In a transaction it opens a savepoint, as Diesel does.
    fn begin(&mut self) -> Answer<'_, QueryResult<()>>;
    fn commit(&mut self) -> Answer<'_, QueryResult<()>>;
    fn rollback(&mut self) -> Answer<'_, QueryResult<()>>;
    fn begin_test_transaction(&mut self) -> Answer<'_, QueryResult<()>>;
    /// Runs SQL of the host, and returns the number of changed rows.
    fn sql<'a>(&'a mut self, sql: &'a str) -> Answer<'a, QueryResult<usize>>;
    /// Runs SQL of the host that cannot be prepared, or that has several statements.
    fn batch<'a>(&'a mut self, sql: &'a str) -> Answer<'a, QueryResult<()>>;
    /// The value of the column `number` in the only row of the host's query.
    fn number<'a>(&'a mut self, sql: &'a str) -> Answer<'a, QueryResult<i64>>;
    /// Watches or delays the statements of this connection.
    fn instrument(&mut self, instrumentation: Box<dyn Instrumentation>);
    fn without_statement_cache(&mut self);
}

impl dyn Session + '_ {
    /// Whether the lease is held.
    pub async fn is_mine(&mut self, lease: &Lease) -> Result<bool> {
        Ok(self.status(lease).await?.is_held())
    }

    /// The label of the holder. `None` if nobody holds the lock.
    pub async fn current_owner(&mut self, lock: &Lock) -> Result<Option<String>> {
        let held = self.inspect(lock).await?.filter(Record::is_held);
        Ok(held.map(|record| record.owner))
    }

    /// The time until the lease expires. Zero if nobody holds the lock.
    pub async fn time_left(&mut self, lock: &Lock) -> Result<Duration> {
        let record = self.inspect(lock).await?;
        Ok(record
            .and_then(|record| record.time_left)
            .unwrap_or_default())
    }

    /// The text that a holder has left with the lock.
    pub async fn read_data(&mut self, lock: &Lock) -> Result<Option<String>> {
        let record = self.inspect(lock).await?;
        Ok(record.and_then(|record| record.data))
    }

    /// Acquires a lock that must be free.
    pub async fn take(&mut self, lock: &Lock) -> Lease {
        match self.try_acquire(lock).await.expect("an answer") {
            Attempt::Acquired(lease) => lease,
            Attempt::Busy(holder) => panic!("{lock:?} is busy: {holder:?}"),
        }
    }

    /// Forces the release of a held lock. A heartbeat locks the row for a moment, and then the lock is in use: so this
    /// tries again.
    pub async fn take_away(&mut self, lock: &Lock) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.force_release(lock).await.expect("an answer") {
                Forced::Released => return,
                Forced::InUse if Instant::now() < deadline => {}
                forced => panic!("{lock:?} is {forced:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Tries to acquire a lock that must be busy. Returns the holder.
    pub async fn told_busy(&mut self, lock: &Lock) -> Option<Holder> {
        match self.try_acquire(lock).await.expect("an answer") {
            Attempt::Acquired(lease) => panic!("acquired: {lease:?}"),
            Attempt::Busy(holder) => holder,
        }
    }

    /// Lets this process forget who holds the lock, as if another process had acquired it. Then the next try on MySQL and
    /// MariaDB writes first.
    pub async fn forget_holder(&mut self, lease: &Lease) {
        let text = lease.to_text().replacen(&lease.fence().to_string(), "1", 1);
        let stale = text.parse().expect("a lease");
        assert_eq!(
            self.release(&stale).await.expect("an answer"),
            Released::Lost
        );
    }

    /// The row of a lock that was used before.
    pub async fn row(&mut self, lock: &Lock) -> Record {
        self.inspect(lock).await.expect("an answer").expect("a row")
    }

    /// Tries every operation on a lease, and checks that the lease is lost and that nothing changes. Does the same
    /// inside a transaction, where an engine may use other statements.
    pub async fn assert_lost(&mut self, lease: &Lease) {
        self.try_all_in_vain(lease).await;
        self.begin().await.unwrap();
        self.try_all_in_vain(lease).await;
        self.rollback().await.unwrap();
    }

    async fn try_all_in_vain(&mut self, lease: &Lease) {
        let (mut lease, before) = (lease.clone(), self.still(lease.lock()).await);
        let outcomes = [
            self.try_extend(&mut lease).await,
            self.try_extend_to(&mut lease, TTL).await,
            self.try_extend_by(&mut lease, TTL).await,
            self.try_set_data(&lease, Some("mine")).await,
        ];
        for outcome in outcomes {
            assert_eq!(outcome.unwrap(), Outcome::Lost);
        }
        let errors = [
            self.extend(&mut lease).await,
            self.extend_to(&mut lease, TTL).await,
            self.extend_by(&mut lease, TTL).await,
            self.set_data(&lease, Some("mine")).await,
            self.pin(&lease).await,
        ];
        for error in errors {
            assert!(matches!(error, Err(Error::Lost { key, .. }) if key == lease.lock().key()));
        }
        assert_eq!(self.release(&lease).await.unwrap(), Released::Lost);
        assert_eq!(self.try_pin(&lease).await.unwrap(), diesel_locks::Pin::Lost);
        self.assert_status_of_lost(&lease).await;
        assert_eq!(self.still(lease.lock()).await, before);
    }

    /// A lost lease says who has the lock now, or that nobody has.
    async fn assert_status_of_lost(&mut self, lease: &Lease) {
        let record = self.inspect(lease.lock()).await.unwrap();
        let holder = record.filter(Record::is_held).map(|record| record.fence);
        match (self.status(lease).await.unwrap(), holder) {
            (LeaseStatus::TakenOver(told), Some(fence)) => assert_eq!(told.fence, fence),
            (LeaseStatus::Free, None) => {}
            (status, holder) => panic!("{status:?}, and the row names {holder:?}"),
        }
    }

    /// The row without the value that changes all the time.
    async fn still(&mut self, lock: &Lock) -> Option<Record> {
        let mut record = self.inspect(lock).await.unwrap()?;
        record.time_left = None;
        Some(record)
    }
}

const TTL: Duration = Duration::from_secs(50);

diesel::table! {
    /// A table of the host.
    host_jobs (scope, name) {
        scope -> Text,
        name -> Text,
    }
}

/// A closure of the kind that the connection expects. A blocking closure runs the work to its end on its thread.
macro_rules! closure {
    ([$($arg:ident),+], $work:expr, []) => {
        |$($arg),+| tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on($work))
    };
    ([$($arg:ident),+], $work:expr, [.await]) => { async move |$($arg),+| $work.await };
}
pub(crate) use closure;

/// Implements `Session` for a connection type; `[.await]` for the async ones.
macro_rules! session {
    ($connection:ty, [$($wait:tt)*]) => {
        impl Session for $connection {
            operations! { implement [$($wait)*] }

            fn transaction_on<'a>(&'a mut self, lock: &'a Lock, wait: Wait, work: Work) -> Answer<'a, Result<Attempt<()>>> {
                Box::pin(async move {
                    LockDsl::transaction(lock, self, wait, closure!([conn, _lease], work(conn), [$($wait)*]))$($wait)*
                })
            }
            fn transaction_under<'a>(&'a mut self, lease: &'a mut Lease, work: Work) -> Answer<'a, Result<()>> {
                Box::pin(async move {
                    LeaseDsl::transaction(lease, self, closure!([conn], work(conn), [$($wait)*]))$($wait)*
                })
            }
            fn finish<'a>(&'a mut self, lease: &'a mut Lease, work: Work) -> Answer<'a, Result<()>> {
                Box::pin(async move {
                    LeaseDsl::finish(lease, self, closure!([conn], work(conn), [$($wait)*]))$($wait)*
                })
            }
            fn jobs<'a>(&'a mut self, scope: &'a str, held: bool) -> Answer<'a, QueryResult<Vec<String>>> {
                Box::pin(async move {
                    let jobs = host_jobs::table.filter(host_jobs::scope.eq(scope)).select(host_jobs::name).order(host_jobs::name);
                    if held {
                        RunQueryDsl::load(jobs.filter(locked(host_jobs::name).in_group(scope).expect("a group")), self)$($wait)*
                    } else {
                        RunQueryDsl::load(jobs.filter(unlocked(host_jobs::name).in_group(scope).expect("a group")), self)$($wait)*
                    }
                })
            }
            fn begin(&mut self) -> Answer<'_, QueryResult<()>> {
                Box::pin(async move { <$connection as Connection>::TransactionManager::begin_transaction(self)$($wait)* })
            }
            fn commit(&mut self) -> Answer<'_, QueryResult<()>> {
                Box::pin(async move { <$connection as Connection>::TransactionManager::commit_transaction(self)$($wait)* })
            }
            fn rollback(&mut self) -> Answer<'_, QueryResult<()>> {
                Box::pin(async move { <$connection as Connection>::TransactionManager::rollback_transaction(self)$($wait)* })
            }
            fn begin_test_transaction(&mut self) -> Answer<'_, QueryResult<()>> {
                Box::pin(async move { Connection::begin_test_transaction(self)$($wait)* })
            }
            fn sql<'a>(&'a mut self, sql: &'a str) -> Answer<'a, QueryResult<usize>> {
                Box::pin(async move { RunQueryDsl::execute(diesel::sql_query(sql), self)$($wait)* })
            }
            fn batch<'a>(&'a mut self, sql: &'a str) -> Answer<'a, QueryResult<()>> {
                Box::pin(async move { SimpleConnection::batch_execute(self, sql)$($wait)* })
            }
            fn number<'a>(&'a mut self, sql: &'a str) -> Answer<'a, QueryResult<i64>> {
                Box::pin(async move {
                    let number: Number = RunQueryDsl::get_result(diesel::sql_query(sql), self)$($wait)*?;
                    Ok(number.number)
                })
            }
            fn instrument(&mut self, instrumentation: Box<dyn Instrumentation>) {
                Connection::set_instrumentation(self, instrumentation);
            }
            fn without_statement_cache(&mut self) {
                Connection::set_prepared_statement_cache_size(self, diesel::connection::CacheSize::Disabled);
            }
        }
    };
}
use session;
