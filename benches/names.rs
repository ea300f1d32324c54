//! The names of the locks.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of names.
pub const NAMES: u32 = 10_000;

/// The number of digits in a name.
pub const DIGITS: usize = 7;

pub fn name(number: usize) -> String {
    format!("name-{number:0DIGITS$}")
}

/// The names of one client, so that no two clients contend for a name. The order jumps between names, so that
/// neighbouring rows are not used one after the other.
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
