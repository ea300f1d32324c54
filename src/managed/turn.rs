//! Turns between the processes that want the same lock.
//!
//! A release wakes the next waiter of the same process at once, while another process polls. So a process that always
//! has a waiter would keep the lock within itself for ever. Three rules prevent that:
//! - A process may keep the lock within itself for a second: that is its turn.
//! - A process that waits, and sees the lock go from one other holder to another, writes into the row since when it waits.
//!   That is its mark. The row keeps the earliest mark.
//! - A process does not acquire a lock that was just released if the row has the mark of a process that has waited longer.
//!   In its turn, a process counts as waiting since before its turn. The statements that acquire make the comparison.
//!
//! A mark counts after a release only for the time in which the process that made it polls at the latest. So a waiter that
//! gave up, or died, costs the others that time once. Turns decide who waits, never who holds: no promise depends on them.
//!
//! Moments that processes compare are moments of the database's clock. A process learns that clock from the first holder
//! that the database names.
//!
//! A transaction that has pinned the lease can be in the way of a mark. On MySQL and MariaDB the mark is then made beside the
//! row, and the release takes it along. On SQLite that transaction is the only writer of the database: there the mark
//! waits for as long as the connection's `busy_timeout` says.
//!
//! Only waits for one lock of a `Locker` take turns. A single try, the last try of a wait, a set of locks and a plain
//! connection do not. Two `Locker`s in one process are like two processes.

use std::time::Duration;

use crate::clock::Moment;
use crate::holder::Holder;
use crate::lock::micros;

/// How long a process keeps the lock within itself while another process waits.
const LONGEST: Duration = Duration::from_secs(1);

/// How long a process may do without the lock in its turn.
pub(super) const LONGEST_GAP: Duration = Duration::from_millis(250);

/// A process that has seen no holder has just come: every other process has waited longer.
const JUST_CAME: i64 = i64::MAX;

/// The turn of this process, from its first acquisition on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(super) began: Moment,
    /// Since when the process had waited when its turn began, by the database's clock.
    since: i64,
    /// The fence of the latest acquisition.
    fence: i64,
}

/// How this process stands among those that want the lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Since when this process has waited: since it came, or since it released the lock.
    came: Moment,
    /// The same moment by the database's clock, once it is known.
    since: Option<i64>,
    /// The fence of the latest holder in another process.
    other: Option<i64>,
    /// The fence of the holder in whose time this process has marked the row.
    marked: Option<i64>,
    /// Whether the lock went from one other holder to another while this process waited.
    was_passed_over: bool,
    /// The turn that goes on if this process acquires the lock now.
    turn: Option<Turn>,
}

impl Standing {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            came: now,
            since: None,
            other: None,
            marked: None,
            was_passed_over: false,
            turn: None,
        }
    }

    /// Since when this process counts as waiting, by the database's clock. In its turn, since before its turn.
    pub(super) fn counts_since(&self, now: Moment) -> i64 {
        match self.turn {
            Some(turn) if now.since(turn.began) < LONGEST && !self.has_lapsed(now) => turn.since,
            _ => self.since.unwrap_or(JUST_CAME),
        }
    }

    /// The mark that this process is to make in the time of this holder, if it was passed over and has not made it yet.
    pub(super) fn mark(&self, holder: &Holder) -> Option<i64> {
        let is_due = self.was_passed_over && self.marked != Some(holder.fence);
        self.since.filter(|_| is_due)
    }

    pub(super) fn note_marked(&mut self, holder: &Holder) {
        self.marked = Some(holder.fence);
    }

    /// Whether the row may have a mark of this process.
    pub(super) fn has_marked(&self) -> bool {
        self.marked.is_some()
    }

    /// The turn in which this process has just acquired the lock.
    pub(super) fn acquired(&mut self, fence: i64, now: Moment) -> Turn {
        let goes_on = self.turn.filter(|_| !self.has_lapsed(now));
        let turn = goes_on.unwrap_or(Turn {
            began: now,
            since: self.since.unwrap_or(JUST_CAME),
            fence,
        });
        *self = Self::new(now);
        Turn { fence, ..turn }
    }

    pub(super) fn released(&mut self, turn: Turn, now: Moment) {
        *self = Self::new(now);
        self.turn = Some(turn);
    }

    /// Notes that the database has named a holder in another process. That ends the turn. If the database's clock was set
    /// back meanwhile, the moment is learned again: otherwise everybody else would have waited longer.
    pub(super) fn saw_other(&mut self, holder: &Holder, now: Moment) {
        let (waited, seen_at) = (micros(now.since(self.came)), holder.seen_at());
        if self.since.is_none_or(|since| since > seen_at) {
            self.since = Some(seen_at.saturating_sub(waited));
        }
        let before = self.other.replace(holder.fence);
        self.was_passed_over |= before.is_some_and(|fence| fence != holder.fence);
        self.turn = None;
    }

    /// Whether this process has just released the lock with this fence.
    pub(super) fn was_held_with(&self, fence: i64) -> bool {
        self.turn.is_some_and(|turn| turn.fence == fence)
    }

    /// Whether there is no turn to go on with.
    pub(super) fn has_lapsed(&self, now: Moment) -> bool {
        self.turn.is_none() || now.since(self.came) >= LONGEST_GAP
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::{JUST_CAME, Standing};
    use crate::clock::Moment;
    use crate::holder::{self, Holder};

    fn at(ms: u64) -> Moment {
        Moment::default().after(Duration::from_millis(ms))
    }

    /// A holder with this fence, which was seen when the database's clock said this.
    fn holder(fence: i64, seen_at: i64) -> Holder {
        Holder {
            since: DateTime::from_timestamp_micros(seen_at).unwrap(),
            ..holder::tests::holder(fence)
        }
    }

    #[test]
    fn a_process_has_waited_since_it_came_whenever_it_learns_the_time() {
        let mut standing = Standing::new(at(100));
        assert_eq!(standing.counts_since(at(100)), JUST_CAME);
        standing.saw_other(&holder(1, 9_000_000), at(150));
        standing.saw_other(&holder(1, 9_999_999), at(500));
        assert_eq!(standing.counts_since(at(500)), 8_950_000);
    }

    #[test]
    fn a_process_marks_the_row_only_after_it_was_passed_over() {
        let mut standing = Standing::new(at(0));
        standing.saw_other(&holder(1, 9_000_000), at(0));
        standing.saw_other(&holder(1, 9_100_000), at(100));
        assert_eq!(standing.mark(&holder(1, 9_100_000)), None);
        let next = holder(2, 9_200_000);
        standing.saw_other(&next, at(200));
        assert_eq!(standing.mark(&next), Some(9_000_000));
        standing.note_marked(&next);
        assert_eq!(standing.mark(&next), None);
        assert_eq!(standing.mark(&holder(3, 9_300_000)), Some(9_000_000));
    }

    #[test]
    fn in_its_turn_a_process_has_waited_since_before_the_turn() {
        let mut standing = Standing::new(at(0));
        standing.saw_other(&holder(1, 9_000_000), at(0));
        let turn = standing.acquired(2, at(3_000));
        standing.released(turn, at(3_500));
        assert_eq!(standing.counts_since(at(3_500)), 9_000_000);
        let turn = standing.acquired(3, at(3_600));
        standing.released(turn, at(3_900));
        assert_eq!(standing.counts_since(at(3_999)), 9_000_000);
        assert_eq!(standing.counts_since(at(4_000)), JUST_CAME);
    }

    #[test]
    fn a_process_that_did_not_wait_leaves_the_lock_to_everybody_who_waits() {
        let mut standing = Standing::new(at(0));
        let turn = standing.acquired(1, at(0));
        standing.released(turn, at(10));
        assert_eq!(standing.counts_since(at(20)), JUST_CAME);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_process_the_last() {
        let mut standing = Standing::new(at(0));
        standing.saw_other(&holder(1, 9_000_000), at(0));
        standing.saw_other(&holder(2, 5_000_000), at(1_000));
        assert_eq!(standing.counts_since(at(1_000)), 4_000_000);
        standing.saw_other(&holder(3, 9_000_000), at(2_000));
        assert_eq!(standing.counts_since(at(2_000)), 4_000_000);
    }

    #[test]
    fn another_holder_ends_the_turn_and_so_does_a_pause() {
        let mut standing = Standing::new(at(0));
        standing.saw_other(&holder(1, 7_000_000), at(0));
        let turn = standing.acquired(2, at(0));
        standing.released(turn, at(100));
        assert_eq!(standing.counts_since(at(349)), 7_000_000);
        assert_eq!(standing.counts_since(at(350)), JUST_CAME);
        standing.saw_other(&holder(3, 9_000_000), at(110));
        assert_eq!(standing.counts_since(at(110)), 8_990_000);

        let turn = standing.acquired(4, at(5_000));
        standing.released(turn, at(5_100));
        assert_eq!(standing.acquired(5, at(5_400)).began, at(5_400));
    }
}
