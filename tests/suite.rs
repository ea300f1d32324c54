//! The cases, numbered as in the catalogue that they come from (T1 …).

pub mod between;
pub mod clock;
pub mod core;
pub mod cost;
pub mod data;
pub mod expiry;
pub mod fence;
#[cfg(feature = "mysql")]
mod found_rows;
pub mod guarded;
mod ledger;
pub mod looking;
pub mod mending;
pub mod model;
pub mod names;
pub mod pin;
pub mod race;
pub mod schema;
pub mod sets;
pub mod setup;
pub mod stress;
mod surface;
pub mod terms;
pub mod tick;
pub mod transactions;
pub mod trust;
pub mod waiting;
