//! The table of the locks.

use std::sync::{Arc, OnceLock};

use diesel::backend::Backend;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;

use crate::error::{Error, Result};

/// The table of the locks. The default is the table `diesel_locks`, where the connection finds it.
///
/// Use another table to keep apart the locks of applications that share a database, or to keep the locks in their own
/// schema. For everything smaller use groups of names ([`Lock::in_group`](crate::Lock::in_group)).
///
/// The identifiers are quoted wherever they are used. Beside the table `t` there are the view `t_held` for people; on
/// MySQL and MariaDB the table `t_beats`; and, if [`migrate`](crate::blocking::migrate) made the table, the table
/// `t_setup`, which records the migrations that were run.
///
/// ```
/// use diesel_locks::{Lock, Table};
///
/// let table = Table::new("billing_locks")?.in_schema("infra")?;
/// let lock = Lock::new("invoice:42")?.in_table(table);
/// # Ok::<(), diesel_locks::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(Arc<Identifier>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Identifier {
    schema: Option<String>,
    name: String,
}

impl Default for Table {
    fn default() -> Self {
        static DEFAULT: OnceLock<Table> = OnceLock::new();
        let default = || Self::named(Self::DEFAULT_NAME.to_owned());
        DEFAULT.get_or_init(default).clone()
    }
}

impl Table {
    pub(crate) const DEFAULT_NAME: &str = "diesel_locks";

    /// The suffixes of the table's name: of the table itself, its view, the table of beats, and the table of migrations.
    pub(crate) const SUFFIXES: [&str; 4] = ["", "_held", "_beats", "_setup"];

    /// A table with this name. The name has at most 57 bytes, so that `_beats`, `_held` and `_setup` still fit after it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that an engine would cut or refuse.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        identifier("table", name.as_ref()).map(Self::named)
    }

    /// The table in this schema (PostgreSQL), database (MySQL, MariaDB) or attached database (SQLite).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that an engine would cut or refuse.
    pub fn in_schema(mut self, schema: impl AsRef<str>) -> Result<Self> {
        Arc::make_mut(&mut self.0).schema = Some(identifier("schema", schema.as_ref())?);
        Ok(self)
    }

    fn named(name: String) -> Self {
        Self(Arc::new(Identifier { schema: None, name }))
    }

    pub(crate) fn is_default(&self) -> bool {
        self.schema().is_none() && self.name() == Self::DEFAULT_NAME
    }

    /// The table or view with this suffix.
    pub(crate) fn beside(&self, suffix: &str) -> Self {
        Self(Arc::new(Identifier {
            schema: self.0.schema.clone(),
            name: format!("{}{suffix}", self.name()),
        }))
    }

    /// Writes the quoted name of the table, or of the table or view with this suffix, into a query.
    pub(crate) fn push<DB: Backend>(
        &self,
        suffix: &str,
        out: &mut AstPass<'_, '_, DB>,
    ) -> QueryResult<()> {
        if let Some(schema) = self.schema() {
            out.push_identifier(schema)?;
            out.push_sql(".");
        }
        if suffix.is_empty() {
            return out.push_identifier(self.name());
        }
        out.push_identifier(&format!("{}{suffix}", self.name()))
    }

    /// The quoted name, as PostgreSQL reads it from a text.
    pub(crate) fn quoted(&self) -> String {
        let name = quoted(self.name(), "\"");
        match self.schema() {
            Some(schema) => format!("{}.{name}", quoted(schema, "\"")),
            None => name,
        }
    }

    /// The name, without the schema.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The schema, or `None` if none was given.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        self.0.schema.as_deref()
    }
}

/// An identifier in quotes. A quote inside it is written twice.
pub(crate) fn quoted(identifier: &str, quote: &str) -> String {
    format!(
        "{quote}{}{quote}",
        identifier.replace(quote, &quote.repeat(2))
    )
}

fn identifier(what: &'static str, text: &str) -> Result<String> {
    let fits = (1..=57).contains(&text.len());
    if fits && !text.ends_with(' ') && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Error::Invalid {
        what,
        value: text.to_owned(),
        remedy: "1 to 57 bytes, no control characters, no space at its end",
    })
}
