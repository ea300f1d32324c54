//! Locks on Diesel's blocking connections. For the connections of diesel-async use the module `asynchronous`.
//!
//! ```
//! # use diesel::Connection;
//! # let mut conn = diesel::SqliteConnection::establish(":memory:").unwrap();
//! # diesel_locks::blocking::migrate(&mut conn).unwrap();
//! use std::time::Duration;
//! use diesel_locks::blocking::{LeaseDsl, LockDsl};
//! use diesel_locks::{Attempt, Lock, Wait};
//!
//! let lock = Lock::new("nightly-report")?.with_ttl(Duration::from_secs(60))?;
//! match lock.acquire(&mut conn, Wait::up_to(Duration::from_secs(5)))? {
//!     Attempt::Acquired(lease) => {
//!         // … the work …
//!         lease.release(&mut conn)?;
//!     }
//!     Attempt::Busy(holder) => println!("somebody else is at it: {holder:?}"),
//! }
//! # Ok::<(), diesel_locks::Error>(())
//! ```

mod connection;
mod connections;
mod guard;
mod lease;
mod list;
#[cfg(feature = "listen")]
mod listen;
mod lock;
mod locker;
#[cfg(feature = "migrations")]
mod migrations;
mod pool;
mod set;
mod table;
mod within;

pub use connection::LockConnection;
#[cfg(all(test, feature = "sqlite"))]
pub(crate) use connection::{Blocking, ready};
pub use connections::Connections;
pub use guard::Guard;
pub use lease::LeaseDsl;
pub use list::ListDsl;
pub use lock::LockDsl;
pub use locker::Locker;
#[cfg(feature = "migrations")]
pub use migrations::run_migrations_in_turn;
pub use set::LockSetDsl;
pub use table::{TableDsl, migrate, verify};
pub use within::Within;
#[cfg(feature = "r2d2")]
pub use within::WithinPool;

/// The traits of this module, and the types that most code needs: `use diesel_locks::blocking::prelude::*;`.
///
/// [`Error`](crate::Error) and [`Result`](crate::Result) are not in it, because most applications have types with these
/// names.
pub mod prelude {
    pub use super::{Guard, LeaseDsl, ListDsl, LockDsl, LockSetDsl, Locker, TableDsl};
    pub use crate::{Attempt, Lease, List, Lock, LockSet, Outcome, Pin, Run, Table, Wait};
}
