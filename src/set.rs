//! Several locks at once. This file does no I/O.

use crate::error::{Error, Result};
use crate::json::{array, quoted};
use crate::lock::Lock;
use crate::name::Name;

const LARGEST: usize = 10_000;

/// Several locks that are held in the same way. A caller acquires all of them or none, or any one that is free.
///
/// [`LockSet::new`] makes a set. The order of the names does not matter: two sets that share names cannot deadlock.
///
/// Use "all or none" for work that touches several things at once. Use "any one" as a semaphore: a set of `n` names is
/// `n` permits.
///
/// ```
/// # use diesel::Connection;
/// # let mut conn = diesel::SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// use diesel_locks::blocking::LockSetDsl;
/// use diesel_locks::{Lock, LockSet};
///
/// let accounts = LockSet::new(&Lock::in_group("accounts", "alice")?, ["bob"])?;
/// let both = accounts.try_acquire_all(&mut conn)?.acquired().expect("nobody moves their money");
/// assert_eq!(both.len(), 2);
///
/// let permits = LockSet::new(&Lock::in_group("printer", "1")?, ["2", "3"])?;
/// let permit = permits.try_acquire_any(&mut conn)?.acquired().expect("one of three is free");
/// assert_eq!(permit.lock().group(), Some("printer"));
/// # Ok::<(), diesel_locks::Error>(())
/// ```
#[doc(alias = "semaphore")]
#[derive(Clone, Debug)]
pub struct LockSet {
    /// Sorted by key. Each name is there once.
    pub(crate) locks: Vec<Lock>,
}

impl LockSet {
    /// A set of this lock and of the locks with these names in the same group. All of them are held as this lock is.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that cannot be used, and for more than 10,000 names in the set.
    pub fn new<I>(lock: &Lock, names: I) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut all = vec![lock.name.clone()];
        for name in names {
            all.push(match lock.group() {
                Some(group) => Name::in_group(group, name.as_ref())?,
                None => Name::new(name.as_ref())?,
            });
        }
        all.sort_unstable();
        all.dedup();
        if all.len() > LARGEST {
            return Err(Error::Invalid {
                what: "number of locks",
                value: all.len().to_string(),
                remedy: "at most 10,000 at once: use one lock for a coarser thing",
            });
        }
        Ok(Self {
            locks: all.into_iter().map(|name| lock.renamed(name)).collect(),
        })
    }

    /// The locks, sorted by their keys. Each lock is there once.
    #[must_use]
    pub fn locks(&self) -> &[Lock] {
        &self.locks
    }

    /// The lock whose settings all locks of the set share. A set has at least one lock.
    pub(crate) fn prototype(&self) -> &Lock {
        &self.locks[0]
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Lock> {
        let found = self.locks.binary_search_by(|lock| lock.key().cmp(key));
        found.ok().map(|index| &self.locks[index])
    }

    /// The keys as a JSON array, which every engine can read as rows.
    pub(crate) fn keys(&self) -> String {
        array(self.locks.iter().map(|lock| quoted(lock.key())))
    }
}

#[cfg(test)]
mod tests {
    use super::LockSet;
    use crate::lock::Lock;

    #[test]
    fn a_set_has_each_name_once_and_sorted() {
        let lock = Lock::in_group("g", "b").unwrap();
        let set = LockSet::new(&lock, ["c", "a", "b"]).unwrap();
        let keys: Vec<_> = set.locks().iter().map(Lock::key).collect();
        assert_eq!(keys, ["g|a", "g|b", "g|c"]);
        assert!(set.find("g|c").is_some() && set.find("c").is_none());
    }

    #[test]
    fn names_are_quoted_for_json() {
        let set = LockSet::new(&Lock::new("a\"\\").unwrap(), ["é"]).unwrap();
        assert_eq!(set.keys(), r#"["a\"\\","é"]"#);
    }

    #[test]
    fn too_many_are_refused() {
        let names = (0..10_000).map(|name| name.to_string());
        let error = LockSet::new(&Lock::new("x").unwrap(), names).unwrap_err();
        assert!(error.to_string().contains("at most 10,000"));
    }
}
