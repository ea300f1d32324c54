//! Reading rows, and removing the rows of unused locks.

use std::borrow::Borrow;
use std::time::Duration;

use super::connection::{Blocking, LockConnection, ready};
use crate::answer::Record;
use crate::error::Result;
use crate::list::List;
use crate::protocol;

/// Reads the rows of a [`List`], and removes the rows of locks that nobody uses any more.
pub trait ListDsl: Borrow<List> {
    /// Reads the page. Use it for people and dashboards; to decide anything, try to acquire the lock.
    ///
    /// # Errors
    /// Whatever the database says.
    fn load<C: LockConnection>(&self, conn: &mut C) -> Result<Vec<Record>> {
        ready(protocol::list(&mut Blocking::on(conn), self.borrow()))
    }

    /// Removes the rows of all locks within the list's group and prefix that nobody has held for longer than `age`.
    /// Returns the number of removed rows. A held lock is never removed.
    ///
    /// Fences go on growing after a purge, unless the database's clock is set back by more than `age`. So choose a long
    /// `age`, for example a day.
    ///
    /// # Errors
    /// Whatever the database says.
    fn purge<C: LockConnection>(&self, conn: &mut C, age: Duration) -> Result<usize> {
        ready(protocol::purge(&mut Blocking::on(conn), self.borrow(), age))
    }
}

impl ListDsl for List {}
