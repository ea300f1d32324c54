//! Code that all suites of this package share: engines, their databases and connections, unique names, and starting
//! this program again as another process. `session` and `managed` put the crate's operations behind traits, so that a
//! test is written once for blocking and async. Code that only one suite needs stays in that suite.
// These are helpers of tests, not an API. The lists of operations write out the lifetime of every answer.
#![allow(
    clippy::elidable_lifetime_names,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

#[cfg(unix)]
pub mod clock;
pub mod connections;
/// The file is not below `src`, because the tests of the program, which are in another package, use it as a module,
/// too.
#[path = "../database.rs"]
pub mod database;
pub mod managed;
#[cfg(unix)]
pub mod process;
pub mod session;
pub mod shared;

use std::pin::Pin;
use std::time::Duration;

pub use database::{Engine, Number, establish, unique};

/// The future that a trait method of an operation returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub const fn secs(number: u64) -> Duration {
    Duration::from_secs(number)
}

pub const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}
