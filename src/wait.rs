//! How long to wait for a lock, and how long to pause between two tries. `Pauses` calculates the pauses, and reads no
//! clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::holder::Holder;

/// How long [`acquire`](crate::blocking::LockDsl::acquire) waits for a lock that somebody else holds.
///
/// A wait has a bound: [`never`](Self::never), [`up_to`](Self::up_to), [`forever`](Self::forever) or
/// [`attempts`](Self::attempts). And it has a rhythm. The default rhythm is exponential pauses from 10 to 500 ms.
///
/// For one lock of a `Locker` the default rhythm is from 40 ms to 2 s, because most releases wake such a waiter. If
/// another process holds the lock, the longest pause is a quarter of the time for which it has held the lock so far, or
/// 150 ms if that is longer. So processes that want the same lock can take turns.
///
/// Every call says how long it waits: there is no default for all calls. If an application always waits in the same
/// way, a function of its own can make the wait, as `patient` does below.
///
/// Each pause is shortened at random, down to half of it, so that waiters that began together do not all try at the
/// same moments. A wait always tries once at the beginning. A wait with `up_to` tries once more when the time is over.
///
/// ```
/// use std::time::Duration;
/// use diesel_locks::Wait;
///
/// let ms = Duration::from_millis;
/// Wait::up_to(ms(10_000));                                 // good for nearly everything
/// Wait::attempts(5).linear(ms(100), ms(100));              // 100, 200, 300, 400 ms between the five
/// Wait::forever().exponential(ms(50), ms(2_000));          // 50, 100, 200 … 2,000, 2,000 …
/// Wait::up_to(ms(900)).every(ms(30)).without_jitter();     // as regular as a clock
/// Wait::attempts(9).custom(|pause| Duration::from_secs(u64::from(pause).pow(2)));
/// ```
///
/// ```
/// # use diesel::{Connection, SqliteConnection};
/// # let mut conn = SqliteConnection::establish(":memory:").unwrap();
/// # diesel_locks::blocking::migrate(&mut conn).unwrap();
/// use std::time::Duration;
/// use diesel_locks::blocking::LockDsl;
/// use diesel_locks::{Lock, Wait};
///
/// /// How this application waits for a lock.
/// fn patient() -> Wait {
///     Wait::up_to(Duration::from_secs(10)).every(Duration::from_millis(50))
/// }
///
/// let report = Lock::new("report")?.acquire(&mut conn, patient())?;
/// let import = Lock::new("import")?.acquire(&mut conn, patient())?;
/// # assert!(!report.is_busy() && !import.is_busy());
/// # Ok::<(), diesel_locks::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Wait {
    time: Option<Duration>,
    attempts: Option<u32>,
    rhythm: Rhythm,
    jitter: bool,
}

#[derive(Clone)]
enum Rhythm {
    /// The caller chose no rhythm.
    Usual,
    Fixed(Duration),
    Linear {
        first: Duration,
        step: Duration,
    },
    Exponential {
        first: Duration,
        longest: Duration,
    },
    Custom(Arc<dyn Fn(u32) -> Duration + Send + Sync>),
}

impl Wait {
    /// Try once, and do not wait. Use it if the work can be skipped or done later.
    pub fn never() -> Self {
        Self::attempts(1)
    }

    /// Wait for at most this time. Use it if you are not sure: it fits nearly every case.
    pub fn up_to(time: Duration) -> Self {
        Self {
            time: Some(time),
            ..Self::forever()
        }
    }

    /// Wait until the lock is acquired, however long that takes. Use it for workers that have nothing else to do. Do
    /// not use it where a person or a request waits for the answer.
    pub fn forever() -> Self {
        Self {
            time: None,
            attempts: None,
            rhythm: Rhythm::Usual,
            jitter: true,
        }
    }

    /// Try this number of times; 0 counts as 1.
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts: Some(attempts.max(1)),
            ..Self::forever()
        }
    }

    /// Try at most this number of times, in addition to any other bound of the wait; 0 counts as 1.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts.max(1));
        self
    }

    /// All pauses have this length.
    pub fn every(mut self, pause: Duration) -> Self {
        self.rhythm = Rhythm::Fixed(pause);
        self
    }

    /// Each pause is longer than the one before by `step`: `first`, `first + step`, `first + 2 step` …
    pub fn linear(mut self, first: Duration, step: Duration) -> Self {
        self.rhythm = Rhythm::Linear { first, step };
        self
    }

    /// Each pause is twice the one before, up to `longest`.
    pub fn exponential(mut self, first: Duration, longest: Duration) -> Self {
        self.rhythm = Rhythm::Exponential { first, longest };
        self
    }

    /// Calculates each pause with your function. Its argument is 1 for the first pause, 2 for the second, and so on.
    pub fn custom(mut self, pause: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        self.rhythm = Rhythm::Custom(Arc::new(pause));
        self
    }

    /// Makes each pause exactly as long as the rhythm says. Waiters that began together will then try together each
    /// time.
    pub fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    pub(crate) fn pauses(&self) -> Pauses<'_> {
        Pauses {
            wait: self,
            taken: 0,
            restarted: 0,
            usual: USUAL,
        }
    }

    /// The pauses of a waiter in a queue. Most releases wake such a waiter, so it can poll less often.
    pub(crate) fn pauses_in_queue(&self) -> Pauses<'_> {
        Pauses {
            usual: (FIRST_IN_QUEUE, LONGEST_IN_QUEUE),
            ..self.pauses()
        }
    }

    /// Whether there may be a second try.
    pub(crate) fn waits(&self) -> bool {
        self.attempts != Some(1) && self.time != Some(Duration::ZERO)
    }
}

/// The first and the longest pause of the default rhythm. The pauses double from the first to the longest.
type Doubling = (Duration, Duration);
const USUAL: Doubling = (Duration::from_millis(10), Duration::from_millis(500));
const FIRST_IN_QUEUE: Duration = Duration::from_millis(40);
/// In the long run, fewer than two tries a second.
pub(crate) const LONGEST_IN_QUEUE: Duration = Duration::from_secs(2);

/// The longest pause of a waiter in a queue while the lock changes hands quickly. It grows to a quarter of the time for
/// which the holder has held the lock. So a lock is free for at most a quarter of the time for which it was held, or for
/// this time. The statements that acquire rely on both.
pub(crate) const BRIEF_IN_QUEUE: Duration = Duration::from_millis(150);

impl fmt::Debug for Rhythm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("usual"),
            Self::Fixed(pause) => write!(f, "every {pause:?}"),
            Self::Linear { first, step } => write!(f, "{first:?}, growing by {step:?}"),
            Self::Exponential { first, longest } => write!(f, "{first:?}, doubling to {longest:?}"),
            Self::Custom(_) => f.write_str("custom"),
        }
    }
}

impl Rhythm {
    fn pause(&self, number: u32, usual: Doubling) -> Duration {
        match self {
            Self::Usual => doubled(usual, number),
            Self::Fixed(pause) => *pause,
            Self::Linear { first, step } => first.saturating_add(step.saturating_mul(number - 1)),
            Self::Exponential { first, longest } => doubled((*first, *longest), number),
            Self::Custom(pause) => pause(number),
        }
    }
}

/// After this number of doublings a pause is the longest one.
const MANY: u32 = 16;

fn doubled((first, longest): Doubling, number: u32) -> Duration {
    let doublings = 2_u32.saturating_pow(number - 1);
    first.saturating_mul(doublings).min(longest)
}

/// Longer than any real pause, and short enough to calculate with.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The pauses of one wait.
pub(crate) struct Pauses<'a> {
    wait: &'a Wait,
    taken: u32,
    /// The number of pauses that were taken before the last restart.
    restarted: u32,
    /// The default rhythm, as it is now.
    usual: Doubling,
}

impl Pauses<'_> {
    /// The pause before the next try, when the caller has waited for `waited`; `None` if there is no next try. The
    /// pause ends at the latest when the holder's lease expires, after `time_left`.
    pub(crate) fn next(
        &mut self,
        waited: Duration,
        time_left: Option<Duration>,
    ) -> Option<Duration> {
        self.taken = self.taken.saturating_add(1);
        if self.wait.attempts.is_some_and(|most| self.taken >= most) {
            return None;
        }
        let rest = self.rest(waited)?;
        let number = self.taken - self.restarted;
        let pause = self.wait.rhythm.pause(number.max(1), self.usual);
        let pause = if self.wait.jitter {
            jittered(pause)
        } else {
            pause
        };
        Some(pause.min(rest).min(time_left.unwrap_or(Duration::MAX)))
    }

    /// The next pause of the first waiter of a queue, which may be told of the release. If it will be (`is_told`), the
    /// pause is the longest one: polling only covers a message that is lost.
    pub(crate) fn next_in_queue(
        &mut self,
        is_told: bool,
        waited: Duration,
        holder: Option<&Holder>,
    ) -> Option<Duration> {
        self.usual.1 = match holder {
            Some(holder) if !is_told => {
                (holder.held_for / 4).clamp(BRIEF_IN_QUEUE, LONGEST_IN_QUEUE)
            }
            _ => LONGEST_IN_QUEUE,
        };
        if is_told && matches!(self.wait.rhythm, Rhythm::Usual) {
            self.taken = self.taken.max(MANY);
            self.restarted = 0;
        }
        self.next(waited, holder.map(|holder| holder.time_left))
    }

    /// The next pause while the lock is free, and another process is to have it first. The pause is short in every rhythm:
    /// no release will wake this waiter.
    pub(crate) fn next_if_free(&mut self, waited: Duration) -> Option<Duration> {
        self.next(waited, Some(jittered(BRIEF_IN_QUEUE)))
    }

    /// Something has changed: the pauses become short again, if the caller chose no rhythm.
    pub(crate) fn restart(&mut self) {
        if matches!(self.wait.rhythm, Rhythm::Usual) {
            self.restarted = self.taken;
        }
    }

    /// How long a waiter that is not the first of its queue may wait until it is the first. A waiter with a number of attempts
    /// counts each pause as an attempt. Every other waiter sleeps until it is woken or its time is over.
    pub(crate) fn until_first(&mut self, waited: Duration) -> Option<Duration> {
        if self.wait.attempts.is_some() {
            return self.next(waited, None);
        }
        self.rest(waited)
    }

    /// Whether the wait is over after the next try.
    pub(crate) fn is_last_try(&self, waited: Duration) -> bool {
        let is_last = |most| self.taken.saturating_add(1) >= most;
        self.rest(waited).is_none() || self.wait.attempts.is_some_and(is_last)
    }

    /// The time that is left of the wait; `None` if the wait is over.
    pub(crate) fn rest(&self, waited: Duration) -> Option<Duration> {
        match self.wait.time {
            Some(time) => time.checked_sub(waited).filter(|rest| !rest.is_zero()),
            None => Some(Duration::MAX),
        }
    }
}

/// The pause, shortened at random, down to half of it.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.min(A_YEAR).mul_f64(0.5 + random_fraction() / 2.0)
}

/// A random number from 0 to 1. Without a source of randomness it is 1: then pauses are not shortened, and waiters may
/// try at the same moments, which is no disaster.
fn random_fraction() -> f64 {
    getrandom::u32().map_or(1.0, |bits| f64::from(bits) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Wait;
    use crate::holder::{Holder, tests::holder};

    fn ms(pause: u64) -> Duration {
        Duration::from_millis(pause)
    }

    /// The pauses of a wait whose tries take no time.
    fn pauses(wait: &Wait, most: usize) -> Vec<Duration> {
        let (mut pauses, mut waited) = (wait.pauses(), Duration::ZERO);
        let next = || {
            let pause = pauses.next(waited, None)?;
            waited += pause;
            Some(pause)
        };
        std::iter::from_fn(next).take(most).collect()
    }

    #[test]
    fn never_does_not_pause() {
        assert!(pauses(&Wait::never(), 9).is_empty());
        assert!(pauses(&Wait::attempts(0), 9).is_empty());
        assert!(pauses(&Wait::up_to(Duration::ZERO), 9).is_empty());
    }

    #[test]
    fn each_rhythm_is_exact_without_jitter() {
        let five = |wait: Wait| pauses(&wait.without_jitter(), 9);
        let wait = || Wait::attempts(6);
        assert_eq!(five(wait().every(ms(7))), [ms(7); 5]);
        assert_eq!(
            five(wait().linear(ms(5), ms(10))),
            [5, 15, 25, 35, 45].map(ms)
        );
        assert_eq!(
            five(wait().exponential(ms(50), ms(300))),
            [50, 100, 200, 300, 300].map(ms)
        );
        assert_eq!(
            five(wait().custom(|n| ms(u64::from(n * n)))),
            [1, 4, 9, 16, 25].map(ms)
        );
    }

    #[test]
    fn in_a_queue_a_pause_is_a_quarter_of_the_time_for_which_the_lock_was_held() {
        let wait = Wait::forever().without_jitter();
        for (held_for, longest) in [(0, 150), (600, 150), (4_000, 1_000), (60_000, 2_000)] {
            let holder = Holder {
                held_for: ms(held_for),
                time_left: Duration::MAX,
                ..holder(1)
            };
            let mut pauses = wait.pauses_in_queue();
            let next = || pauses.next_in_queue(false, Duration::ZERO, Some(&holder));
            assert_eq!(std::iter::from_fn(next).nth(9), Some(ms(longest)));
        }
    }

    #[test]
    fn a_wait_with_an_end_tries_once_more_when_the_time_is_up() {
        let wait = Wait::up_to(ms(100)).every(ms(40)).without_jitter();
        assert_eq!(pauses(&wait, 9), [40, 40, 20].map(ms));
        assert_eq!(pauses(&wait.max_attempts(2), 9), [40].map(ms));
    }

    #[test]
    fn jitter_shortens_by_up_to_half_and_not_always_alike() {
        let some = pauses(&Wait::forever().every(ms(1_000)), 200);
        assert!(
            some.iter()
                .all(|pause| (ms(500)..=ms(1_000)).contains(pause))
        );
        assert!(some.iter().any(|pause| *pause < ms(700)));
        assert!(some.iter().any(|pause| *pause > ms(800)));
    }

    #[test]
    fn pauses_far_out_do_not_overflow() {
        let wait = Wait::forever()
            .exponential(ms(1), Duration::MAX)
            .without_jitter();
        let mut pauses = wait.pauses();
        pauses.taken = u32::MAX - 3;
        assert!(pauses.next(Duration::ZERO, None).is_some());
    }

    #[test]
    fn a_dead_holder_is_waited_for_no_longer_than_its_lease_lives() {
        let wait = Wait::forever().every(ms(500)).without_jitter();
        assert_eq!(wait.pauses().next(ms(0), Some(ms(30))), Some(ms(30)));
    }
}
