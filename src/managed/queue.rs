//! The waiters of this process for the same lock: first come, first served.
//!
//! Only the first waiter of a queue asks the database, so a thousand waiters cost the database as much as one. A waiter
//! that leaves wakes the next waiter, for two reasons. A waiter that leaves without the lock may have been woken by a
//! release that it did not use. If a waiter leaves with the lock, the next waiter begins to poll, although it will
//! probably be notified.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use super::bell::Bell;
use super::locked;
use super::turn::{LONGEST_GAP, Standing, Turn};
use crate::clock::Moment;
use crate::holder::Holder;
use crate::lock::Lock;

/// The queues of a `Locker`, by lock.
#[derive(Debug, Default)]
pub(crate) struct Queues(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    queues: HashMap<Arc<str>, Queue>,
    /// The queues that are kept for a moment although nobody waits, and until when: the process is in its turn, or has
    /// marked the row.
    kept: VecDeque<(Arc<str>, Moment)>,
}

#[derive(Debug)]
struct Queue {
    /// The bells of the waiters, in the order in which the waiters came.
    waiting: BTreeMap<u64, Arc<Bell>>,
    came: u64,
    /// What the first waiter has seen.
    seen: Seen,
    /// Whether a waiter of this queue has just acquired the lock: the next waiter need not ask for it now.
    taken_here: bool,
    /// The fence with which this process holds the lock, if it holds it.
    held_here: Option<i64>,
    /// The fence of the holder whose release the database announces, and until when.
    announced: Option<(i64, Moment)>,
    standing: Standing,
}

/// What a try in vain has seen.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Busy(Option<Holder>),
    /// The lock is free, and another process is to have it first.
    NotInTurn,
}

impl Seen {
    pub(crate) fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Busy(holder) => holder.as_ref(),
            Self::NotInTurn => None,
        }
    }
}

/// A waiter's place in a queue. The waiter leaves the queue when its ticket is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// `None`: this waiter always asks the database.
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
        let (key, bell, now) = (key(lock), Arc::new(Bell::default()), Moment::now());
        let mut all = locked(&self.0);
        all.forget(now);
        let (key, queue) = all.queue(key, now);
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

    /// Notes that this process holds the lock with this fence.
    pub(crate) fn held(&self, lock: &Lock, fence: i64) {
        if let Some(queue) = locked(&self.0).queues.get_mut(&*key(lock)) {
            queue.held_here = Some(fence);
        }
    }

    /// Notes that this process has released the lock.
    pub(crate) fn released(&self, lock: &Lock) {
        if let Some(queue) = locked(&self.0).queues.get_mut(&*key(lock)) {
            queue.released();
        }
    }

    /// Notes that this process has released the lock, and may go on with its turn.
    pub(crate) fn released_in(&self, turn: Turn, lock: &Lock) {
        let now = Moment::now();
        let mut all = locked(&self.0);
        all.forget(now);
        let (key, queue) = all.queue(key(lock), now);
        queue.standing.released(turn, now);
        queue.released();
        if queue.waiting.is_empty() {
            all.keep(key, now);
        }
    }

    /// Notes that a lock of this key was released, by any process and in any table.
    pub(crate) fn announced(&self, name: &str) {
        for (key, queue) in &mut locked(&self.0).queues {
            if key.split_once(BETWEEN).is_some_and(|(_, it)| it == name) {
                queue.taken_here = false;
                queue.wake_first();
            }
        }
    }

    /// Wakes the first waiter of each queue, because announcements may have been missed.
    pub(crate) fn wake_all(&self) {
        for queue in locked(&self.0).queues.values_mut() {
            queue.announced = None;
            queue.taken_here = false;
            queue.wake_first();
        }
    }

    /// Wakes all waiters, because nothing is acquired any more.
    pub(crate) fn end(&self) {
        for queue in locked(&self.0).queues.values() {
            queue.waiting.values().for_each(|bell| bell.ring());
        }
    }

    /// Whether nobody waits.
    pub(crate) fn are_empty(&self) -> bool {
        let all = locked(&self.0);
        all.queues.values().all(|queue| queue.waiting.is_empty())
    }
}

impl Inner {
    /// The queue of this key, which is a new one if there is none.
    fn queue(&mut self, key: String, now: Moment) -> (Arc<str>, &mut Queue) {
        let known = self.queues.get_key_value(&*key).map(|(key, _)| key.clone());
        let key: Arc<str> = known.unwrap_or_else(|| key.into());
        let queue = self.queues.entry(key.clone());
        (key, queue.or_insert_with(|| Queue::new(now)))
    }

    /// Keeps a queue in which nobody waits for a moment.
    fn keep(&mut self, key: Arc<str>, now: Moment) {
        self.kept.push_back((key, now.after(LONGEST_GAP)));
    }

    /// Removes the queues that were kept long enough.
    fn forget(&mut self, now: Moment) {
        let past = self.kept.partition_point(|(_, until)| *until <= now);
        for (key, _) in self.kept.drain(..past) {
            if self
                .queues
                .get(&key)
                .is_some_and(|queue| queue.is_over(now))
            {
                self.queues.remove(&key);
            }
        }
    }
}

impl Queue {
    fn new(now: Moment) -> Self {
        Self {
            waiting: BTreeMap::new(),
            came: 0,
            seen: Seen::Busy(None),
            taken_here: false,
            held_here: None,
            announced: None,
            standing: Standing::new(now),
        }
    }

    fn is_over(&self, now: Moment) -> bool {
        self.waiting.is_empty() && self.standing.has_lapsed(now)
    }

    /// Whether this process holds the lock with this fence, or has just released it.
    fn holds(&self, fence: i64) -> bool {
        self.held_here == Some(fence) || self.standing.was_held_with(fence)
    }

    fn released(&mut self) {
        self.taken_here = false;
        self.held_here = None;
        self.wake_first();
    }

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

    pub(crate) fn is_alone(&self) -> bool {
        self.place.is_none()
    }

    pub(crate) fn is_first(&self) -> bool {
        self.with(true, Queue::is_first)
    }

    /// Whether this waiter is to ask the database now. Only the first waiter of the queue asks, and it does not ask
    /// right after another waiter of the queue acquired the lock. On its last try every waiter asks while the lock is left
    /// to another process, because no wait ends in vain while the lock is free.
    pub(crate) fn is_to_ask(&self, is_last_try: bool) -> bool {
        self.with(true, |queue, number| {
            queue.is_first(number) && !std::mem::take(&mut queue.taken_here)
                || is_last_try && matches!(queue.seen, Seen::NotInTurn)
        })
    }

    /// Notes what this waiter has seen.
    pub(crate) fn note(&self, seen: &Seen) {
        self.with((), |queue, _| {
            queue.seen = seen.clone();
            if let Some(holder) = seen.holder().filter(|holder| !queue.holds(holder.fence)) {
                queue.standing.saw_other(holder, Moment::now());
            }
        });
    }

    /// What the first waiter of the queue has seen.
    pub(crate) fn seen(&self) -> Seen {
        self.with(Seen::Busy(None), |queue, _| queue.seen.clone())
    }

    /// Whether this process itself holds the lock with the fence of this holder, or has just released it.
    pub(crate) fn is_held_here(&self, holder: &Holder) -> bool {
        self.with(false, |queue, _| queue.holds(holder.fence))
    }

    /// Whether the database announces the release of this holder.
    pub(crate) fn is_announced(&self, holder: &Holder, now: Moment) -> bool {
        self.with(false, |queue, _| {
            let announced = queue.announced;
            announced.is_some_and(|(fence, until)| fence == holder.fence && until > now)
        })
    }

    pub(crate) fn note_announced(&self, holder: &Holder, until: Moment) {
        self.with((), |queue, _| {
            queue.announced = Some((holder.fence, until));
        });
    }

    /// The mark that this process is to make in the time of this holder, if it is to make one.
    pub(crate) fn mark(&self, holder: &Holder) -> Option<i64> {
        self.with(None, |queue, _| queue.standing.mark(holder))
    }

    pub(crate) fn note_marked(&self, holder: &Holder) {
        self.with((), |queue, _| queue.standing.note_marked(holder));
    }

    /// Since when this process counts as waiting, by the database's clock; `None` outside of every queue.
    pub(crate) fn counts_since(&self) -> Option<i64> {
        let now = Moment::now();
        self.with(None, |queue, _| Some(queue.standing.counts_since(now)))
    }

    /// Notes that the waiter leaves with the lock. Returns the turn in which it holds the lock.
    pub(crate) fn win(&mut self, fence: i64) -> Option<Turn> {
        self.won = Some(fence);
        let now = Moment::now();
        self.with(None, |queue, _| Some(queue.standing.acquired(fence, now)))
    }

    fn with<T>(&self, alone: T, f: impl FnOnce(&mut Queue, u64) -> T) -> T {
        let Some(place) = &self.place else {
            return alone;
        };
        match locked(&place.queues.0).queues.get_mut(&*place.queue) {
            Some(queue) => f(queue, place.number),
            None => alone,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(place) = &self.place else { return };
        let all = &mut *locked(&place.queues.0);
        let Some(queue) = all.queues.get_mut(&*place.queue) else {
            return;
        };
        let was_first = queue.is_first(place.number);
        queue.waiting.remove(&place.number);
        if queue.waiting.is_empty() {
            if queue.standing.has_marked() {
                all.keep(place.queue.clone(), Moment::now());
            } else {
                all.queues.remove(&*place.queue);
            }
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

    use super::{Queues, Seen};
    use crate::clock::Moment;
    use crate::holder::tests::holder;
    use crate::lock::Lock;
    use crate::managed::turn::LONGEST_GAP;
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
        assert!(!two.is_to_ask(false) && two.is_to_ask(false));
        let three = queues.join(&lock);
        two.won = Some(2);
        drop(two);
        queues.released(&lock);
        assert!(three.is_to_ask(false));
    }

    /// The machine may be slower than the gap that ends a turn, but not each time.
    fn assert_once(happens: impl Fn() -> bool) {
        assert!((0..20).any(|_| happens()));
    }

    #[test]
    fn a_turn_goes_on_though_nobody_waits_for_a_moment() {
        assert_once(|| {
            let (queues, lock) = (Arc::new(Queues::default()), Lock::new("x").unwrap());
            let turn = queues.join(&lock).win(1).unwrap();
            queues.released_in(turn, &lock);
            queues.join(&lock).win(2).unwrap().began == turn.began
        });
    }

    #[test]
    fn a_queue_whose_turn_is_over_is_forgotten() {
        let (queues, lock) = (Arc::new(Queues::default()), Lock::new("x").unwrap());
        let turn = queues.join(&lock).win(1).unwrap();
        queues.released_in(turn, &lock);
        assert!(queues.are_empty());
        let mut all = queues.0.lock().unwrap();
        assert_eq!(all.queues.len(), 1);
        all.forget(Moment::now().after(LONGEST_GAP * 2));
        assert!(all.queues.is_empty() && all.kept.is_empty());
    }

    #[test]
    fn a_process_that_has_marked_the_row_has_waited_since_before_its_next_wait() {
        assert_once(|| {
            let (queues, lock) = (Arc::new(Queues::default()), Lock::new("x").unwrap());
            let one = queues.join(&lock);
            one.note(&Seen::Busy(Some(holder(1))));
            one.note(&Seen::Busy(Some(holder(2))));
            one.note_marked(&holder(2));
            let since = one.counts_since();
            drop(one);
            queues.join(&lock).counts_since() == since
        });
    }

    #[test]
    fn a_process_is_not_passed_over_by_itself() {
        let (queues, lock) = (Arc::new(Queues::default()), Lock::new("x").unwrap());
        let one = queues.join(&lock);
        for fence in [1, 2, 3] {
            queues.held(&lock, fence);
            one.note(&Seen::Busy(Some(holder(fence))));
            assert_eq!(one.mark(&holder(fence)), None);
        }
        one.note(&Seen::Busy(Some(holder(4))));
        one.note(&Seen::Busy(Some(holder(5))));
        assert!(one.mark(&holder(5)).is_some());
    }

    #[test]
    fn while_the_lock_is_left_to_others_every_waiter_asks_on_its_last_try() {
        let (queues, lock) = (Arc::new(Queues::default()), Lock::new("x").unwrap());
        let (one, two) = (queues.join(&lock), queues.join(&lock));
        one.note(&Seen::Busy(None));
        assert!(!two.is_to_ask(true));
        one.note(&Seen::NotInTurn);
        assert!(two.is_to_ask(true) && !two.is_to_ask(false));
    }

    #[test]
    fn each_lock_has_a_queue_of_its_own_and_none_is_left_behind() {
        let queues = Arc::new(Queues::default());
        let here = Lock::new("x").unwrap();
        let there = here.clone().in_table(Table::new("other").unwrap());
        let (one, two) = (queues.join(&here), queues.join(&there));
        assert!(one.is_first() && two.is_first());
        drop((one, two));
        assert!(queues.0.lock().unwrap().queues.is_empty());
    }
}
