//! Locks on the connections of diesel-async. The operations have the names that they have in
//! [`blocking`](crate::blocking). The documentation there says what each operation does, and when to use it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> diesel_locks::Result<()> {
//! # use diesel::{Connection, SqliteConnection};
//! # use diesel_async::{AsyncConnection, sync_connection_wrapper::SyncConnectionWrapper};
//! # let mut conn = SqliteConnection::establish(":memory:").unwrap();
//! # diesel_locks::blocking::migrate(&mut conn).unwrap();
//! # let mut conn: SyncConnectionWrapper<_> = SyncConnectionWrapper::new(conn);
//! use std::time::Duration;
//! use diesel_locks::asynchronous::{LeaseDsl, LockDsl};
//! use diesel_locks::{Attempt, Lock, Wait};
//!
//! let lock = Lock::new("nightly-report")?.with_ttl(Duration::from_secs(60))?;
//! match lock.acquire(&mut conn, Wait::up_to(Duration::from_secs(5))).await? {
//!     Attempt::Acquired(lease) => {
//!         // … the work …
//!         lease.release(&mut conn).await?;
//!     }
//!     Attempt::Busy(holder) => println!("somebody else is at it: {holder:?}"),
//! }
//! # Ok(()) }
//! ```

mod connection;
mod connections;
mod guard;
mod in_place;
mod lease;
mod list;
#[cfg(feature = "async-listen")]
mod listen;
mod lock;
mod locker;
#[cfg(feature = "migrations")]
mod migrations;
mod pool;
mod set;
mod table;
mod with_blocking;

pub use connection::AsyncLockConnection;
pub use connections::AsyncConnections;
#[cfg(feature = "bb8")]
#[doc(hidden)]
pub use connections::Bb8Connection;
pub use guard::Guard;
pub use lease::LeaseDsl;
pub use list::ListDsl;
pub use lock::LockDsl;
pub use locker::Locker;
#[cfg(feature = "migrations")]
pub use migrations::run_migrations_in_turn;
pub use set::LockSetDsl;
pub use table::{TableDsl, migrate, verify};
pub use with_blocking::with_blocking;

pub use crate::work::{AsyncLeasedWork, AsyncWork};

/// The traits of this module, and the types that most code needs: `use diesel_locks::asynchronous::prelude::*;`.
///
/// [`Error`](crate::Error) and [`Result`](crate::Result) are not in it, because most applications have types with these
/// names.
pub mod prelude {
    pub use super::{Guard, LeaseDsl, ListDsl, LockDsl, LockSetDsl, Locker, TableDsl};
    pub use crate::{Attempt, Lease, List, Lock, LockSet, Outcome, Pin, Run, Table, Wait};
}
