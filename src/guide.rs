//! Pages to read.

// They are the files below `docs/`, made to be read on a code host as well: no hidden lines, and links that work in both.
// `tests/documentation` compiles and runs their code, instead of rustdoc's own tests.

#[cfg_attr(not(doctest), doc = include_str!("../docs/inside-your-transaction.md"))]
pub mod inside_your_transaction {}

#[cfg_attr(not(doctest), doc = include_str!("../docs/managed-locks.md"))]
pub mod managed_locks {}

#[cfg_attr(not(doctest), doc = include_str!("../docs/choosing-times.md"))]
pub mod choosing_times {}

#[cfg_attr(not(doctest), doc = include_str!("../docs/embedding.md"))]
pub mod embedding {}

#[cfg_attr(not(doctest), doc = include_str!("../docs/promises.md"))]
pub mod promises {}
