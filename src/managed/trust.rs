//! How long a lease that is kept alive may be trusted, by a clock that the caller reads. No I/O.
//!
//! - Whether the lease may be trusted is computed from the clock at each question (I3).
//! - A lost lease never becomes held again. A question after the deadline ends the trust for ever. An extension that is
//!   answered later comes too late, whatever the row says.
//! - The deadline counts while a guarded transaction of the guard is open, too. The pin keeps other processes from taking
//!   the lock over, but a server can end the session of the pin, and this process may not hear of it: an idle transaction
//!   has a timeout, a network is cut, a server dies. From then on others can take the lock over. The commit fails then
//!   (I5), but work outside the database would go on.
//! - On SQLite a pin is a transaction inside this process: no server can end it. And no lease can be extended meanwhile. So
//!   there no deadline counts while a pin lasts. Two things end the trust even then: the longest time that the application
//!   has set, and a row that names another holder.

use std::time::Duration;

use crate::clock::Moment;

#[derive(Debug)]
pub(crate) struct Trust {
    trusted_until: Moment,
    /// When the trust ends, however often the lease is extended.
    ends: Option<Moment>,
    pins: u32,
    /// Whether a transaction has ever pinned the lease.
    was_pinned: bool,
    /// Whether a pin is trusted as long as it lasts: see [`Sql::PIN_ENDS_UNSEEN`](crate::dialect::Sql::PIN_ENDS_UNSEEN).
    trusts_pins: bool,
    over: bool,
}

impl Trust {
    pub(crate) fn new(trusted_until: Moment, ends: Option<Moment>, trusts_pins: bool) -> Self {
        Self {
            trusted_until,
            ends,
            pins: 0,
            was_pinned: false,
            trusts_pins,
            over: false,
        }
    }

    /// Decides whether the work may go on. Once the answer is `false`, it stays `false`.
    pub(crate) fn goes_on(&mut self, now: Moment) -> bool {
        self.over |= self.deadline().is_some_and(|deadline| now >= deadline);
        !self.over
    }

    /// When the trust ends if nothing happens before; `None` while no deadline counts.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        if self.pins > 0 && self.trusts_pins {
            return self.ends;
        }
        let ends = self.ends.unwrap_or(self.trusted_until);
        Some(self.trusted_until.min(ends))
    }

    /// Until when the database's answers allow trust. The trust itself may have ended already.
    pub(crate) fn until(&self) -> Moment {
        self.trusted_until
    }

    pub(crate) fn left(&mut self, now: Moment) -> Duration {
        if !self.goes_on(now) {
            return Duration::ZERO;
        }
        self.deadline()
            .map_or(Duration::MAX, |deadline| deadline.since(now))
    }

    /// Notes that the database has extended the lease; `false` if the answer came too late.
    pub(crate) fn extended(&mut self, now: Moment, until: Moment) -> bool {
        let goes_on = self.goes_on(now);
        if goes_on {
            self.trusted_until = self.trusted_until.max(until);
        }
        goes_on
    }

    /// Notes that a transaction has pinned the lease; `false` if that came too late.
    pub(crate) fn pinned(&mut self, now: Moment) -> bool {
        let goes_on = self.goes_on(now);
        self.pins += u32::from(goes_on);
        self.was_pinned = true;
        goes_on
    }

    /// Notes that a transaction with a pin has ended. It may have extended the lease.
    pub(crate) fn unpinned(&mut self, now: Moment, until: Moment) {
        self.goes_on(now); // a deadline that has passed counts, whether or not anybody asked
        self.trusted_until = self.trusted_until.max(until);
        self.pins -= 1;
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.pins > 0
    }

    pub(crate) fn was_pinned(&self) -> bool {
        self.was_pinned
    }

    /// Ends the trust: the row names another holder or none, or the lease is given back.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Trust;
    use crate::clock::Moment;

    /// Trust for 10 seconds, and a clock.
    fn trust() -> (Trust, impl Fn(u64) -> Moment) {
        let start = Moment::now();
        let at = move |second| start.after(Duration::from_secs(second));
        (Trust::new(at(10), None, false), at)
    }

    /// The same where a pin is trusted as long as it lasts.
    fn trust_that_trusts_pins(ends: Option<u64>) -> (Trust, impl Fn(u64) -> Moment) {
        let (_, at) = trust();
        (Trust::new(at(10), ends.map(&at), true), at)
    }

    #[test]
    fn it_is_over_at_its_deadline_and_not_before() {
        let (mut trust, at) = trust();
        assert!(trust.goes_on(at(9)));
        assert_eq!(trust.left(at(9)), Duration::from_secs(1));
        assert!(!trust.goes_on(at(10)));
        assert_eq!(trust.left(at(10)), Duration::ZERO);
    }

    #[test]
    fn an_extension_moves_the_deadline_and_never_back() {
        let (mut trust, at) = trust();
        assert!(trust.extended(at(3), at(13)));
        assert!(trust.extended(at(4), at(11)));
        assert!(trust.goes_on(at(12)) && !trust.goes_on(at(13)));
    }

    #[test]
    fn lost_never_becomes_held() {
        let (mut trust, at) = trust();
        assert!(!trust.extended(at(10), at(20)), "answered too late");
        assert!(!trust.goes_on(at(11)));
        assert!(!trust.pinned(at(11)));
        assert!(!trust.goes_on(at(5)), "not even if a clock goes back");
    }

    #[test]
    fn a_pin_does_not_outlast_the_deadline() {
        let (mut trust, at) = trust();
        assert!(trust.pinned(at(1)));
        assert_eq!(trust.left(at(4)), Duration::from_secs(6));
        assert!(trust.extended(at(4), at(14)) && trust.goes_on(at(13)));
        assert!(!trust.goes_on(at(14)));
        trust.unpinned(at(15), at(30));
        assert!(!trust.goes_on(at(15)), "not even if the commit extends it");
    }

    #[test]
    fn while_it_is_pinned_no_deadline_ends_it_where_a_pin_is_trusted() {
        let (mut trust, at) = trust_that_trusts_pins(None);
        assert!(trust.pinned(at(9)) && trust.pinned(at(9)));
        assert!(trust.goes_on(at(60)) && trust.deadline().is_none());
        trust.unpinned(at(60), at(0));
        assert!(trust.goes_on(at(60)), "one pin is left");
        trust.unpinned(at(60), at(70));
        assert!(trust.goes_on(at(69)) && !trust.goes_on(at(70)));
    }

    #[test]
    fn a_pin_does_not_outlast_the_longest_time_nor_another_holder() {
        let (mut trust, at) = trust();
        assert!(trust.pinned(at(1)));
        trust.end();
        assert!(!trust.goes_on(at(2)));
        let (mut trust, at) = trust_that_trusts_pins(Some(15));
        assert!(trust.pinned(at(1)));
        assert!(trust.goes_on(at(14)) && !trust.goes_on(at(15)));
    }

    #[test]
    fn unpinned_after_its_deadline_it_is_over() {
        let (mut trust, at) = trust();
        assert!(trust.pinned(at(1)));
        trust.unpinned(at(2), at(0));
        assert!(!trust.goes_on(at(10)));
    }

    #[test]
    fn a_commit_after_the_deadline_does_not_revive_it() {
        let (mut trust, at) = trust();
        assert!(trust.pinned(at(1)));
        trust.unpinned(at(11), at(40)); // nobody has asked between
        assert!(!trust.goes_on(at(12)));
    }

    #[test]
    fn it_ends_when_it_is_to_end_however_often_it_is_extended() {
        let (_, at) = trust();
        let mut trust = Trust::new(at(10), Some(at(15)), false);
        assert!(trust.extended(at(9), at(19)));
        assert!(trust.goes_on(at(14)) && !trust.goes_on(at(15)));
    }
}
