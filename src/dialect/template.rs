//! Statements as the dialects write them: SQL, with fields in braces.
//!
//! Diesel walks a statement several times each time it is run. So a template is split once, and the parts are kept.

use std::sync::OnceLock;

use super::{Dialect, Operation};

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Sql(&'static str),
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
pub struct Templates([OnceLock<Vec<Part>>; Operation::COUNT]);

impl Templates {
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    pub(super) const fn new() -> Self {
        Self([const { OnceLock::new() }; Operation::COUNT])
    }

    pub(crate) fn of<DB: Dialect>(&'static self, operation: Operation) -> &'static [Part] {
        self.0[operation as usize].get_or_init(|| split::<DB>(DB::sql(operation)))
    }
}

/// Splits a template. On a database with numbered placeholders, a value that stands in the template again is named by
/// the number of its first place.
fn split<DB: Dialect>(template: &'static str) -> Vec<Part> {
    const PLACES: [&str; 10] = ["$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10"];
    let (mut parts, mut bound) = (Vec::new(), Vec::new());
    for piece in Pieces(template) {
        parts.push(match piece {
            Piece::Sql(sql) => Part::Sql(sql),
            Piece::Field("now") => Part::Sql(DB::NOW),
            Piece::Field("locks") => Part::Table(""),
            Piece::Field("pins") => Part::Table("_pins"),
            Piece::Field("setup") => Part::Table("_setup"),
            Piece::Field(field) => {
                let value = Value::of(field);
                match bound.iter().position(|it| *it == value) {
                    Some(place) if DB::NUMBERED_PLACEHOLDERS => Part::Sql(PLACES[place]),
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
