//! A connection of the pool.

use std::ops::{Deref, DerefMut};

/// A connection of the pool. One that is dropped while something is under way on it, or that has broken, must not be used
/// by others: they would wait for an answer that nobody reads, and some pools do not look.
pub struct Fetched<C> {
    pub(crate) conn: C,
    is_idle: bool,
    discard: fn(&mut C),
}

impl<C> Fetched<C> {
    pub(crate) fn new(conn: C, discard: fn(&mut C)) -> Self {
        Self {
            conn,
            is_idle: false,
            discard,
        }
    }

    pub(crate) fn put_back(mut self) {
        self.is_idle = true;
    }
}

impl<C> Deref for Fetched<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.conn
    }
}

impl<C> DerefMut for Fetched<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.conn
    }
}

impl<C> Drop for Fetched<C> {
    fn drop(&mut self) {
        // In a panic of its own a connection may not be able to; pools see that by themselves.
        if !self.is_idle && !std::thread::panicking() {
            (self.discard)(&mut self.conn);
        }
    }
}
