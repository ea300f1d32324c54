//! The names that are locked.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many names are in use.
pub const NAMES: u32 = 10_000;

/// How many digits a name has.
pub const DIGITS: usize = 7;

pub fn name(number: usize) -> String {
    format!("name-{number:0DIGITS$}")
}

/// One client's share of the names, in an order that no page and no cache likes: nobody contends for them.
pub struct Share {
    first: usize,
    size: usize,
    next: AtomicUsize,
}

impl Share {
    pub fn of(client: usize, clients: usize) -> Self {
        let size = NAMES as usize / clients;
        Self {
            first: client * size,
            size,
            next: AtomicUsize::new(0),
        }
    }

    pub fn next(&self) -> String {
        const STRIDE: usize = 7_919;
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        name(self.first + turn * STRIDE % self.size)
    }
}
