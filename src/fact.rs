//! What a database says about the table, the session and itself, and whether locks can work there. This file does no
//! I/O.
//!
//! The check looks at the table itself, not at the version of a migration. So the check is right for a table that any
//! tool created. A table that is newer than this version of the crate passes, as long as it has everything that this
//! version needs.

use diesel::query_source::Column;
use diesel::result::Error as DieselError;
use diesel::sql_types::Text;

use crate::error::{Error, Result};
use crate::row::Row;
use crate::schema::diesel_locks as locks;
use crate::table::Table;

/// One fact that a database tells about the table of the locks, the session or itself: a `column`, the `engine`, …
#[derive(Clone, Debug, PartialEq, Eq, diesel::Queryable)]
pub struct Fact {
    kind: String,
    value: String,
}

pub(crate) type FactSql = (Text, Text);

impl Row for Fact {
    type Sql = FactSql;
}

/// The values that every fact of one kind may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requirement {
    pub(crate) fact: &'static str,
    /// The allowed values. A value that starts with a digit is a minimum version.
    pub(crate) values: &'static [&'static str],
    pub(crate) remedy: &'static str,
}

/// The requirements of an engine for the table, the session and the server.
#[derive(Clone, Copy, Debug)]
pub struct Requirements {
    pub(crate) engine: &'static str,
    /// Whether the engine needs the table of beats beside the table of the locks.
    pub(crate) beats: bool,
    pub(crate) each: &'static [Requirement],
}

const MIGRATE: &str = "run this version's migrations: `migrate`, or `diesel-locks migrations write` and `diesel migration run`";

pub(crate) fn columns() -> [&'static str; 8] {
    [
        locks::name::NAME,
        locks::token::NAME,
        locks::owner::NAME,
        locks::fence::NAME,
        locks::acquired_at::NAME,
        locks::expires_at::NAME,
        locks::wanted_until::NAME,
        locks::wanted_since::NAME,
    ]
}

/// The column of the text that is kept with the lock, where it is in the table of the locks.
const DATA: [&str; 1] = ["data"];

/// The columns of the table of beats, which has that text: see `dialect/mysql.rs`.
const BEATS: [&str; 6] = [
    "_beats.name",
    "_beats.fence",
    "_beats.expires_at",
    "_beats.data",
    "_beats.wanted_since",
    "_beats.wanted_fence",
];

/// Whether the table exists.
pub(crate) fn is_there(facts: &[Fact]) -> bool {
    of(facts, "column").any(|column| !column.starts_with("_beats."))
}

/// Returns the first unmet requirement as an error that names its remedy.
pub(crate) fn check(table: &Table, facts: &[Fact], requirements: &Requirements) -> Result<()> {
    if !is_there(facts) {
        return Err(Error::TableMissing {
            engine: requirements.engine,
            source: DieselError::NotFound,
        });
    }
    let more: &[&str] = if requirements.beats { &BEATS } else { &DATA };
    for column in columns().iter().chain(more) {
        if !of(facts, "column").any(|there| there == *column) {
            let (beside, column) = column.split_once('.').unwrap_or(("", *column));
            let table = table.beside(beside).quoted();
            return unmet(format!("{table} has no column {column}"), MIGRATE);
        }
    }
    if !of(facts, "key").eq([locks::name::NAME]) {
        let remedy = "two rows of one name would be two holders: create the table with this crate's migrations";
        return unmet(
            format!("the primary key of {} is not the name", table.quoted()),
            remedy,
        );
    }
    for requirement in requirements.each {
        let mut values = of(facts, requirement.fact);
        if let Some(value) = values.find(|value| !requirement.is_met(value)) {
            let found = format!("for {} the {} is {value}", table.quoted(), requirement.fact);
            return unmet(found, requirement.remedy);
        }
    }
    Ok(())
}

fn of<'f>(facts: &'f [Fact], kind: &'f str) -> impl Iterator<Item = &'f str> {
    let about = facts.iter().filter(move |fact| fact.kind == kind);
    about.map(|fact| fact.value.as_str())
}

fn unmet(found: String, remedy: &'static str) -> Result<()> {
    Err(Error::Setup { found, remedy })
}

impl Requirement {
    fn is_met(&self, value: &str) -> bool {
        self.values.iter().any(|allowed| {
            if allowed.starts_with(|c: char| c.is_ascii_digit()) {
                numbers(value) >= numbers(allowed)
            } else {
                *allowed == value
            }
        })
    }
}

/// The numbers at the start of a version: `10.11.19-MariaDB-…` gives 10, 11 and 19.
fn numbers(version: &str) -> Vec<u32> {
    let end = version
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(version.len());
    let parts = version[..end].split('.');
    parts.map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::Requirement;

    #[test]
    fn a_version_is_new_enough_or_not() {
        let requirement = Requirement {
            fact: "server",
            values: &["10.6"],
            remedy: "",
        };
        for good in ["10.6", "10.6.1", "10.11.19-MariaDB-0+deb12u1", "11.4 (x)"] {
            assert!(requirement.is_met(good), "{good}");
        }
        for bad in ["10.5.29-MariaDB", "9.9", "10", ""] {
            assert!(!requirement.is_met(bad), "{bad}");
        }
    }

    #[test]
    fn another_fact_is_one_of_the_values() {
        let requirement = Requirement {
            fact: "engine",
            values: &["InnoDB", "Other"],
            remedy: "",
        };
        assert!(
            requirement.is_met("InnoDB")
                && requirement.is_met("Other")
                && !requirement.is_met("MyISAM")
        );
    }
}
