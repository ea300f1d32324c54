//! The migrations that create the table, for Diesel's own tools.
//!
//! There are three ways. Choose by the tool that runs your migrations. [The guide](crate::guide::embedding) shows each
//! way in full.
//! - **The Diesel CLI, or `embed_migrations!`**: write the files into your folder of migrations, with
//!   [`Migrations::write`] or the program `diesel-locks migrations write`. All commands of Diesel go on working.
//! - **Combined**: keep no files, and run your migrations and this crate's migrations as one source:
//!   `conn.run_pending_migrations(Migrations::default().with(MIGRATIONS))`. Don't run two sources in one database one
//!   after the other: Diesel would not find the versions of the first source when it reverts the second.
//! - **By itself**: [`blocking::migrate`](crate::blocking::migrate) creates and upgrades the table, outside your
//!   migrations.
//!
//! At start-up [`blocking::verify`](crate::blocking::verify) checks whether locks can work with the table, whichever
//! way it was made.
//!
//! If you use `diesel print-schema` or `diesel migration generate --diff-schema`, exclude the table from them with
//! `filter = { except_tables = ["^diesel_locks.*"] }` below `[print_schema]` in your `diesel.toml`.

mod files;
mod source;
mod step;

pub use source::{Combined, Migrations};
pub(crate) use step::Step;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(crate) use step::step;
