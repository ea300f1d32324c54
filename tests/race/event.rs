//! The messages from the racers to the referee: one line on the standard output for each event.

pub use diesel_locks_tests::clock::{Time, now};

use crate::ledger::Seen;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Acquired(Acquired),
    /// Reported only after the commit has returned.
    Committed(Committed),
    Released(i64),
    /// The holder is dead, and its workers go on. The lease expires at this time.
    Orphaned(i64, Time),
    /// The connection was closed in a transaction that had pinned and written.
    Vanished,
    /// A pin was refused because the lease was taken over.
    Lost,
    /// A pin was refused because the lease has expired.
    Expired,
    /// The lock was acquired, but the answer came too late to be trusted.
    Late,
    /// The database asks to try the transaction again.
    Contention,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    pub fence: i64,
    /// Since this time, every try was answered busy without a holder: the earlier lease had expired.
    pub since: Time,
    /// The time at which the successful request was sent.
    pub sent: Time,
    pub at: Time,
    /// The content of the ledger right after the acquisition.
    pub seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub fence: i64,
    pub pinned: Time,
    /// The time right before the commit was sent.
    pub ended: Time,
    /// Whether the lease had expired by then.
    pub overran: bool,
}

/// No line that libtest prints begins like this.
const MARK: &str = "race:";

impl Event {
    /// Prints the event, and returns it.
    pub fn tell(self) -> Self {
        let (word, numbers) = self.parts();
        let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
        println!("{MARK} {word} {}", numbers.join(" "));
        self
    }

    fn parts(self) -> (&'static str, Vec<i64>) {
        match self {
            Self::Acquired(it) => {
                let seen = [it.seen.previous, it.seen.previous_rows, it.seen.later];
                let times = [it.fence, it.since, it.sent, it.at];
                ("acquired", [&times[..], &seen].concat())
            }
            Self::Committed(it) => {
                let overran = i64::from(it.overran);
                ("committed", vec![it.fence, it.pinned, it.ended, overran])
            }
            Self::Released(fence) => ("released", vec![fence]),
            Self::Orphaned(fence, dead) => ("orphaned", vec![fence, dead]),
            Self::Vanished => ("vanished", vec![]),
            Self::Lost => ("lost", vec![]),
            Self::Expired => ("expired", vec![]),
            Self::Late => ("late", vec![]),
            Self::Contention => ("contention", vec![]),
        }
    }

    /// `None` if the line is not an event.
    pub fn read(line: &str) -> Option<Self> {
        let (word, numbers) = line.strip_prefix(MARK)?.trim_start().split_once(' ')?;
        let numbers = numbers.split_whitespace().map(str::parse);
        let numbers: Vec<i64> = numbers.collect::<Result<_, _>>().ok()?;
        Some(match (word, &numbers[..]) {
            ("acquired", &[fence, since, sent, at, previous, previous_rows, later]) => {
                let seen = Seen {
                    previous,
                    previous_rows,
                    later,
                };
                Self::Acquired(Acquired {
                    fence,
                    since,
                    sent,
                    at,
                    seen,
                })
            }
            ("committed", &[fence, pinned, ended, overran]) => Self::Committed(Committed {
                fence,
                pinned,
                ended,
                overran: overran != 0,
            }),
            ("released", &[fence]) => Self::Released(fence),
            ("orphaned", &[fence, dead]) => Self::Orphaned(fence, dead),
            ("vanished", []) => Self::Vanished,
            ("lost", []) => Self::Lost,
            ("expired", []) => Self::Expired,
            ("late", []) => Self::Late,
            ("contention", []) => Self::Contention,
            _ => return None,
        })
    }
}
