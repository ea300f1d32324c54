//! What names a lock in a call of a `Locker`.

use std::borrow::Cow;

use crate::answer::Record;
use crate::error::Result;
use crate::lock::Lock;
use crate::name::Name;

/// A value that names a lock in a call of a [`Locker`](crate::locker::Locker).
///
/// | value | lock |
/// |---|---|
/// | a text: `"report"`, `format!("report-{id}")` | the lock of this name, held with the settings of the `Locker` |
/// | two texts: `("jobs", "42")`, `("jobs", id.to_string())` | the lock of this name in this group, held in the same way |
/// | a [`Lock`] or `&Lock` | this lock, with its own settings |
/// | a `&Record` | the lock of this row, held with the settings of the `Locker` |
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let locker = diesel_locks::blocking::Locker::new(|| SqliteConnection::establish(":memory:"));
/// let id = 42;
/// assert_eq!(locker.lock(format!("report-{id}"))?.key(), "report-42");
/// assert_eq!(locker.lock(("jobs", id.to_string()))?.key(), "jobs|42");
/// # Ok::<(), diesel_locks::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name a lock",
    note = "a lock is named by a text, by a group and a text such as `(\"jobs\", \"42\")`, by a `Lock`, or by a `&Record`"
)]
pub trait IntoLock: sealed::Sealed {
    /// The lock. If the value is only a name, the lock is held like the prototype.
    #[doc(hidden)]
    fn into_lock(self, prototype: &Lock) -> Result<Lock>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! texts {
    ($($Text:ty),+) => {$(
        impl sealed::Sealed for $Text {}
        impl IntoLock for $Text {
            fn into_lock(self, prototype: &Lock) -> Result<Lock> {
                Ok(prototype.renamed(Name::new(self.as_ref())?))
            }
        }
    )+};
}
texts!(&str, &&str, String, &String, Cow<'_, str>, Box<str>);

impl<G: AsRef<str>, N: AsRef<str>> sealed::Sealed for (G, N) {}
impl<G: AsRef<str>, N: AsRef<str>> IntoLock for (G, N) {
    fn into_lock(self, prototype: &Lock) -> Result<Lock> {
        let name = Name::in_group(self.0.as_ref(), self.1.as_ref())?;
        Ok(prototype.renamed(name))
    }
}

impl sealed::Sealed for Lock {}
impl IntoLock for Lock {
    fn into_lock(self, _: &Lock) -> Result<Lock> {
        Ok(self)
    }
}

impl sealed::Sealed for &Lock {}
impl IntoLock for &Lock {
    fn into_lock(self, _: &Lock) -> Result<Lock> {
        Ok(self.clone())
    }
}

impl sealed::Sealed for &Record {}
impl IntoLock for &Record {
    fn into_lock(self, prototype: &Lock) -> Result<Lock> {
        Ok(prototype.renamed(Name::from_key(&self.key)?))
    }
}
