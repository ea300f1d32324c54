//! What a database says about the table, the session and itself, and whether locks can work there. No I/O.
//!
//! The table itself is judged, not a version that somebody noted: so the answer is right whoever made it, and a
//! database that is ahead of this version of the crate will do as long as everything needed is there.

use diesel::query_source::Column;
use diesel::result::Error as DieselError;
use diesel::sql_types::Text;

use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::schema::diesel_locks as locks;
use crate::table::Table;

/// One thing that a database says about the table of the locks, the session or itself: a `column`, the `engine`, …
#[derive(Clone, Debug, PartialEq, Eq, diesel::Queryable)]
#[non_exhaustive]
pub struct Fact {
    /// What is told.
    pub what: String,
    /// What it is.
    pub value: String,
}

/// The SQL type of [`Fact`].
pub type FactSql = (Text, Text);

/// What every fact of a kind must be.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub(crate) fact: &'static str,
    /// Any of these; or, where they are numbers, at least the only one, part by part.
    pub(crate) values: &'static [&'static str],
    pub(crate) remedy: &'static str,
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
        locks::data::NAME,
        locks::wanted_until::NAME,
    ]
}

/// Beside the table, where an UPDATE cannot return rows: see `dialect/mysql.rs`.
const PINS: [&str; 3] = ["_pins.name", "_pins.token", "_pins.fence"];

/// Whether the table is there at all.
pub(crate) fn is_there(facts: &[Fact]) -> bool {
    of(facts, "column").any(|column| !column.starts_with("_pins."))
}

/// The first thing that will not do, with its remedy.
pub(crate) fn judge<DB: Dialect>(table: &Table, facts: &[Fact]) -> Result<()> {
    if !is_there(facts) {
        return Err(Error::TableMissing {
            engine: DB::ENGINE,
            source: DieselError::NotFound,
        });
    }
    let pins = PINS.into_iter().filter(|_| !DB::RETURNING);
    for column in columns().into_iter().chain(pins) {
        if !of(facts, "column").any(|there| there == column) {
            let (beside, column) = column.split_once('.').unwrap_or(("", column));
            let table = table.beside(beside).quoted();
            return unfit(format!("{table} has no column {column}"), MIGRATE);
        }
    }
    if !of(facts, "key").eq([locks::name::NAME]) {
        let remedy = "two rows of one name would be two holders: create the table with this crate's migrations";
        return unfit(
            format!("the primary key of {} is not the name", table.quoted()),
            remedy,
        );
    }
    for need in DB::NEEDS {
        if let Some(value) = of(facts, need.fact).find(|value| !need.is_met(value)) {
            let found = format!("for {} the {} is {value}", table.quoted(), need.fact);
            return unfit(found, need.remedy);
        }
    }
    Ok(())
}

fn of<'f>(facts: &'f [Fact], what: &'f str) -> impl Iterator<Item = &'f str> {
    let about = facts.iter().filter(move |fact| fact.what == what);
    about.map(|fact| fact.value.as_str())
}

fn unfit(found: String, remedy: &'static str) -> Result<()> {
    Err(Error::Setup { found, remedy })
}

impl Need {
    fn is_met(&self, value: &str) -> bool {
        self.values.iter().any(|need| {
            if need.starts_with(|c: char| c.is_ascii_digit()) {
                numbers(value) >= numbers(need)
            } else {
                *need == value
            }
        })
    }
}

/// `10.11.19-MariaDB-…` is 10, 11 and 19.
fn numbers(version: &str) -> Vec<u32> {
    let end = version
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(version.len());
    let parts = version[..end].split('.');
    parts.map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::Need;

    #[test]
    fn a_version_is_new_enough_or_not() {
        let need = Need {
            fact: "server",
            values: &["10.6"],
            remedy: "",
        };
        for good in ["10.6", "10.6.1", "10.11.19-MariaDB-0+deb12u1", "11.4 (x)"] {
            assert!(need.is_met(good), "{good}");
        }
        for bad in ["10.5.29-MariaDB", "9.9", "10", ""] {
            assert!(!need.is_met(bad), "{bad}");
        }
    }

    #[test]
    fn another_fact_is_one_of_the_values() {
        let need = Need {
            fact: "engine",
            values: &["InnoDB", "Other"],
            remedy: "",
        };
        assert!(need.is_met("InnoDB") && need.is_met("Other") && !need.is_met("MyISAM"));
    }
}
