//! Which table the locks live in.

use std::borrow::Cow;

use diesel::backend::Backend;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;

use crate::error::{Error, Result};

/// The table of the locks: `diesel_locks` where the connection finds it, unless you say otherwise.
///
/// Use another table to keep applications that share a database apart, or to keep locks in a schema of
/// their own; use groups of names ([`Lock::in_group`](crate::Lock::in_group)) for everything smaller.
/// The identifiers are quoted wherever they are used. Beside the table `t` there are the view `t_held`
/// for people and, on MySQL and MariaDB, the table `t_pins`.
///
/// ```
/// use diesel_locks::{Lock, Table};
///
/// let table = Table::new("billing_locks")?.in_schema("infra")?;
/// let lock = Lock::new("invoice:42")?.table(table);
/// # Ok::<(), diesel_locks::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    schema: Option<Cow<'static, str>>,
    name: Cow<'static, str>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            schema: None,
            name: Cow::Borrowed(Self::DEFAULT_NAME),
        }
    }
}

impl Table {
    pub(crate) const DEFAULT_NAME: &str = "diesel_locks";

    /// A table of this name, at most 57 bytes so that `_pins` and `_held` still fit behind it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that an engine would cut or refuse.
    pub fn new(name: &str) -> Result<Self> {
        Ok(Self {
            schema: None,
            name: identifier("table", name)?,
        })
    }

    /// The table in this schema (PostgreSQL), database (MySQL, MariaDB) or attached database (SQLite).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that an engine would cut or refuse.
    pub fn in_schema(mut self, schema: &str) -> Result<Self> {
        self.schema = Some(identifier("schema", schema)?);
        Ok(self)
    }

    /// Writes it, or what stands beside it, quoted into a query.
    pub(crate) fn push<DB: Backend>(
        &self,
        suffix: &str,
        out: &mut AstPass<'_, '_, DB>,
    ) -> QueryResult<()> {
        if let Some(schema) = self.schema() {
            out.push_identifier(schema)?;
            out.push_sql(".");
        }
        out.push_identifier(&format!("{}{suffix}", self.name()))
    }

    /// Its name as PostgreSQL reads it from a text.
    pub(crate) fn quoted(&self) -> String {
        let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        match self.schema() {
            Some(schema) => format!("{}.{}", quote(schema), quote(self.name())),
            None => quote(self.name()),
        }
    }

    /// Its name, without the schema.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its schema, if one was said.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }
}

fn identifier(what: &'static str, text: &str) -> Result<Cow<'static, str>> {
    let fits = (1..=57).contains(&text.len());
    if fits && !text.ends_with(' ') && !text.chars().any(char::is_control) {
        return Ok(Cow::Owned(text.to_owned()));
    }
    Err(Error::Invalid {
        what,
        value: text.to_owned(),
        remedy: "1 to 57 bytes, no control characters, no space at its end",
    })
}
