//! The migrations that own the table, for Diesel's own tools.
//!
//! Three ways; choose by who runs your migrations. [The guide](crate::guide::embedding) shows each in full.
//! - **The Diesel CLI, or `embed_migrations!`**: write the files into your folder of migrations, with
//!   [`Migrations::write`] or the program `diesel-locks migrations write`. All of Diesel's commands go on working.
//! - **Combined**: keep no files, and run the two sources as one:
//!   `conn.run_pending_migrations(Migrations::default().with(MIGRATIONS))`. Don't run two sources into one database
//!   one after the other: Diesel would not find the versions of the first when it reverts the second.
//! - **Neither**: [`blocking::migrate`](crate::blocking::migrate) keeps the table by itself, out of your migrations.
//!
//! At start-up [`blocking::verify`](crate::blocking::verify) says whether the table will do, whoever made it.
//!
//! If you use `diesel print-schema` or `diesel migration generate --diff-schema`, keep the table out of them
//! with `filter = { except_tables = ["^diesel_locks.*"] }` below `[print_schema]` in your `diesel.toml`.

mod files;
mod source;
mod step;

pub use source::{Combined, Migrations};
pub(crate) use step::Step;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(crate) use step::step;
