//! Names of locks.
//!
//! Two different names are two different locks on every engine (I14). So a name that some engine would fold or cut is
//! refused: a name with spaces at its end (MySQL's `utf8mb4_bin` ignores them), with more than 255 characters (MySQL
//! cuts it silently outside strict mode), or with NUL (PostgreSQL refuses it).
//!
//! A lock in a group is stored as `group|name`. A group cannot contain `|`, and neither can a name without a group. So
//! the first `|` in a key always ends the group.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

const SEPARATOR: char = '|';
const LONGEST: usize = 255;
/// Sorts after every character that a name may contain, and is itself refused in names.
const LAST: char = '\u{10FFFF}';

/// A validated name, with its group if it is in one. [`Display`](fmt::Display) shows the key in the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(Arc<str>);

impl Name {
    pub(crate) fn new(name: &str) -> Result<Self> {
        check("lock name", name)?;
        ungrouped("lock name", name)?;
        Ok(Self(name.into()))
    }

    pub(crate) fn in_group(group: &str, name: &str) -> Result<Self> {
        valid_group(group)?;
        check("lock name", name)?;
        let key = format!("{group}{SEPARATOR}{name}");
        check("lock name with its group", &key)?;
        Ok(Self(key.into()))
    }

    /// A placeholder where a name will be filled in later.
    pub(crate) fn placeholder() -> Self {
        Self("".into())
    }

    /// Reads the key of a row or of a lease's text: every key that the two constructors could have made.
    pub(crate) fn from_key(key: &str) -> Result<Self> {
        match key.split_once(SEPARATOR) {
            Some((group, name)) => Self::in_group(group, name),
            None => Self::new(key),
        }
    }

    pub(crate) fn key(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The group in a key, if the key has one, and the name.
pub(crate) fn parts(key: &str) -> (Option<&str>, &str) {
    match key.split_once(SEPARATOR) {
        Some((group, name)) => (Some(group), name),
        None => (None, key),
    }
}

/// The range of keys that begin with the same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: String,
    pub(crate) until: String,
}

impl Range {
    pub(crate) fn new(group: Option<&str>, prefix: &str) -> Self {
        let from = match group {
            Some(group) => format!("{group}{SEPARATOR}{prefix}"),
            None => prefix.to_owned(),
        };
        let until = format!("{from}{LAST}");
        Self { from, until }
    }
}

/// The group, if a lock can be in it.
pub(crate) fn valid_group(group: &str) -> Result<&str> {
    check("group of locks", group)?;
    ungrouped("group of locks", group)?;
    Ok(group)
}

fn ungrouped(what: &'static str, text: &str) -> Result<()> {
    if text.contains(SEPARATOR) {
        return Err(invalid(
            what,
            text,
            "'|' stands between group and name: use `Lock::in_group(group, name)`, or another character",
        ));
    }
    Ok(())
}

fn check(what: &'static str, text: &str) -> Result<()> {
    let remedy = if text.is_empty() {
        "at least one character"
    } else if text.chars().count() > LONGEST {
        "at most 255 characters, group included: hash what is longer"
    } else if text.ends_with(' ') {
        "no space at its end, which MySQL would not see"
    } else if text.chars().any(|c| c.is_control() || c == LAST) {
        "no control characters"
    } else {
        return Ok(());
    };
    Err(invalid(what, text, remedy))
}

fn invalid(what: &'static str, text: &str, remedy: &'static str) -> Error {
    let value = text.chars().take(300).collect();
    Error::Invalid {
        what,
        value,
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, Range, parts};

    #[test]
    fn group_and_name_cannot_be_confused() {
        assert!(Name::in_group("a|b", "c").is_err());
        assert!(Name::new("a|b").is_err());
        let grouped = Name::in_group("a", "b|c").unwrap();
        assert_eq!(parts(grouped.key()), (Some("a"), "b|c"));
        assert_eq!(Name::from_key(grouped.key()).unwrap(), grouped);
        assert_ne!(
            Name::in_group("a/b", "c").unwrap(),
            Name::in_group("a", "b/c").unwrap()
        );
    }

    #[test]
    fn what_an_engine_would_fold_or_cut_is_refused() {
        for bad in ["", "x ", "nul\0", "line\n", &"é".repeat(256)] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::new(&"é".repeat(255)).is_ok());
        assert!(Name::in_group(&"g".repeat(128), &"n".repeat(127)).is_err());
    }

    #[test]
    fn a_range_ends_behind_every_name_that_begins_alike() {
        let range = Range::new(Some("jobs"), "4");
        assert!(*"jobs|4" >= *range.from && *"jobs|4\u{10FFFE}" < *range.until);
        assert!(*"jobs|5" > *range.until && *"jobs" < *range.from);
    }
}
