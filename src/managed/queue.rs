//! The waiters of this process for the same lock: first come, first served.
//!
//! Only the first waiter of a queue asks the database, so a thousand waiters cost the database as much as one. A waiter
//! that leaves wakes the next waiter, for two reasons. A waiter that leaves without the lock may have been woken by a
//! release that it did not use. If a waiter leaves with the lock, the next waiter begins to poll, although it will
//! probably be notified.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::bell::Bell;
use super::locked;
use crate::clock::Moment;
use crate::holder::Holder;
use crate::lock::Lock;

/// The queues of a `Locker`, by lock.
#[derive(Debug, Default)]
pub(crate) struct Queues(Mutex<HashMap<Arc<str>, Queue>>);

#[derive(Debug, Default)]
struct Queue {
    /// The bells of the waiters, in the order in which the waiters came.
    waiting: BTreeMap<u64, Arc<Bell>>,
    came: u64,
    /// The holder that the database named to the first waiter.
    holder: Option<Holder>,
    /// Whether a waiter of this queue has just acquired the lock: the next waiter need not ask for it now.
    taken_here: bool,
    /// The fence with which this process holds the lock, if it holds it.
    held_here: Option<i64>,
    /// The fence of the holder whose release the database announces, and until when.
    announced: Option<(i64, Moment)>,
}

/// A waiter's place in a queue. The waiter leaves the queue when its ticket is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// `None`: it is always this waiter's turn.
    place: Option<Place>,
    pub(crate) bell: Arc<Bell>,
    /// The fence, if the waiter leaves with the lock.
    pub(crate) won: Option<i64>,
}

#[derive(Debug)]
struct Place {
    queues: Arc<Queues>,
    queue: Arc<str>,
    number: u64,
}

impl Queues {
    pub(crate) fn join(self: &Arc<Self>, lock: &Lock) -> Ticket {
        let (key, bell) = (key(lock), Arc::new(Bell::default()));
        let mut queues = locked(&self.0);
        let known = queues.get_key_value(&*key).map(|(key, _)| key.clone());
        let key: Arc<str> = known.unwrap_or_else(|| key.into());
        let queue = queues.entry(key.clone()).or_default();
        queue.came += 1;
        queue.waiting.insert(queue.came, bell.clone());
        let place = Place {
            number: queue.came,
            queues: self.clone(),
            queue: key,
        };
        Ticket {
            place: Some(place),
            bell,
            won: None,
        }
    }

    /// Notes that this process has released the lock.
    pub(crate) fn released(&self, lock: &Lock) {
        if let Some(queue) = locked(&self.0).get_mut(&*key(lock)) {
            queue.taken_here = false;
            queue.held_here = None;
            queue.wake_first();
        }
    }

    /// Notes that a lock of this key was released, by any process and in any table.
    pub(crate) fn announced(&self, name: &str) {
        for (key, queue) in &mut *locked(&self.0) {
            if key.split_once(BETWEEN).is_some_and(|(_, it)| it == name) {
                queue.taken_here = false;
                queue.wake_first();
            }
        }
    }

    /// Wakes the first waiter of each queue, because announcements may have been missed.
    pub(crate) fn wake_all(&self) {
        let mut queues = locked(&self.0);
        for queue in queues.values_mut() {
            queue.announced = None;
            queue.taken_here = false;
            queue.wake_first();
        }
    }

    /// Wakes all waiters, because nothing is acquired any more.
    pub(crate) fn end(&self) {
        for queue in locked(&self.0).values() {
            queue.waiting.values().for_each(|bell| bell.ring());
        }
    }

    pub(crate) fn are_empty(&self) -> bool {
        locked(&self.0).is_empty()
    }
}

impl Queue {
    fn is_first(&mut self, number: u64) -> bool {
        self.waiting.keys().next() == Some(&number)
    }

    fn wake_first(&self) {
        if let Some(bell) = self.waiting.values().next() {
            bell.ring();
        }
    }
}

impl Ticket {
    /// A ticket outside of every queue.
    pub(crate) fn alone() -> Self {
        Self {
            place: None,
            bell: Arc::default(),
            won: None,
        }
    }

    pub(crate) fn is_in_queue(&self) -> bool {
        self.place.is_some()
    }

    pub(crate) fn is_first(&self) -> bool {
        self.with(true, Queue::is_first)
    }

    /// Whether this waiter is to ask the database now. Only the first waiter of the queue asks, and it does not ask
    /// right after another waiter of the queue acquired the lock.
    pub(crate) fn takes_turn(&self) -> bool {
        self.with(true, |queue, number| {
            queue.is_first(number) && !std::mem::take(&mut queue.taken_here)
        })
    }

    /// Notes which holder the database named to the first waiter.
    pub(crate) fn note(&self, holder: Option<&Holder>) {
        self.with((), |queue, _| queue.holder = holder.cloned());
    }

    pub(crate) fn holder(&self) -> Option<Holder> {
        self.with(None, |queue, _| queue.holder.clone())
    }

    /// Whether the queue is told when this holder releases the lock, by this process or by the database.
    pub(crate) fn is_announced(&self, holder: &Holder, now: Moment) -> bool {
        self.with(false, |queue, _| {
            let announced = queue.announced;
            queue.held_here == Some(holder.fence)
                || announced.is_some_and(|(fence, until)| fence == holder.fence && until > now)
        })
    }

    pub(crate) fn note_announced(&self, holder: &Holder, until: Moment) {
        self.with((), |queue, _| {
            queue.announced = Some((holder.fence, until));
        });
    }

    fn with<T>(&self, alone: T, f: impl FnOnce(&mut Queue, u64) -> T) -> T {
        let Some(place) = &self.place else {
            return alone;
        };
        match locked(&place.queues.0).get_mut(&*place.queue) {
            Some(queue) => f(queue, place.number),
            None => alone,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(place) = &self.place else { return };
        let mut queues = locked(&place.queues.0);
        let Some(queue) = queues.get_mut(&*place.queue) else {
            return;
        };
        let was_first = queue.is_first(place.number);
        queue.waiting.remove(&place.number);
        if queue.waiting.is_empty() {
            queues.remove(&*place.queue);
        } else if was_first {
            queue.taken_here = self.won.is_some();
            queue.held_here = self.won;
            queue.wake_first();
        }
    }
}

/// Separates table and key: no identifier and no name contains this character.
const BETWEEN: char = '\0';

/// The key of a lock's queue. It contains the table, because locks of the same name in two tables are two locks.
fn key(lock: &Lock) -> String {
    format!("{}{BETWEEN}{}", lock.table.quoted(), lock.key())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Queues;
    use crate::lock::Lock;
    use crate::table::Table;

    #[test]
    fn the_first_who_came_is_first_and_is_woken_by_a_release() {
        let (queues, lock) = (Arc::new(Queues::default()), Lock::new("x").unwrap());
        let (one, two) = (queues.join(&lock), queues.join(&lock));
        assert!(one.is_first() && !two.is_first());
        queues.released(&lock);
        assert_eq!((one.bell.rings(), two.bell.rings()), (1, 0));
    }

    #[test]
    fn who_leaves_without_the_lock_wakes_the_next() {
        let (queues, lock) = (Arc::new(Queues::default()), Lock::new("x").unwrap());
        let (one, two) = (queues.join(&lock), queues.join(&lock));
        drop(one);
        assert!(two.is_first());
        assert_eq!(two.bell.rings(), 1);
    }

    #[test]
    fn after_who_left_with_the_lock_the_next_asks_later_or_when_it_is_released() {
        let (queues, lock) = (Arc::new(Queues::default()), Lock::new("x").unwrap());
        let (mut one, mut two) = (queues.join(&lock), queues.join(&lock));
        one.won = Some(1);
        drop(one);
        assert!(two.is_first() && two.bell.rings() == 1);
        assert!(!two.takes_turn() && two.takes_turn());
        let three = queues.join(&lock);
        two.won = Some(2);
        drop(two);
        queues.released(&lock);
        assert!(three.takes_turn());
    }

    #[test]
    fn each_lock_has_a_queue_of_its_own_and_none_is_left_behind() {
        let queues = Arc::new(Queues::default());
        let here = Lock::new("x").unwrap();
        let there = here.clone().in_table(Table::new("other").unwrap());
        let (one, two) = (queues.join(&here), queues.join(&there));
        assert!(one.is_first() && two.is_first());
        drop((one, two));
        assert!(queues.0.lock().unwrap().is_empty());
    }
}
