//! A connection that was checked out of the pool.

use std::ops::{Deref, DerefMut};

/// A connection that was checked out of the pool. If it is dropped in the middle of a request, or is broken, the pool
/// must not use it again: the next user would wait for an answer that belongs to another request. Some pools do not
/// check that.
#[derive(Debug)]
pub struct Checkout<C> {
    pub(crate) conn: C,
    is_idle: bool,
    discard: fn(&mut C),
}

impl<C> Checkout<C> {
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

impl<C> Deref for Checkout<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.conn
    }
}

impl<C> DerefMut for Checkout<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.conn
    }
}

impl<C> Drop for Checkout<C> {
    fn drop(&mut self) {
        // During a panic the connection may be unable to discard itself. Pools detect a panic by themselves.
        if !self.is_idle && !std::thread::panicking() {
            (self.discard)(&mut self.conn);
        }
    }
}
