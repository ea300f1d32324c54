//! Which lock, or which locks, a command is about.

use diesel_locks::{List, Lock, Result, Table};

use crate::record::Record;

/// One lock.
#[derive(Debug, clap::Args)]
pub struct LockName {
    /// The name of the lock. `group|name`, as `list` prints it, is short for `--group group name`.
    name: String,
    /// The group of the lock.
    #[arg(long)]
    group: Option<String>,
}

impl LockName {
    pub fn new(name: &str, group: Option<&String>) -> Self {
        Self {
            name: name.to_owned(),
            group: group.cloned(),
        }
    }

    pub fn lock(&self, table: Table) -> Result<Lock> {
        let lock = match (&self.group, self.name.split_once('|')) {
            (Some(group), _) => Lock::in_group(group, &self.name),
            (None, Some((group, name))) => Lock::in_group(group, name),
            (None, None) => Lock::new(&self.name),
        };
        Ok(lock?.in_table(table))
    }
}

/// All locks that match.
#[derive(Clone, Debug, clap::Args)]
pub struct LockFilter {
    /// Only locks of this group.
    #[arg(long)]
    group: Option<String>,
    /// Only locks whose names start with this text.
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
}

impl LockFilter {
    pub fn list(&self, table: Table) -> Result<List> {
        let list = List::all().in_table(table).with_prefix(&self.prefix);
        match &self.group {
            Some(group) => list.in_group(group),
            None => Ok(list),
        }
    }

    /// Whether [`list`](Self::list) would list this lock.
    pub fn matches(&self, record: &Record) -> bool {
        let within = match &self.group {
            Some(group) => (record.group() == Some(group)).then(|| record.name()),
            None => Some(record.key.as_str()),
        };
        within.is_some_and(|text| text.starts_with(&self.prefix))
    }
}
