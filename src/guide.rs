//! The guide, in pages.

// The pages are the files in `docs/`. People also read them on a code host, so they have no hidden lines, and their
// links work in both places. `tests/documentation` compiles and runs their code; rustdoc does not.

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
