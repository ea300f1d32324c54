//! Statements as the dialects write them: SQL, with fields in braces.
//!
//! Diesel walks a statement several times each time it is run. So a template is split once, and the parts are kept. For
//! the default table, which nearly all statements use, all text between two values is one part.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::{Dialect, Operation};
use crate::table::{Table, quoted};

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Sql(Cow<'static, str>),
    /// The table of the locks, or a table beside it, whose name ends with this suffix.
    Table(&'static str),
    /// A bound value.
    Value(Value),
}

/// The fields that are values.
macro_rules! values {
    ($($field:literal $value:ident,)+) => {
        /// A value that a statement binds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Value {
            $($value),+
        }

        impl Value {
            fn of(field: &str) -> Self {
                match field {
                    $($field => Self::$value,)+
                    unknown => unreachable!("no field {{{unknown}}} in a dialect's SQL"),
                }
            }
        }
    };
}

values! {
    "name" Name,
    "token" Token,
    "owner" Owner,
    "data" Data,
    "fence" Fence,
    "next_fence" NextFence,
    "time" Time,
    "since" Since,
    "local" Local,
    "longest" Longest,
    "expired" Expired,
    "from" From,
    "until" Until,
    "after" After,
    "inside" Inside,
    "question" Question,
    "held" Held,
    "limit" Limit,
    "names" Names,
    "batch" Batch,
    "quoted_table" QuotedTable,
    "schema" Schema,
}

/// The split templates of a dialect, by operation.
#[derive(Debug)]
pub struct Templates {
    for_the_default_table: Kept,
    for_other_tables: Kept,
}

type Kept = [OnceLock<Vec<Part>>; Operation::COUNT];

impl Templates {
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    pub(super) const fn new() -> Self {
        Self {
            for_the_default_table: [const { OnceLock::new() }; Operation::COUNT],
            for_other_tables: [const { OnceLock::new() }; Operation::COUNT],
        }
    }

    pub(crate) fn of<DB: Dialect>(
        &'static self,
        operation: Operation,
        table: &Table,
    ) -> &'static [Part] {
        let parts = || split::<DB>(DB::sql(operation));
        if table.is_default() {
            self.for_the_default_table[operation as usize].get_or_init(|| joined::<DB>(parts()))
        } else {
            self.for_other_tables[operation as usize].get_or_init(parts)
        }
    }
}

/// Names the default table, and joins the text between two values.
fn joined<DB: Dialect>(parts: Vec<Part>) -> Vec<Part> {
    let mut joined = Vec::new();
    for part in parts {
        let text = match part {
            Part::Sql(text) => text,
            Part::Table(suffix) => {
                let name = format!("{}{suffix}", Table::DEFAULT_NAME);
                quoted(&name, DB::QUOTE).into()
            }
            Part::Value(value) => {
                joined.push(Part::Value(value));
                continue;
            }
        };
        match joined.last_mut() {
            Some(Part::Sql(before)) => before.to_mut().push_str(&text),
            _ => joined.push(Part::Sql(text)),
        }
    }
    joined
}

/// Splits a template. On a database with numbered placeholders, a value that stands in the template again is named by
/// the number of its first place.
fn split<DB: Dialect>(template: &'static str) -> Vec<Part> {
    const PLACES: [&str; 10] = ["$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10"];
    let (mut parts, mut bound) = (Vec::new(), Vec::new());
    for piece in Pieces(template) {
        parts.push(match piece {
            Piece::Sql(sql) => Part::Sql(sql.into()),
            Piece::Field("now") => Part::Sql(DB::NOW.into()),
            Piece::Field("locks") => Part::Table(""),
            Piece::Field("beats") => Part::Table("_beats"),
            Piece::Field("setup") => Part::Table("_setup"),
            Piece::Field(field) => {
                let value = Value::of(field);
                match bound.iter().position(|it| *it == value) {
                    Some(place) if DB::NUMBERED_PLACEHOLDERS => Part::Sql(PLACES[place].into()),
                    _ => {
                        bound.push(value);
                        Part::Value(value)
                    }
                }
            }
        });
    }
    parts
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Sql(&'static str),
    Field(&'static str),
}

/// The rest of a template, which is not split yet.
struct Pieces(&'static str);

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.0.is_empty() {
            return None;
        }
        if let Some(rest) = self.0.strip_prefix('{') {
            let (field, rest) = rest.split_once('}')?;
            self.0 = rest;
            return Some(Piece::Field(field));
        }
        let end = self.0.find('{').unwrap_or(self.0.len());
        let (sql, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(Piece::Sql(sql))
    }
}

#[cfg(test)]
mod tests {
    use super::{Piece, Pieces};

    #[test]
    fn a_template_is_sql_and_fields_in_turn() {
        let pieces: Vec<_> = Pieces("a {b} c{d}").collect();
        let expected = [
            Piece::Sql("a "),
            Piece::Field("b"),
            Piece::Sql(" c"),
            Piece::Field("d"),
        ];
        assert_eq!(pieces, expected);
    }
}
