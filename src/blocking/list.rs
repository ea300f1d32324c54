//! Reading and tidying rows.

use std::borrow::Borrow;
use std::time::Duration;

use super::connection::{Blocking, LockConnection, ready};
use crate::answer::Record;
use crate::error::Result;
use crate::list::List;
use crate::protocol;

/// Reading and tidying the rows of a [`List`].
pub trait ListDsl: Borrow<List> {
    /// Reads the page.
    ///
    /// # Errors
    /// Whatever the database says.
    fn load<C: LockConnection>(&self, conn: &mut C) -> Result<Vec<Record>> {
        ready(protocol::list(&mut Blocking::on(conn), self.borrow()))
    }

    /// Removes the rows of all locks within the list's group and prefix that nobody has held for longer than
    /// `age`, and counts them. A held lock is never removed. Fences go on growing, as long as the database's clock
    /// is not set back by more than `age`: a day, say.
    ///
    /// # Errors
    /// Whatever the database says.
    fn purge<C: LockConnection>(&self, conn: &mut C, age: Duration) -> Result<usize> {
        ready(protocol::purge(&mut Blocking::on(conn), self.borrow(), age))
    }
}

impl ListDsl for List {}
