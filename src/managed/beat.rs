//! The beats of the keeper. Each beat extends the leases that are due, many in one statement.
//!
//! A lease whose extension is not answered is not lost: it is unknown whether it was extended. The keeper asks again on
//! another connection while there is time, and the late answer of the first request counts, too. Only the request
//! itself waits for its answer. A row that is locked in an open transaction is skipped, and its lease is tried again
//! without the others.

use std::sync::Arc;
use std::time::Duration;

use super::event::EventKind;
use super::keeper::{Keeper, Work};
use super::locked;
use super::pool::Runtime;
use super::schedule::Due;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::protocol::Renewal;
use crate::table::Table;
use crate::wait::jittered;

/// The largest number of leases that one statement extends.
const BATCH: usize = 1_000;

impl<R: Runtime> Keeper<R> {
    /// Extends the leases that are due. Returns the time until the next beat, or `None` when there is no lease left to
    /// keep.
    pub(super) fn beat(self: &Arc<Self>, place: R::Place) -> Option<Duration> {
        let (beat, rest) = {
            let mut desk = locked(&self.desk);
            if desk.ends(Work::Beats, place) {
                return None;
            }
            let now = Moment::now();
            (desk.schedule.beat(now), desk.schedule.until_beat(now))
        };
        if !beat.unanswered.is_empty() {
            let within = beat.patience;
            self.try_again(&beat.unanswered, Some(&Error::NoAnswer { within }));
        }
        for batch in batches(beat.due) {
            self.spawn(Asked::new(self, batch).extend(beat.patience));
        }
        Some(rest)
    }

    fn note(&self, due: &Due, sent: Moment, answer: Renewal) {
        match answer {
            Renewal::Until(until) => {
                if due.held.extended(until) {
                    locked(&self.desk).schedule.extended(due.number, sent);
                    let took = Moment::now().since(sent);
                    due.held.tell(EventKind::Renewed { took });
                }
            }
            Renewal::Locked(until) => {
                if let Some(until) = until {
                    due.held.extended(until);
                }
                self.try_again(std::slice::from_ref(due), None);
            }
            Renewal::Lost => {
                self.leave(due.number);
                due.held.gone();
            }
        }
    }

    fn try_again(&self, batch: &[Due], error: Option<&Error>) {
        for due in batch {
            let trusted_for = due.held.left();
            let is_kept = {
                let mut desk = locked(&self.desk);
                // Without a deadline, a missed extension does not end the trust, so there is no hurry.
                let pause = match due.held.deadline() {
                    None => desk.schedule.every(due.number),
                    Some(_) => pause(trusted_for),
                };
                desk.schedule.again(due.number, Moment::now().after(pause))
            };
            if is_kept {
                let late = EventKind::Late { trusted_for, error };
                due.held.tell(late);
            }
        }
    }
}

/// A batch that was sent and is not answered yet. If it is dropped before the answer, it counts as not answered.
struct Asked<R: Runtime> {
    keeper: Arc<Keeper<R>>,
    batch: Vec<Due>,
    sent: Moment,
}

impl<R: Runtime> Asked<R> {
    fn new(keeper: &Arc<Keeper<R>>, batch: Vec<Due>) -> Self {
        locked(&keeper.desk).asked += 1;
        Self {
            keeper: keeper.clone(),
            batch,
            sent: Moment::now(),
        }
    }

    async fn extend(mut self, patience: Duration) {
        let leases = self.batch.iter().map(|due| due.held.clone()).collect();
        let answer = self.keeper.database.keep_alive(leases, patience).await;
        self.settle(answer);
    }

    fn settle(&mut self, answer: Result<Vec<Renewal>>) {
        let batch = std::mem::take(&mut self.batch);
        match answer {
            Ok(answers) => {
                for (due, answer) in batch.iter().zip(answers) {
                    self.keeper.note(due, self.sent, answer);
                }
            }
            Err(error) => self.keeper.try_again(&batch, Some(&error)),
        }
        self.keeper.bell.ring();
    }
}

impl<R: Runtime> Drop for Asked<R> {
    fn drop(&mut self) {
        if !self.batch.is_empty() {
            let within = Moment::now().since(self.sent);
            self.settle(Err(Error::NoAnswer { within }));
        }
        locked(&self.keeper.desk).asked -= 1;
        self.keeper.idle.ring();
    }
}

/// Splits the leases into batches. The leases of a batch are of one table, and at most `BATCH`. Their keys are neighbours. If
/// their rows are neighbours, too, the database reads and writes few pages for a batch.
fn batches(mut due: Vec<Due>) -> Vec<Vec<Due>> {
    due.sort_by(|one, other| place(one).cmp(&place(other)));
    let mut batches: Vec<Vec<Due>> = Vec::new();
    for due in due {
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH && table(&batch[0]) == table(&due) => {
                batch.push(due);
            }
            _ => batches.push(vec![due]),
        }
    }
    batches
}

fn place(due: &Due) -> (&Table, &str) {
    (table(due), due.held.lock().key())
}

fn table(due: &Due) -> &Table {
    &due.held.lock().table
}

/// The pause before the keeper asks again. The less time is left, the shorter the pause.
fn pause(left: Duration) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(5);
    jittered((left / 4).clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{BATCH, batches};
    use crate::clock::Moment;
    use crate::lease::Lease;
    use crate::lock::Lock;
    use crate::managed::event::Observer;
    use crate::managed::held_lease::{HeldLease, Pinning};
    use crate::managed::schedule::Due;
    use crate::table::Table;
    use crate::token::Token;

    fn due(number: u64, table: &str, name: &str) -> Due {
        let table = Table::new(table).unwrap();
        let lock = Lock::new(name).unwrap().in_table(table);
        let lease = Lease::new(&lock, Token::new("t").unwrap(), 1, Moment::now());
        let (rest, pinning, observer) = (Duration::ZERO, Pinning::default(), Observer::default());
        let held = Arc::new(HeldLease::new(lease, rest, None, pinning, observer));
        Due { number, held }
    }

    /// In whatever order the leases come.
    #[test]
    fn a_batch_has_neighbouring_keys_of_one_table() {
        let most = u64::try_from(BATCH).unwrap();
        let number = |place: u64| place * 7 % (most + 3);
        let name = |number: u64| format!("{number:06}");
        let mut all = vec![due(0, "other", "x")];
        all.extend((0..most + 3).map(|place| due(place, "locks", &name(number(place)))));
        let batches = batches(all);
        let keys = |batch: &Vec<Due>| {
            let keys = batch.iter().map(|due| due.held.lock().key().to_owned());
            keys.collect::<Vec<_>>()
        };
        let keys: Vec<_> = batches.iter().map(keys).collect();
        let names = |numbers: std::ops::Range<u64>| numbers.map(name).collect::<Vec<_>>();
        assert_eq!(
            keys,
            [names(0..most), names(most..most + 3), vec!["x".to_owned()]]
        );
    }
}
