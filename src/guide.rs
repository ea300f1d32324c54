//! Pages to read.

#[doc = include_str!("../docs/inside-your-transaction.md")]
pub mod inside_your_transaction {}
