//! The `Locker` of a world, watched: what their observers are told, and what their connections do.

pub mod recorder;
pub mod traffic;

pub use diesel_locks_tests::managed::{AnyGuard, Job, Managed, Observer};
