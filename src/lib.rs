//! Distributed locks in the database that a Diesel application already has.
//!
//! # Words
//!
//! A **[lock](Lock)** is a name, and how it is to be held. Acquiring a lock makes a **[lease](Lease)**: a row in a
//! table that names the holder by a random *token*, until the *ttl* is over on the database's clock. Each acquisition
//! of a name has a **[fence](Lease::fence)**, a number that only grows. When a lease has expired, another process may
//! **take over** the lock. Until that happens, the holder can still extend the lease. If a transaction
//! **[pins](blocking::LeaseDsl::pin)** its lease, no other process can take the lock over until the transaction has
//! ended: a stale holder cannot commit.
//!
//! [`guide::promises`] lists each promise, and the tests that fail without it.
//!
//! # Features
//!
//! ```toml
//! [dependencies]
//! diesel-locks = { version = "0.1", features = ["postgres"] }
//! ```
//!
//! No feature is enabled by default. Enable the feature of your database, and what you use besides:
//!
//! | feature | enables |
//! |---|---|
//! | `postgres` | locks in PostgreSQL |
//! | `mysql` | locks in MySQL and MariaDB |
//! | `sqlite` | locks in SQLite, 3.35 or newer |
//! | `async` | the module `asynchronous`, for the connections of diesel-async; uses tokio |
//! | `r2d2` | blocking `Locker` on a pool of r2d2 |
//! | `bb8`, `deadpool`, `mobc` | async `Locker` on a pool of that crate; each enables `async` |
//! | `listen` | PostgreSQL wakes the waiters of a blocking `Locker`; links libpq; needs Diesel 2.3 |
//! | `async-listen` | PostgreSQL wakes the waiters of an async `Locker`; enables `async` |
//! | `migrations` | `run_migrations_in_turn`, with `diesel_migrations` |
//! | `tracing` | what happens to managed locks, as events and spans of tracing |
//! | `cli` | the program `diesel-locks` with all native drivers; `cli-postgres`, `cli-mysql` and `cli-sqlite` with one. Not for applications |
//!
//! Except with `listen` and `cli`, the crate links no native database driver: it uses the one that your application
//! chose.
//!
//! # Where to begin
//!
//! 1. Enable the feature of your database: `postgres`, `mysql` (for MariaDB too) or `sqlite`. For diesel-async enable
//!    `async`, too.
//! 2. Create the table: [the guide](guide::embedding) shows three ways. [`blocking::migrate`] is the shortest.
//! 3. Import the operations for your kind of connection: [`blocking`] or
//!    [`asynchronous`](https://docs.rs/diesel-locks/latest/diesel_locks/asynchronous/index.html).
//!
//! ```
//! # use diesel::prelude::*;
//! # let mut conn = SqliteConnection::establish(":memory:").unwrap();
//! # diesel_locks::blocking::migrate(&mut conn).unwrap();
//! use diesel_locks::blocking::{LeaseDsl, LockDsl};
//! use diesel_locks::{Attempt, Lock};
//!
//! match Lock::new("invoice:42")?.try_acquire(&mut conn)? {
//!     Attempt::Acquired(lease) => {
//!         conn.transaction(|conn| {
//!             lease.pin(conn)?;          // until the transaction ends nobody can take the lock over
//!             // … the writes …
//!             lease.release(conn)        // takes effect with the commit
//!         })?;
//!     }
//!     Attempt::Busy(holder) => println!("busy: {holder:?}"),
//! }
//! # Ok::<(), diesel_locks::Error>(())
//! ```
//!
//! For work that takes long, use [`blocking::Locker`] or
//! [`asynchronous::Locker`](https://docs.rs/diesel-locks/latest/diesel_locks/asynchronous/index.html) on the
//! application's pool. A `Locker` waits for a lock, extends the lease in the background, tells the work when the lease
//! is lost, and releases the lock: see [the guide](guide::managed_locks).
//!
//! # What to do when
//!
//! | you want | use |
//! |---|---|
//! | a job done by one process at a time | [`Locker::run`](blocking::Locker::run) |
//! | one leader among several processes | the recipe [Leader election](guide::managed_locks#leader-election) |
//! | a lock that is held as long as the work takes | [`Locker::acquire`](blocking::Locker::acquire): a guard, whose lease is extended in the background |
//! | to go on only if the lock is free | [`try_acquire`](blocking::LockDsl::try_acquire) |
//! | to wait for a lock on your own connection | [`acquire`](blocking::LockDsl::acquire) with a [`Wait`] |
//! | to protect writes to this database | [`pin`](blocking::LeaseDsl::pin) first in the transaction that writes, or do all in one call with [`Lock::transaction`](blocking::LockDsl::transaction); see [the guide](guide::inside_your_transaction) |
//! | exclusion for just one transaction | [`try_hold`](blocking::LockDsl::try_hold) |
//! | several locks, all or none; or any one of several | [`LockSet`] |
//! | locks in an application with several databases, on its enum of connections | [`blocking::Within`], and `WithinPool` beside it |
//! | to filter a query by what is locked | [`query`] |
//! | to protect anything outside this database | send [`Lease::fence`] along; the other side must refuse a fence that is smaller than one it has seen |
//! | to work for longer than the ttl | a guard; or call [`extend`](blocking::LeaseDsl::extend) after each third of the ttl, and stop when it fails with [`Error::Lost`] |
//! | to know whether you may go on, without asking the database | [`Guard::is_valid`](locker::Guard::is_valid), [`Lease::trusted_for`] |
//! | to hand a lease over to another process | [`Lease::to_text`] |
//! | to see the holder of a lock | [`inspect`](blocking::LockDsl::inspect), [`List`], or the view `diesel_locks_held` |
//! | to take a lock away from its holder | [`force_release`](blocking::LockDsl::force_release) |
//! | to take all locks of a group away | the example at [`Locker::force_release`](blocking::Locker::force_release) |
//! | to check at start-up that locks will work | [`blocking::verify`] |
//! | to run your own migrations when several instances start at once | `run_migrations_in_turn` of [`blocking`], with the feature `migrations` |
//! | to remove the rows of locks that nobody uses any more | [`purge`](blocking::ListDsl::purge) |
//!
//! # What can go wrong
//!
//! A busy lock is a value ([`Attempt::Busy`]) wherever the caller may have something else to do. It is an error
//! ([`Error::Busy`]) for a wait through a `Locker`, which returns a guard or fails.
//!
//! A lost lease is an error ([`Error::Lost`]), because the work must not go on. The forms with `try_`, such as
//! [`try_extend`](blocking::LeaseDsl::try_extend), return it as a value ([`Outcome::Lost`]).
//!
//! An [`Error`] tells of bad input, and then its text names the remedy; or it tells what the database or the connection
//! said.
//!
//! After an error from [`try_acquire`](blocking::LockDsl::try_acquire) the lock may have been acquired all the same, if
//! only the answer was lost. Then the lock is free after the ttl. If you chose the [`token`](Lock::with_token),
//! acquiring again with that token finds the acquisition.
//!
//! After an error from [`extend`](blocking::LeaseDsl::extend) other than `Lost` it is unknown whether the lease was
//! extended. It is trusted only as long as before. Try again while the lease is trusted.

#![deny(missing_docs, missing_debug_implementations)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Without `async`, part of what both modes share is reached by no path. No error here, because older compilers see other
// paths; `cargo xtask tidy` makes it one.
#![cfg_attr(feature = "async", warn(unreachable_pub))]
// Each engine uses its own part of the statements.
#![cfg_attr(
    not(all(feature = "postgres", feature = "mysql", feature = "sqlite")),
    allow(dead_code)
)]

mod answer;
#[cfg(feature = "async")]
pub mod asynchronous;
mod batch;
#[cfg(feature = "_bench")]
#[doc(hidden)]
pub mod bench;
pub mod blocking;
mod clock;
mod connection;
mod dialect;
mod error;
mod fact;
mod guard;
pub mod guide;
mod holder;
mod in_use;
mod json;
mod lease;
mod list;
mod lock;
pub mod locker;
mod managed;
pub mod migrations;
mod name;
mod owner;
mod protocol;
pub mod query;
mod row;
pub mod schema;
mod set;
pub mod statement;
mod table;
mod token;
mod wait;
mod work;

pub use answer::{Attempt, Forced, LeaseStatus, Outcome, Pin, Record, Released, Run};
pub use dialect::Dialect;
pub use error::{Error, Result};
pub use holder::Holder;
pub use lease::Lease;
pub use list::List;
pub use lock::Lock;
pub use set::LockSet;
pub use table::Table;
pub use wait::Wait;
