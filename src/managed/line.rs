//! Those of this process who wait for the same lock: first come, first served.
//!
//! Only the first of a line asks the database, so that a thousand who wait cost it as much as one. Whoever leaves
//! wakes the next: without the lock, because it may have been woken by a release that it did not use; with it, so
//! that the next begins to look in its own rhythm, although it will probably be told.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::bell::Bell;
use super::locked;
use crate::answer::Holder;
use crate::clock::Moment;
use crate::lock::Lock;

/// The lines of a `Locks`, by lock.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<HashMap<Arc<str>, Line>>);

#[derive(Debug, Default)]
struct Line {
    /// In the order in which they came.
    waiting: BTreeMap<u64, Arc<Bell>>,
    came: u64,
    /// Whom the first was told about.
    holder: Option<Holder>,
    /// Whether one of this line has just got the lock: the next need not ask for it now.
    taken_here: bool,
    /// The acquisition by which this process has it, if it has.
    held_here: Option<i64>,
    /// The database announces the release of this acquisition, until then.
    announced: Option<(i64, Moment)>,
}

/// A place in a line, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    lines: Arc<Lines>,
    line: Arc<str>,
    number: u64,
    pub(crate) bell: Arc<Bell>,
    /// The acquisition with which it leaves.
    pub(crate) won: Option<i64>,
}

impl Lines {
    pub(crate) fn join(self: &Arc<Self>, lock: &Lock) -> Place {
        let (key, bell) = (key(lock), Arc::new(Bell::default()));
        let mut lines = locked(&self.0);
        let known = lines.get_key_value(&*key).map(|(key, _)| key.clone());
        let key: Arc<str> = known.unwrap_or_else(|| key.into());
        let line = lines.entry(key.clone()).or_default();
        line.came += 1;
        line.waiting.insert(line.came, bell.clone());
        Place {
            number: line.came,
            lines: self.clone(),
            line: key,
            bell,
            won: None,
        }
    }

    /// The lock was released by this process.
    pub(crate) fn released(&self, lock: &Lock) {
        if let Some(line) = locked(&self.0).get_mut(&*key(lock)) {
            line.taken_here = false;
            line.held_here = None;
            line.wake_first();
        }
    }

    /// A lock of this key was released somewhere, in whatever table.
    pub(crate) fn announced(&self, name: &str) {
        for (key, line) in &mut *locked(&self.0) {
            if key.split_once(BETWEEN).is_some_and(|(_, it)| it == name) {
                line.taken_here = false;
                line.wake_first();
            }
        }
    }

    /// Announcements may have been missed.
    pub(crate) fn wake_all(&self) {
        let mut lines = locked(&self.0);
        for line in lines.values_mut() {
            line.announced = None;
            line.taken_here = false;
            line.wake_first();
        }
    }

    /// Nothing is acquired any more.
    pub(crate) fn end(&self) {
        for line in locked(&self.0).values() {
            line.waiting.values().for_each(|bell| bell.ring());
        }
    }

    pub(crate) fn are_empty(&self) -> bool {
        locked(&self.0).is_empty()
    }
}

impl Line {
    fn wake_first(&self) {
        if let Some(bell) = self.waiting.values().next() {
            bell.ring();
        }
    }
}

impl Place {
    pub(crate) fn is_first(&self) -> bool {
        self.with(|line| line.waiting.keys().next() == Some(&self.number))
    }

    /// Whether it is to ask the database now: the first, but not right after one of this line got the lock.
    pub(crate) fn takes_turn(&self) -> bool {
        self.with(|line| {
            let is_first = line.waiting.keys().next() == Some(&self.number);
            is_first && !std::mem::take(&mut line.taken_here)
        })
    }

    /// The first was told that this one holds the lock.
    pub(crate) fn note(&self, holder: Option<&Holder>) {
        self.with(|line| line.holder = holder.cloned());
    }

    pub(crate) fn holder(&self) -> Option<Holder> {
        self.with(|line| line.holder.clone())
    }

    /// Whether the line hears of it when this holder releases the lock, from this process or from the database.
    pub(crate) fn is_announced(&self, holder: &Holder, now: Moment) -> bool {
        self.with(|line| {
            if line.held_here == Some(holder.fence) {
                return true;
            }
            let announced = line.announced;
            announced.is_some_and(|(fence, until)| fence == holder.fence && until > now)
        })
    }

    pub(crate) fn note_announced(&self, holder: &Holder, until: Moment) {
        self.with(|line| line.announced = Some((holder.fence, until)));
    }

    fn with<T: Default>(&self, f: impl FnOnce(&mut Line) -> T) -> T {
        locked(&self.lines.0)
            .get_mut(&*self.line)
            .map(f)
            .unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = locked(&self.lines.0);
        let Some(line) = lines.get_mut(&*self.line) else {
            return;
        };
        let was_first = line.waiting.keys().next() == Some(&self.number);
        line.waiting.remove(&self.number);
        if line.waiting.is_empty() {
            lines.remove(&*self.line);
        } else if was_first {
            line.taken_here = self.won.is_some();
            line.held_here = self.won;
            line.wake_first();
        }
    }
}

/// No identifier and no name contains it.
const BETWEEN: char = '\0';

/// Locks of the same name in two tables are two locks.
fn key(lock: &Lock) -> String {
    format!("{}{BETWEEN}{}", lock.table.quoted(), lock.key())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Lines;
    use crate::lock::Lock;
    use crate::table::Table;

    #[test]
    fn the_first_who_came_is_first_and_is_woken_by_a_release() {
        let (lines, lock) = (Arc::new(Lines::default()), Lock::new("x").unwrap());
        let (one, two) = (lines.join(&lock), lines.join(&lock));
        assert!(one.is_first() && !two.is_first());
        lines.released(&lock);
        assert_eq!((one.bell.rings(), two.bell.rings()), (1, 0));
    }

    #[test]
    fn who_leaves_without_the_lock_wakes_the_next() {
        let (lines, lock) = (Arc::new(Lines::default()), Lock::new("x").unwrap());
        let (one, two) = (lines.join(&lock), lines.join(&lock));
        drop(one);
        assert!(two.is_first());
        assert_eq!(two.bell.rings(), 1);
    }

    #[test]
    fn after_who_left_with_the_lock_the_next_asks_later_or_when_it_is_released() {
        let (lines, lock) = (Arc::new(Lines::default()), Lock::new("x").unwrap());
        let (mut one, mut two) = (lines.join(&lock), lines.join(&lock));
        one.won = Some(1);
        drop(one);
        assert!(two.is_first() && two.bell.rings() == 1);
        assert!(!two.takes_turn() && two.takes_turn());
        let three = lines.join(&lock);
        two.won = Some(2);
        drop(two);
        lines.released(&lock);
        assert!(three.takes_turn());
    }

    #[test]
    fn each_lock_has_a_line_of_its_own_and_none_is_left_behind() {
        let lines = Arc::new(Lines::default());
        let here = Lock::new("x").unwrap();
        let there = here.clone().table(Table::new("other").unwrap());
        let (one, two) = (lines.join(&here), lines.join(&there));
        assert!(one.is_first() && two.is_first());
        drop((one, two));
        assert!(lines.0.lock().unwrap().is_empty());
    }
}
