//! What all suites of this package share: engines, their databases and connections, names that no other test uses, and
//! this program started again. `session` and `managed` are the words of the crate behind traits, so that a test is
//! written once for blocking and async. What only one suite needs stays with that suite.
// No API, but helpers of tests; and lists of operations that write the lifetime of every answer.
#![allow(
    clippy::elidable_lifetime_names,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

pub mod connections;
/// Not below `src`, because the suite of the program, a part of another package, has this file as a module of its own.
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

/// The future of an operation behind a trait.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub const fn secs(number: u64) -> Duration {
    Duration::from_secs(number)
}

pub const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}
