//! How long to wait for a lock, and how often to look: an iterator of pauses, and no clock of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long [`acquire`](crate::blocking::LockDsl::acquire) waits for a lock that somebody else holds.
///
/// A bound ([`never`](Self::never), [`up_to`](Self::up_to), [`forever`](Self::forever),
/// [`attempts`](Self::attempts)) and a rhythm: exponential pauses from 10 to 500 ms if you don't say. Each
/// pause is shortened at random, down to half of it, so that waiters don't march in step. A wait with a bound
/// always tries once at the beginning, and `up_to` once more when the time is up.
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
    /// Nobody said.
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
    /// Try once, and do not wait.
    pub fn never() -> Self {
        Self::attempts(1)
    }

    /// Wait up to so long.
    pub fn up_to(time: Duration) -> Self {
        Self {
            time: Some(time),
            ..Self::forever()
        }
    }

    /// Wait until the lock is there, however long that takes.
    pub fn forever() -> Self {
        Self {
            time: None,
            attempts: None,
            rhythm: Rhythm::Usual,
            jitter: true,
        }
    }

    /// Try so many times; 0 counts as 1.
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts: Some(attempts.max(1)),
            ..Self::forever()
        }
    }

    /// Try at most so many times, whatever else bounds the wait; 0 counts as 1.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts.max(1));
        self
    }

    /// The same pause each time.
    pub fn every(mut self, pause: Duration) -> Self {
        self.rhythm = Rhythm::Fixed(pause);
        self
    }

    /// Pauses that grow by the same step: `first`, `first + step`, `first + 2 step` …
    pub fn linear(mut self, first: Duration, step: Duration) -> Self {
        self.rhythm = Rhythm::Linear { first, step };
        self
    }

    /// Pauses that double up to the longest.
    pub fn exponential(mut self, first: Duration, longest: Duration) -> Self {
        self.rhythm = Rhythm::Exponential { first, longest };
        self
    }

    /// Pauses of your own: the function is given 1 for the first pause, 2 for the second, and so on.
    pub fn custom(mut self, pause: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        self.rhythm = Rhythm::Custom(Arc::new(pause));
        self
    }

    /// Make pauses exactly as long as said. Waiters that began together will then go on asking together.
    pub fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    pub(crate) fn pauses(&self) -> Pauses<'_> {
        Pauses {
            wait: self,
            taken: 0,
            restarted: 0,
            usual: &USUAL,
        }
    }

    /// The pauses of a waiter in a queue, which most releases wake.
    pub(crate) fn pauses_in_queue(&self) -> Pauses<'_> {
        Pauses {
            usual: &USUAL_IN_QUEUE,
            ..self.pauses()
        }
    }

    /// Whether there may be a second try.
    pub(crate) fn waits(&self) -> bool {
        self.attempts != Some(1) && self.time != Some(Duration::ZERO)
    }
}

/// First and longest of the pauses where nobody said, which double in between.
type Doubling = (Duration, Duration);
static USUAL: Doubling = (Duration::from_millis(10), Duration::from_millis(500));
/// On average less than two tries a second from the beginning on.
static USUAL_IN_QUEUE: Doubling = (Duration::from_millis(40), Duration::from_secs(2));

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
    fn pause(&self, number: u32, usual: &Doubling) -> Duration {
        match self {
            Self::Usual => doubled(*usual, number),
            Self::Fixed(pause) => *pause,
            Self::Linear { first, step } => first.saturating_add(step.saturating_mul(number - 1)),
            Self::Exponential { first, longest } => doubled((*first, *longest), number),
            Self::Custom(pause) => pause(number),
        }
    }
}

/// After so many doublings a pause is the longest.
const MANY: u32 = 16;

fn doubled((first, longest): Doubling, number: u32) -> Duration {
    let doublings = 2_u32.saturating_pow(number - 1);
    first.saturating_mul(doublings).min(longest)
}

/// Longer than anybody waits, and short enough to calculate with.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The pauses of one wait.
pub(crate) struct Pauses<'a> {
    wait: &'a Wait,
    taken: u32,
    /// How many were taken when it last began anew.
    restarted: u32,
    usual: &'static Doubling,
}

impl Pauses<'_> {
    /// How long to pause before the next try, after waiting for `waited` so far, or `None` when that was
    /// the last one. A holder whose lease ends in `time_left` need not be waited for any longer.
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

    /// The same for one who will be told of the release, if nothing is lost on the way: then looking is just a net.
    pub(crate) fn next_if_told(
        &mut self,
        is_told: bool,
        waited: Duration,
        time_left: Option<Duration>,
    ) -> Option<Duration> {
        if is_told && matches!(self.wait.rhythm, Rhythm::Usual) {
            self.taken = self.taken.max(MANY);
            self.restarted = 0;
        }
        self.next(waited, time_left)
    }

    /// Something has changed: pauses are short again, if nobody said how long they are.
    pub(crate) fn restart(&mut self) {
        if matches!(self.wait.rhythm, Rhythm::Usual) {
            self.restarted = self.taken;
        }
    }

    /// How long one may wait for its turn, who comes after others. Only a number of attempts is counted meanwhile.
    pub(crate) fn until_turn(&mut self, waited: Duration) -> Option<Duration> {
        if self.wait.attempts.is_some() {
            return self.next(waited, None);
        }
        self.rest(waited)
    }

    /// How long the wait still lasts, if it does.
    pub(crate) fn rest(&self, waited: Duration) -> Option<Duration> {
        match self.wait.time {
            Some(time) => time.checked_sub(waited).filter(|rest| !rest.is_zero()),
            None => Some(Duration::MAX),
        }
    }
}

/// Shortened at random, down to half of it.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.min(A_YEAR).mul_f64(0.5 + random_fraction() / 2.0)
}

/// At random from 0 to 1; without randomness there are worse things than waiters in step.
fn random_fraction() -> f64 {
    getrandom::u32().map_or(1.0, |bits| f64::from(bits) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Wait;

    fn ms(pause: u64) -> Duration {
        Duration::from_millis(pause)
    }

    /// The pauses of a wait in which every try takes no time.
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
