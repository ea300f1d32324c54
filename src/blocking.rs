//! Locks on Diesel's connections.
//!
//! ```
//! # use diesel::Connection;
//! # let mut conn = diesel::SqliteConnection::establish(":memory:").unwrap();
//! # diesel_locks::migrations::run(&mut conn).unwrap();
//! use std::time::Duration;
//! use diesel_locks::blocking::{LeaseDsl, LockDsl};
//! use diesel_locks::{Attempt, Lock, Wait};
//!
//! let lock = Lock::new("nightly-report")?.ttl(Duration::from_secs(60))?;
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
mod lease;
mod list;
mod lock;
mod set;

pub use connection::LockConnection;
pub use lease::LeaseDsl;
pub use list::ListDsl;
pub use lock::LockDsl;
pub use set::LockSetDsl;
