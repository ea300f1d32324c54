//! Distributed locks in the database that a Diesel application already has.
//!
//! # Words
//!
//! A **[lock](Lock)** is a name, and how it is to be held. Acquiring it makes a **[lease](Lease)**: a row in a table
//! that names the holder by a random *token*, until the *ttl* is over on the database's clock. Each acquisition of a name
//! has a **[fence](Lease::fence)**, a number that only grows. When a lease has run out others may **take over**; while
//! they don't, its holder can still extend it. A transaction that **[pins](blocking::LeaseDsl::pin)** its lease cannot be
//! overtaken until it has ended: a stale holder does not get to commit.
//!
//! # Where to begin
//!
//! 1. Enable the feature of your database: `postgres`, `mysql` (for MariaDB too), `sqlite`; and `async` for diesel-async.
//!    The crate links no database driver itself: it uses the one that your application chose.
//! 2. Create the table: [the guide](guide::embedding) shows three ways; [`blocking::migrate`] is the shortest.
//! 3. Import the operations for your kind of connection: [`blocking`] or [`asynchronous`](https://docs.rs/diesel-locks).
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
//!             lease.pin(conn)?;          // from here on nobody can take it from us
//!             // … the writes …
//!             lease.release(conn)        // takes effect with the commit
//!         })?;
//!     }
//!     Attempt::Busy(holder) => println!("busy: {holder:?}"),
//! }
//! # Ok::<(), diesel_locks::Error>(())
//! ```
//!
//! For work that lasts, [`blocking::Locker`] and [`asynchronous::Locker`](https://docs.rs/diesel-locks) on the application's
//! pool wait, keep leases alive in the background, tell the work when one is lost, and give it back: see
//! [the guide](guide::managed_locks).
//!
//! # What to do when
//!
//! | you want | use |
//! |---|---|
//! | a job done by one process at a time | [`Locker::run`](blocking::Locker::run) |
//! | a lock that lives as long as the work | [`Locker::acquire`](blocking::Locker::acquire): a guard, kept alive |
//! | to go on only if nobody else is at it | [`try_acquire`](blocking::LockDsl::try_acquire) |
//! | to wait your turn | [`acquire`](blocking::LockDsl::acquire) with a [`Wait`] |
//! | to protect writes to this database | [`pin`](blocking::LeaseDsl::pin) first in their transaction, or the one call: [`Lock::transaction`](blocking::LockDsl::transaction); see [the guide](guide::inside_your_transaction) |
//! | exclusion for just one transaction | [`try_hold`](blocking::LockDsl::try_hold) |
//! | several locks, all or none; or any one of several | [`LockSet`] |
//! | to filter a query by what is locked | [`query`] |
//! | to protect anything else | send [`Lease::fence`] along, and refuse a smaller one there |
//! | to work for longer than the ttl | a guard; or [`extend`](blocking::LeaseDsl::extend) at a third of it, and stop when it says lost |
//! | to know whether you may go on, without asking | [`Guard::is_valid`](locker::Guard::is_valid), [`Lease::trusted_for`] |
//! | another process to go on | [`Lease::to_text`] |
//! | to know who holds what | [`inspect`](blocking::LockDsl::inspect), [`List`], or the view `diesel_locks_held` |
//! | to take a lock from somebody | [`force_release`](blocking::LockDsl::force_release) |
//! | to know at start-up that it will work | [`blocking::verify`] |
//! | to run your own migrations, though several instances start | [`blocking::run_migrations_in_turn`] |
//! | to tidy up | [`purge`](blocking::ListDsl::purge) |
//!
//! # What can go wrong
//!
//! Not getting a lock ([`Attempt::Busy`]) and having lost a lease ([`Outcome::Lost`]) are values; only a wait through a
//! `Locker` that ends without the lock is an error ([`Error::Busy`]). An [`Error`] is for bad
//! input, whose text names the remedy, and for what the database or the connection said. After an error from
//! [`try_acquire`](blocking::LockDsl::try_acquire) the lock may have been acquired all the same, if only the answer was
//! lost: then it is free after the ttl, or, if you chose the [`token`](Lock::with_token), found again by acquiring with it.
//! After an error from [`extend`](blocking::LeaseDsl::extend) the lease is neither extended nor lost; try again while it is
//! trusted.

#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]
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

pub use answer::{Attempt, Forced, Holder, Outcome, Pin, Record, Run};
pub use dialect::Dialect;
pub use error::{Error, Result};
pub use lease::Lease;
pub use list::List;
pub use lock::Lock;
pub use set::LockSet;
pub use table::Table;
pub use wait::Wait;
