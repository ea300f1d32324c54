//! Which locks somebody presumably holds, as far as this process has seen.
//!
//! On MySQL and MariaDB a free lock is acquired fastest if the first statement writes. If the lock is held, that statement
//! is in vain. So the first statement of a try for a lock that is presumably held only looks.
//!
//! A presumption only chooses the first statement. It never is an answer, and a wrong one costs one or two statements. So
//! it may be forgotten, and locks of two databases may share one.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Moment;
use crate::lock::Lock;
use crate::managed::locked;

/// Until when locks are presumably held, by the hashes of their keys.
static HELD: Mutex<BTreeMap<u64, Moment>> = Mutex::new(BTreeMap::new());

/// How many are remembered.
const MOST: usize = 10_000;

/// A waiter that polls when a lease ends still looks first.
const MARGIN: Duration = Duration::from_secs(1);

pub(super) fn is_held(lock: &Lock) -> bool {
    let until = locked(&HELD).get(&hash(lock)).copied();
    until.is_some_and(|until| Moment::now() < until)
}

/// Somebody holds the lock for this time, or longer.
pub(super) fn note_held(lock: &Lock, time: Duration) {
    let (mut held, now) = (locked(&HELD), Moment::now());
    if held.len() >= MOST {
        held.retain(|_, until| now < *until);
    }
    if held.len() >= MOST {
        held.clear();
    }
    held.insert(hash(lock), now.after(time).after(MARGIN));
}

pub(super) fn note_free(lock: &Lock) {
    locked(&HELD).remove(&hash(lock));
}

fn hash(lock: &Lock) -> u64 {
    let mut hasher = DefaultHasher::new();
    lock.key().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{HELD, MOST, is_held, note_free, note_held};
    use crate::lock::Lock;
    use crate::managed::locked;

    #[test]
    fn a_lock_is_presumably_held_until_somebody_says_otherwise_and_few_are_remembered() {
        let lock = Lock::new("x").unwrap();
        assert!(!is_held(&lock));
        note_held(&lock, Duration::ZERO);
        assert!(is_held(&lock), "for a moment longer than its lease");
        note_free(&lock);
        assert!(!is_held(&lock));
        for name in 0..2 * MOST {
            let lock = Lock::new(name.to_string()).unwrap();
            note_held(&lock, lock.ttl);
            assert!(is_held(&lock));
        }
        assert!(locked(&HELD).len() <= MOST);
    }
}
