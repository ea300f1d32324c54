//! The cases, in one file for each subject. `conformance.rs` lists them and runs them in every world.

#[cfg(all(feature = "sqlite", target_os = "linux"))]
mod alone;
pub mod between;
pub mod cancelling;
pub mod clock;
pub mod closing;
pub mod core;
pub mod cost;
pub mod counters;
pub mod crowd;
pub mod data;
pub mod embedding;
pub mod expiry;
pub mod fence;
#[cfg(feature = "postgres")]
pub mod flights;
#[cfg(feature = "mysql")]
mod found_rows;
pub mod giving_up;
pub mod guarded;
pub mod handles;
#[cfg(feature = "postgres")]
mod hot;
pub mod keeping;
pub mod kept_many;
pub mod languages;
#[cfg(feature = "postgres")]
mod late_release;
mod ledger;
pub mod lines;
pub mod looking;
pub mod mending;
pub mod model;
pub mod names;
pub mod pin;
pub mod purging;
pub mod race;
pub mod runs;
pub mod schema;
pub mod sessions;
pub mod sets;
pub mod setup;
pub mod stress;
mod surface;
pub mod telling;
pub mod terms;
pub mod tick;
pub mod transactions;
pub mod trust;
pub mod turns;
pub mod under_guard;
pub mod waiting;
