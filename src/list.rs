//! The choice of rows to read or to purge.

use crate::error::Result;
use crate::name::{Range, valid_group};
use crate::table::Table;

/// A page of locks, in the order of their keys. It can contain all locks, the locks of one group, the locks whose names
/// begin with one prefix, or only the locks that are held.
///
/// Use it for people and dashboards. Do not use it to decide whether you may go on: for that, try to acquire the lock.
///
/// ```
/// # use diesel::Connection;
/// # let mut conn = diesel::SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// use diesel_locks::List;
/// use diesel_locks::blocking::ListDsl;
///
/// let mut page = List::all().in_group("invoices")?.held();
/// loop {
///     let records = page.load(&mut conn)?;
///     for record in &records {
///         println!("{} is held by {} for {:?}", record.name(), record.owner, record.time_left);
///     }
///     let Some(last) = records.last() else { break };
///     page = page.after(&last.key);
/// }
/// # Ok::<(), diesel_locks::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct List {
    /// Without a table, the table of the `Locker`, or else the table `diesel_locks`.
    table: Option<Table>,
    pub(crate) held: bool,
    pub(crate) after: Option<String>,
    pub(crate) limit: i64,
    group: Option<String>,
    prefix: String,
}

impl List {
    /// All locks, a hundred on each page.
    pub fn all() -> Self {
        Self {
            table: None,
            held: false,
            after: None,
            limit: 100,
            group: None,
            prefix: String::new(),
        }
    }

    /// Only the locks of this group.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a group that no lock can be in.
    pub fn in_group(mut self, group: impl AsRef<str>) -> Result<Self> {
        self.group = Some(valid_group(group.as_ref())?.to_owned());
        Ok(self)
    }

    /// Only the locks whose keys begin with this prefix. If a group was chosen, the prefix is that of the name within
    /// the group.
    pub fn with_prefix(mut self, prefix: impl AsRef<str>) -> Self {
        prefix.as_ref().clone_into(&mut self.prefix);
        self
    }

    /// Only the locks that somebody holds.
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// The page that begins after this key. Give the last key of the page before.
    pub fn after(mut self, key: impl AsRef<str>) -> Self {
        self.after = Some(key.as_ref().to_owned());
        self
    }

    /// The largest number of locks on a page.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = i64::from(limit);
        self
    }

    /// The locks of this table. Without this call the locks are those of the table `diesel_locks`; in a call of a
    /// [`Locker`](crate::locker::Locker), those of its table.
    pub fn in_table(mut self, table: Table) -> Self {
        self.table = Some(table);
        self
    }

    pub(crate) fn table(&self) -> Table {
        self.table.clone().unwrap_or_default()
    }

    /// The locks of this table, if the caller has chosen none.
    pub(crate) fn or_in(mut self, table: &Table) -> Self {
        self.table.get_or_insert_with(|| table.clone());
        self
    }

    /// All locks of the group and prefix, page by page.
    pub(crate) fn to_purge(&self) -> Self {
        Self {
            held: false,
            after: None,
            limit: 1_000,
            ..self.clone()
        }
    }

    pub(crate) fn range(&self) -> Range {
        Range::new(self.group.as_deref(), &self.prefix)
    }
}
