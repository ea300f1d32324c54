//! Pages to read.

#[doc = include_str!("../docs/inside-your-transaction.md")]
pub mod inside_your_transaction {}

#[doc = include_str!("../docs/managed-locks.md")]
pub mod managed_locks {}

#[doc = include_str!("../docs/choosing-times.md")]
pub mod choosing_times {}
#[doc = include_str!("../docs/embedding.md")]
pub mod embedding {}
