//! A lock: a name, validated once, and how it is to be held. This file does no I/O.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::name::{self, Name};
use crate::owner;
use crate::table::Table;
use crate::token::Token;

const SHORTEST_TTL: Duration = Duration::from_millis(1);
pub(crate) const LONGEST_TTL: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
const DEFAULT_TTL: Duration = Duration::from_secs(30);
const LONGEST_OWNER: usize = 255;
const LONGEST_DATA: usize = 4096;

/// A name that at most one holder has at a time, and how it is to be held.
///
/// A `Lock` is a value. Making a `Lock` does not touch the database. A `Lock` can be stored, cloned and shared. Every
/// acquisition with it gives a new [`Lease`](crate::Lease). To acquire it on a connection, import
/// [`blocking::LockDsl`](crate::blocking::LockDsl) or [`asynchronous::LockDsl`](crate::asynchronous::LockDsl).
///
/// ```
/// use std::time::Duration;
/// use diesel_locks::Lock;
///
/// let lock = Lock::in_group("invoices", "42")?.with_ttl(Duration::from_secs(60))?;
/// assert_eq!((lock.group(), lock.name()), (Some("invoices"), "42"));
/// # Ok::<(), diesel_locks::Error>(())
/// ```
#[doc(alias = "mutex")]
#[derive(Clone, Debug)]
pub struct Lock {
    pub(crate) name: Name,
    pub(crate) ttl: Duration,
    pub(crate) owner: Arc<str>,
    pub(crate) token: Option<Token>,
    pub(crate) data: Option<String>,
    pub(crate) table: Table,
    pub(crate) pins_by_writing: bool,
}

impl Lock {
    /// The lock of this name, with a ttl of 30 seconds.
    ///
    /// A name has 1 to 255 characters. It has no control characters, no space at its end and no `|`, which separates
    /// group and name. Case, accents and Unicode normal forms make a difference.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that some engine would cut, fold or refuse.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        Name::new(name.as_ref()).map(Self::named)
    }

    /// The lock of this name within a group, such as `"invoices"`, `"42"`. Use a group to list and purge its locks as a
    /// whole, and to keep its names apart from the names of other groups.
    ///
    /// The key in the table is `invoices|42`. Group, `|` and name together have at most 255 characters.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a group or name that some engine would cut, fold or refuse.
    pub fn in_group(group: impl AsRef<str>, name: impl AsRef<str>) -> Result<Self> {
        Name::in_group(group.as_ref(), name.as_ref()).map(Self::named)
    }

    /// The lock with this key: `name`, or `group|name`. Use it for a key that was read from the table, such as
    /// [`Record::key`](crate::Record::key).
    ///
    /// ```
    /// let lock = diesel_locks::Lock::from_key("invoices|42")?;
    /// assert_eq!((lock.group(), lock.name()), (Some("invoices"), "42"));
    /// # Ok::<(), diesel_locks::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key that no lock has.
    pub fn from_key(key: impl AsRef<str>) -> Result<Self> {
        Name::from_key(key.as_ref()).map(Self::named)
    }

    pub(crate) fn named(name: Name) -> Self {
        Self {
            name,
            ttl: DEFAULT_TTL,
            owner: owner::this_process(),
            token: None,
            data: None,
            table: Table::default(),
            pins_by_writing: false,
        }
    }

    /// A lock with another name that is held in the same way.
    pub(crate) fn renamed(&self, name: Name) -> Self {
        Self {
            name,
            ..self.clone()
        }
    }

    /// How long a lease lasts unless it is extended: 1 ms to 100 years. The default is 30 seconds.
    ///
    /// Choose a ttl that is long enough for the work, or for several heartbeats. Choose it short enough: when a holder
    /// dies, others wait until the ttl is over. The ttl counts from the moment when the database acquires the lock, on
    /// the database's clock. If the ttl is shorter than some ten milliseconds, the answer may take too long to be
    /// trusted ([`Error::TooLate`]).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time out of these bounds.
    pub fn with_ttl(mut self, ttl: Duration) -> Result<Self> {
        self.ttl = valid_ttl(ttl)?;
        Ok(self)
    }

    /// The label by which people recognise the holder. The default is `program[process]@host`. The label decides
    /// nothing: two holders may have the same label.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 255 characters, or control characters.
    pub fn with_owner(mut self, label: impl AsRef<str>) -> Result<Self> {
        let label = label.as_ref();
        if label.chars().count() > LONGEST_OWNER || label.chars().any(char::is_control) {
            return Err(Error::Invalid {
                what: "owner label",
                value: label.chars().take(300).collect(),
                remedy: "at most 255 characters, no control characters",
            });
        }
        self.owner = label.into();
        Ok(self)
    }

    /// A token of your own for the next acquisition, instead of a random token.
    ///
    /// Acquiring again with the same token, while the row still is that acquisition, is the same acquisition: the fence
    /// stays, and the lease gets a fresh expiry.
    ///
    /// Use it to find out what a request did if its answer was lost, or to agree on a holder beforehand. Without such a
    /// reason leave it out. A process that knows the token can act as the holder. So the token must be as hard to guess
    /// as the lock is worth, and new for each acquisition.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless it is 1 to 128 visible ASCII characters.
    pub fn with_token(mut self, token: impl AsRef<str>) -> Result<Self> {
        self.token = Some(Token::new(token.as_ref())?);
        Ok(self)
    }

    /// A small text to leave in the row with the acquisition, for people and for the next holder: the address of a
    /// leader, a checkpoint. Without it, the text of the last holder stays.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 4,096 bytes, or a NUL.
    pub fn with_data(mut self, text: impl AsRef<str>) -> Result<Self> {
        self.data = Some(valid_data(text.as_ref())?);
        Ok(self)
    }

    /// Pins with a write of the lock's row instead of a row lock, on MySQL and MariaDB. On PostgreSQL and SQLite this
    /// makes no difference.
    ///
    /// Use it in two cases. The first is Galera with several primaries, where a row lock does not leave its node. A
    /// write is certified against all primaries, and the loser's commit fails with a deadlock error. The second is an
    /// XA transaction on MariaDB, which drops row locks at XA PREPARE.
    ///
    /// Other pins of the lease then wait for the transaction, and a guard sends no heartbeat until the transaction has
    /// ended. So the ttl must be longer than the longest transaction. Every process must use the lock in this way.
    #[must_use]
    pub fn pin_by_writing(mut self) -> Self {
        self.pins_by_writing = true;
        self
    }

    /// The table of this lock, if it isn't `diesel_locks`.
    #[must_use]
    pub fn in_table(mut self, table: Table) -> Self {
        self.table = table;
        self
    }

    /// The name, without the group.
    #[must_use]
    pub fn name(&self) -> &str {
        name::parts(self.name.key()).1
    }

    /// The group, or `None` if the lock is in no group.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        name::parts(self.name.key()).0
    }

    /// The key, as it stands in the table's column `name`: `group|name`, or the name alone.
    #[must_use]
    pub fn key(&self) -> &str {
        self.name.key()
    }
}

/// The time in microseconds, the unit of the table. A validated time always fits.
pub(crate) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn valid_ttl(ttl: Duration) -> Result<Duration> {
    if (SHORTEST_TTL..=LONGEST_TTL).contains(&ttl) {
        return Ok(ttl);
    }
    Err(Error::Invalid {
        what: "ttl",
        value: format!("{ttl:?}"),
        remedy: "1 ms to 100 years (of 365 days)",
    })
}

pub(crate) fn valid_data(text: &str) -> Result<String> {
    if text.len() <= LONGEST_DATA && !text.contains('\0') {
        return Ok(text.to_owned());
    }
    Err(Error::Invalid {
        what: "data",
        value: format!("of {} bytes", text.len()),
        remedy: "at most 4,096 bytes and no NUL: keep what is larger in a table of your own",
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LONGEST_TTL, Lock};

    #[test]
    fn a_ttl_is_exact_or_refused() {
        let ttl = |ttl| Lock::new("x").unwrap().with_ttl(ttl).map(|lock| lock.ttl);
        let day = Duration::from_secs(24 * 60 * 60);
        for good in [Duration::from_millis(1), 40 * day, LONGEST_TTL] {
            assert_eq!(ttl(good).unwrap(), good);
        }
        let tick = Duration::from_nanos(1);
        for bad in [
            Duration::ZERO,
            Duration::from_nanos(999_999),
            LONGEST_TTL + tick,
        ] {
            assert!(
                ttl(bad)
                    .unwrap_err()
                    .to_string()
                    .contains("1 ms to 100 years")
            );
        }
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let lock = Lock::new("x").unwrap().with_token("open-sesame").unwrap();
        assert!(!format!("{lock:?}").contains("sesame"));
    }

    #[test]
    fn an_owner_can_be_recognised_without_being_told() {
        let owner = Lock::new("x").unwrap().owner;
        assert!(
            owner.contains(&format!("[{}]@", std::process::id())),
            "{owner}"
        );
    }
}
