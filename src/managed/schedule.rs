//! When each lease is extended, by a clock that the caller reads. No I/O.
//!
//! Leases share beats: when one lease is due, all leases past the middle of their interval are extended with it. So an
//! interval has at most two beats, no matter when the leases were acquired, and n leases cost n / 1,000 statements.
//!
//! The extension of a lease is not asked for again before there was an answer, or time enough for one.
//!
//! The schedule remembers the earliest beat and the earliest deadline as lower bounds. So a look at the clock, which is
//! frequent, seldom visits all leases.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::held_lease::HeldLease;
use crate::clock::Moment;
use crate::lock::Lock;

#[derive(Debug, Default)]
pub(crate) struct Schedule {
    leases: HashMap<u64, Entry>,
    numbers: u64,
    /// No lease is due before this moment.
    next_beat: Option<Moment>,
    /// No lease reaches its deadline before this moment.
    next_end: Option<Moment>,
}

#[derive(Debug)]
struct Entry {
    held: Arc<HeldLease>,
    every: Duration,
    /// When to ask for the extension. After it was asked for: when to ask again if no answer has come.
    due: Moment,
    asked: bool,
}

/// A lease that is due.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) number: u64,
    pub(crate) held: Arc<HeldLease>,
}

/// The result of a look at the schedule.
#[derive(Debug, Default)]
pub(crate) struct Beat {
    /// The leases to extend now.
    pub(crate) due: Vec<Due>,
    /// The leases whose extension was not answered in time.
    pub(crate) unanswered: Vec<Due>,
    /// The timeout for a connection, and for an answer.
    pub(crate) patience: Duration,
}

impl Schedule {
    pub(crate) fn add(&mut self, held: Arc<HeldLease>, every: Duration, now: Moment) -> u64 {
        self.numbers += 1;
        let due = now.after(every);
        self.next_beat = earlier(self.next_beat, Some(due));
        self.next_end = earlier(self.next_end, held.deadline());
        let entry = Entry {
            held,
            every,
            due,
            asked: false,
        };
        self.leases.insert(self.numbers, entry);
        self.numbers
    }

    pub(crate) fn remove(&mut self, number: u64) {
        self.leases.remove(&number);
    }

    pub(crate) fn remove_all(&mut self) -> Vec<Arc<HeldLease>> {
        self.leases.drain().map(|(_, entry)| entry.held).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// Takes the leases to extend now, and the leases whose extension is to be tried again.
    pub(crate) fn beat(&mut self, now: Moment) -> Beat {
        if self.next_beat.is_none_or(|next| now < next) {
            return Beat::default();
        }
        let is_ready =
            |entry: &Entry| !entry.asked && entry.due <= now && !entry.held.is_pinned_by_writing();
        let is_time = self.leases.values().any(is_ready);
        let mut beat = Beat::default();
        for (number, entry) in &mut self.leases {
            if !entry.asked && entry.held.is_pinned_by_writing() {
                entry.due = entry.due.max(now.after(entry.every)); // and at once when the transaction ends
                continue;
            }
            let due = || Due {
                number: *number,
                held: entry.held.clone(),
            };
            let patience = patience(entry.held.deadline(), now);
            if entry.asked && entry.due <= now {
                beat.unanswered.push(due());
                beat.patience = beat.patience.max(patience);
                entry.asked = false;
            } else if !entry.asked && is_time && entry.due <= now.after(entry.every / 2) {
                beat.due.push(due());
                beat.patience = beat.patience.max(patience);
                entry.asked = true;
                entry.due = now.after(patience);
            }
        }
        self.next_beat = self.leases.values().map(|entry| entry.due).min();
        beat
    }

    /// Notes that the lease was extended by a request that was sent at that moment.
    pub(crate) fn extended(&mut self, number: u64, sent: Moment) {
        if let Some(every) = self.leases.get(&number).map(|entry| entry.every) {
            self.again(number, sent.after(every));
        }
    }

    /// Sets when to ask for the next extension of the lease; `false` if the lease is not kept any more.
    pub(crate) fn again(&mut self, number: u64, at: Moment) -> bool {
        let Some(entry) = self.leases.get_mut(&number) else {
            return false;
        };
        entry.due = at;
        entry.asked = false;
        self.next_beat = earlier(self.next_beat, Some(at));
        true
    }

    /// Makes the leases of this lock due now.
    pub(crate) fn hurry(&mut self, lock: &Lock, now: Moment) {
        let of_lock = |entry: &&mut Entry| {
            let held = entry.held.lock();
            held.key() == lock.key() && held.table == lock.table
        };
        for entry in self.leases.values_mut().filter(of_lock) {
            entry.due = now;
            entry.asked = false;
            self.next_beat = Some(now);
        }
    }

    /// Changes the interval at which a lease is extended, from now on.
    pub(crate) fn change(&mut self, number: u64, every: Duration, now: Moment) {
        if let Some(entry) = self.leases.get_mut(&number) {
            entry.every = every;
        }
        self.again(number, now.after(every));
    }

    /// Notes that a pin has ended. The lease is extended at once if less than an interval is left until its deadline, or
    /// if it was left out of the beats meanwhile.
    pub(crate) fn unpinned(&mut self, number: u64, now: Moment) {
        let Some(entry) = self.leases.get(&number) else {
            return;
        };
        let deadline = entry.held.deadline();
        self.next_end = earlier(self.next_end, deadline);
        if until(deadline, now) < entry.every || entry.held.pins_by_writing() {
            self.again(number, now);
        }
    }

    /// The interval at which a lease is extended.
    pub(crate) fn every(&self, number: u64) -> Duration {
        let entry = self.leases.get(&number);
        entry.map_or(Duration::ZERO, |entry| entry.every)
    }

    /// Takes out the leases that are over now.
    pub(crate) fn ended(&mut self, now: Moment) -> Vec<Arc<HeldLease>> {
        if self.next_end.is_none_or(|next| now < next) {
            return Vec::new();
        }
        let mut ended = Vec::new();
        self.leases.retain(|_, entry| {
            let goes_on = entry.held.goes_on();
            if !goes_on {
                ended.push(entry.held.clone());
            }
            goes_on
        });
        let deadlines = self.leases.values().map(|entry| entry.held.deadline());
        self.next_end = deadlines.fold(None, earlier);
        ended
    }

    /// For at least this time there is no beat.
    pub(crate) fn until_beat(&self, now: Moment) -> Duration {
        until(self.next_beat, now)
    }

    /// For at least this time no lease reaches its deadline.
    pub(crate) fn until_end(&self, now: Moment) -> Duration {
        until(self.next_end, now)
    }
}

/// The timeout for an answer: half of the time that is left, so that there is time to ask again.
fn patience(deadline: Option<Moment>, now: Moment) -> Duration {
    const LONGEST: Duration = Duration::from_secs(10);
    const SHORTEST: Duration = Duration::from_millis(50);
    (until(deadline, now) / 2).clamp(SHORTEST, LONGEST)
}

fn until(moment: Option<Moment>, now: Moment) -> Duration {
    moment.map_or(Duration::MAX, |moment| moment.since(now))
}

fn earlier(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Due, Schedule};
    use crate::clock::Moment;
    use crate::lease::Lease;
    use crate::lock::Lock;
    use crate::managed::event::Observer;
    use crate::managed::held_lease::{HeldLease, Pinning};
    use crate::token::Token;

    const TTL: Duration = Duration::from_secs(30);
    const EVERY: Duration = Duration::from_secs(10);

    /// A lease that is trusted for 29 seconds from this moment on.
    fn kept(sent: Moment) -> Arc<HeldLease> {
        let lock = Lock::new("x").unwrap().with_ttl(TTL).unwrap();
        let lease = Lease::new(&lock, Token::new("t").unwrap(), 1, sent);
        Arc::new(HeldLease::new(
            lease,
            Duration::ZERO,
            None,
            Pinning::default(),
            Observer::default(),
        ))
    }

    /// A schedule with this number of leases, acquired one second after another, and a clock.
    fn schedule(leases: u64) -> (Schedule, impl Fn(u64) -> Moment) {
        let start = Moment::now();
        let at = move |second| start.after(Duration::from_secs(second));
        let mut schedule = Schedule::default();
        for second in 0..leases {
            schedule.add(kept(at(second)), EVERY, at(second));
        }
        (schedule, at)
    }

    fn numbers(due: &[Due]) -> Vec<u64> {
        let mut numbers: Vec<u64> = due.iter().map(|due| due.number).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let (mut schedule, at) = schedule(1);
        assert_eq!(schedule.until_beat(at(4)), Duration::from_secs(6));
        assert!(schedule.beat(at(9)).due.is_empty());
        assert_eq!(numbers(&schedule.beat(at(10)).due), [1]);
    }

    #[test]
    fn those_past_the_middle_of_their_interval_share_the_beat() {
        let (mut schedule, at) = schedule(9);
        // Lease 6 was acquired at second 5, and has reached the middle of its interval at second 10. Lease 7 has not.
        assert_eq!(numbers(&schedule.beat(at(10)).due), [1, 2, 3, 4, 5, 6]);
        for number in 1..=6 {
            schedule.extended(number, at(10));
        }
        assert_eq!(
            numbers(&schedule.beat(at(16)).due),
            [1, 2, 3, 4, 5, 6, 7, 8, 9]
        );
    }

    #[test]
    fn what_was_asked_for_is_not_asked_for_again_before_there_was_time_for_an_answer() {
        let (mut schedule, at) = schedule(1);
        let beat = schedule.beat(at(10));
        // 19 seconds are left: half of that is time for an answer.
        assert_eq!(beat.patience, Duration::from_millis(9_500));
        assert!(schedule.beat(at(19)).due.is_empty());
        let later = schedule.beat(at(20));
        assert_eq!(numbers(&later.unanswered), [1]);
        assert!(later.due.is_empty(), "it is tried again when that is said");
        assert!(schedule.again(1, at(21)));
        assert_eq!(numbers(&schedule.beat(at(21)).due), [1]);
    }

    #[test]
    fn who_has_left_is_not_tried_again() {
        let (mut schedule, at) = schedule(1);
        schedule.remove(1);
        assert!(!schedule.again(1, at(1)));
        assert!(schedule.is_empty() && schedule.beat(at(60)).due.is_empty());
    }

    #[test]
    fn a_pin_that_ends_with_little_left_is_followed_by_a_beat() {
        let (mut schedule, at) = schedule(1);
        schedule.extended(1, at(0));
        schedule.unpinned(1, at(12));
        assert!(schedule.beat(at(9)).due.is_empty());
        schedule.extended(1, at(15));
        schedule.unpinned(1, at(22)); // 7 seconds are left, less than the interval
        assert_eq!(numbers(&schedule.beat(at(22)).due), [1]);
    }
}
