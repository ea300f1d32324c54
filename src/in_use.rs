//! A connection that is in use.

use std::ops::{Deref, DerefMut};

/// A connection that is in use: checked out of a pool, or lent for one call. If it is dropped before its use is done,
/// nobody may use it again: the answer to the request under way would be read as the answer to the next request, or a
/// transaction is left open. Many pools and drivers do not check that.
#[derive(Debug)]
pub struct InUse<C> {
    pub(crate) conn: C,
    is_done: bool,
    discard: fn(&mut C),
}

impl<C> InUse<C> {
    pub(crate) fn new(conn: C, discard: fn(&mut C)) -> Self {
        Self {
            conn,
            is_done: false,
            discard,
        }
    }

    /// Ends the use. The connection can be used again.
    pub(crate) fn done(mut self) {
        self.is_done = true;
    }
}

impl<C> Deref for InUse<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.conn
    }
}

impl<C> DerefMut for InUse<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.conn
    }
}

impl<C> Drop for InUse<C> {
    fn drop(&mut self) {
        if !self.is_done {
            (self.discard)(&mut self.conn);
        }
    }
}
