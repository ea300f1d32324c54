//! The rules on histories that are made by hand. For each rule there is a history that keeps it, and histories that differ
//! from it in one thing and break it.

use diesel_locks_tests::clock::Time;

use super::{History, Reason, Rule, busy_reasons};
use crate::log::{Change, Entry, Write};
use crate::operation::{Act, Answer, Claim, Client, Kind, Operation, Told, Word};

const ANN: Client = client(1);
const BOB: Client = client(2);

const fn client(process: u64) -> Client {
    Client {
        process,
        kind: Kind::ManagedAsync,
        number: 1,
    }
}

/// A history of the lock "x". The functions add to it, in the order of the record.
#[derive(Default)]
struct Story(History);

impl Story {
    /// Ann holds the lock from 100 to 200 and relies on it until 190. Bob takes it over at 300.
    fn good() -> Self {
        let mut story = Self::default();
        story.lease(ANN, 1, 100, 200);
        story
            .asks(ANN, Act::Try, 0, 95)
            .answered(105, Word::Acquired, 1);
        story.claims(1, 105, 190);
        story
            .asks(BOB, Act::Try, 0, 120)
            .answered(125, Word::Busy, 1);
        story
            .asks(ANN, Act::Commit, 1, 130)
            .answered(140, Word::Done, 0);
        let commit = story.last();
        story.writes(1, commit, 0);
        story.lease(BOB, 2, 300, 400);
        story
            .asks(BOB, Act::Try, 0, 295)
            .answered(305, Word::Acquired, 2);
        story.claims(2, 305, 390);
        story
            .asks(BOB, Act::Commit, 2, 310)
            .answered(320, Word::Done, 0);
        let commit = story.last();
        story.writes(2, commit, 2);
        story
    }

    fn lease(&mut self, owner: Client, fence: i64, at: Time, expires_at: Time) {
        let token = Some(format!("token {fence}"));
        self.changes(token, owner, fence, at, expires_at);
    }

    fn release(&mut self, fence: i64, at: Time) {
        self.changes(None, ANN, fence, at, at);
    }

    fn changes(
        &mut self,
        token: Option<String>,
        owner: Client,
        fence: i64,
        at: Time,
        expires_at: Time,
    ) {
        let change = Change {
            sequence: self.next(),
            token,
            owner: Some(owner),
            fence,
            acquired_at: at,
            expires_at,
            at,
            transaction: None,
        };
        self.0.log.push(("x".to_owned(), Entry::Change(change)));
    }

    /// A transaction that has seen so many rows of smaller fences.
    fn writes(&mut self, fence: i64, operation: i64, rows: i64) {
        for seen in [None, Some(rows)] {
            let write = Write {
                sequence: self.next(),
                fence,
                operation,
                seen,
            };
            self.0.log.push(("x".to_owned(), Entry::Write(write)));
        }
    }

    fn next(&self) -> i64 {
        i64::try_from(self.0.log.len()).expect("a small number")
    }

    fn asks(&mut self, client: Client, act: Act, fence: i64, asked: Time) -> &mut Self {
        self.0.operations.push(Operation {
            id: self.last() + 1,
            client,
            act,
            name: "x".to_owned(),
            fence,
            asked,
            answer: None,
        });
        self
    }

    fn answered(&mut self, at: Time, word: Word, number: i64) {
        let operation = self.0.operations.last_mut().expect("an operation");
        operation.answer = Some(Answer { at, word, number });
    }

    fn claims(&mut self, fence: i64, from: Time, until: Time) {
        self.0.claims.push(Claim {
            name: "x".to_owned(),
            fence,
            from,
            until,
        });
    }

    /// The number of the last operation.
    fn last(&self) -> i64 {
        i64::try_from(self.0.operations.len()).expect("a small number")
    }

    /// The rules that are broken.
    fn broken(&self) -> Vec<Rule> {
        let mut rules: Vec<Rule> = self.0.violations().iter().map(|it| it.rule).collect();
        rules.sort();
        rules.dedup();
        rules
    }
}

/// The good history with something more.
fn with(more: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::good();
    more(&mut story);
    story
}

#[test]
fn a_good_history_breaks_no_rule() {
    assert_eq!(Story::good().broken(), []);
}

#[test]
fn a_takeover_before_the_end_of_the_lease_breaks_exclusion() {
    let early = |at| with(|it| it.lease(ANN, 3, at, 500)).broken();
    assert_eq!(early(399), [Rule::Exclusion]);
    assert_eq!(early(400), []);
}

#[test]
fn a_lease_is_extended_and_not_shortened() {
    let extended = |until| with(|it| it.lease(BOB, 2, 350, until)).broken();
    assert_eq!(extended(450), []);
    assert_eq!(extended(399), [Rule::Exclusion]);
}

#[test]
fn only_its_holder_and_force_release_a_lease() {
    let released = |act, fence| {
        with(|it| {
            it.release(2, 350);
            it.asks(BOB, act, fence, 345);
        })
        .broken()
    };
    assert_eq!(released(Act::Release, 2), []);
    assert_eq!(released(Act::Drop, 2), []);
    assert_eq!(released(Act::Force, 0), []);
    assert_eq!(released(Act::Release, 1), [Rule::Exclusion]);
    assert_eq!(released(Act::Extend, 2), [Rule::Exclusion]);
}

#[test]
fn an_acquisition_without_an_answer_is_given_back() {
    let given_back = |client| {
        with(|it| {
            it.lease(ANN, 3, 400, 500);
            it.asks(client, Act::Try, 0, 395);
            it.release(3, 450);
        })
        .broken()
    };
    assert_eq!(given_back(ANN), []);
    assert_eq!(given_back(BOB), [Rule::Exclusion]);
}

#[test]
fn a_smaller_fence_breaks_the_growth() {
    let story = with(|it| it.lease(ANN, 1, 400, 500));
    assert_eq!(story.broken(), [Rule::Fences]);
}

#[test]
fn an_answer_that_is_not_in_the_record_breaks_the_fences() {
    let answered = |client, fence| {
        with(|it| {
            it.asks(client, Act::Try, 0, 395)
                .answered(405, Word::Acquired, fence);
        })
        .broken()
    };
    assert_eq!(answered(ANN, 3), [Rule::Fences], "nobody acquired it");
    assert_eq!(
        answered(ANN, 2),
        [Rule::Fences],
        "somebody else acquired it"
    );
    assert_eq!(
        answered(BOB, 2),
        [Rule::Fences],
        "acquired once, answered twice"
    );
}

#[test]
fn an_earlier_acquisition_with_a_larger_fence_breaks_the_order() {
    let mut story = Story::good();
    for operation in &mut story.0.operations {
        if let Some(answer) = operation
            .answer
            .as_mut()
            .filter(|it| it.word == Word::Acquired)
        {
            // The answers come before the record says so, and in the other order.
            let at = if answer.number == 2 { 50 } else { 70 };
            (operation.asked, answer.at) = (at, at + 5);
        }
    }
    assert!(story.broken().contains(&Rule::Fences));
}

#[test]
fn two_that_rely_on_it_at_the_same_time_break_the_trust() {
    let both = |from| {
        with(|it| {
            it.lease(ANN, 3, 400, 500);
            it.claims(3, from, 450);
        })
        .broken()
    };
    assert_eq!(both(405), []);
    let story = with(|it| it.claims(1, 105, 306));
    assert_eq!(story.broken(), [Rule::Trust]);
}

#[test]
fn to_rely_on_it_for_longer_than_the_record_says_breaks_the_trust() {
    let claimed = |until| with(|it| it.claims(2, 330, until)).broken();
    assert_eq!(claimed(400), []);
    assert_eq!(claimed(401), [Rule::Trust]);
}

#[test]
fn after_a_release_by_force_the_old_holder_may_rely_on_it_until_it_is_told() {
    let story = with(|it| {
        it.asks(ANN, Act::Force, 0, 325)
            .answered(335, Word::Done, 0);
        it.release(2, 330);
        it.lease(ANN, 3, 340, 500);
        it.claims(3, 345, 450);
    });
    assert_eq!(story.broken(), []);
}

#[test]
fn a_commit_after_a_larger_fence_breaks_the_order_of_commits() {
    let story = with(|it| {
        it.asks(ANN, Act::Commit, 1, 150)
            .answered(330, Word::Done, 0);
        let commit = it.last();
        it.writes(1, commit, 0);
    });
    assert_eq!(story.broken(), [Rule::Commits]);
}

#[test]
fn a_commit_that_the_next_holder_has_not_seen_breaks_the_order_of_commits() {
    let story = with(|it| {
        it.asks(BOB, Act::Commit, 2, 330)
            .answered(340, Word::Done, 0);
        let commit = it.last();
        it.writes(2, commit, 1);
    });
    assert_eq!(story.broken(), [Rule::Commits]);
}

#[test]
fn an_answer_to_a_transaction_is_as_the_record_says() {
    let answered = |word, is_there: bool| {
        with(|it| {
            it.asks(BOB, Act::Commit, 2, 330).answered(340, word, 0);
            if is_there {
                let commit = it.last();
                it.writes(2, commit, 2);
            }
        })
        .broken()
    };
    assert_eq!(answered(Word::Done, true), []);
    assert_eq!(answered(Word::Done, false), [Rule::Commits]);
    assert_eq!(answered(Word::Lost, false), []);
    assert_eq!(answered(Word::Lost, true), [Rule::Commits]);
    assert_eq!(answered(Word::Failed, true), []);
    assert_eq!(answered(Word::Failed, false), []);
}

#[test]
fn what_a_client_is_told_about_its_lease_is_what_the_record_says() {
    let told = |act, word, is_released| {
        with(|it| {
            if is_released {
                it.release(2, 340);
            } else {
                it.lease(BOB, 2, 340, 450);
            }
            it.asks(BOB, act, 2, 335).answered(345, word, 0);
            it.asks(ANN, Act::Force, 0, 330);
        })
        .broken()
    };
    assert_eq!(told(Act::Release, Word::Done, true), []);
    assert_eq!(told(Act::Release, Word::Done, false), [Rule::Answers]);
    assert_eq!(told(Act::Extend, Word::Late, false), []);
    assert_eq!(told(Act::Extend, Word::Late, true), [Rule::Answers]);
    assert_eq!(
        told(Act::Extend, Word::Lost, false),
        [],
        "a guard may be late"
    );
}

#[test]
fn a_lease_that_is_called_lost_has_ended() {
    let mut ann = ANN;
    ann.kind = Kind::BlockingStatements;
    let lost = |at| {
        with(|it| {
            it.asks(ann, Act::Extend, 1, 150)
                .answered(at, Word::Lost, 0);
        })
        .broken()
    };
    assert_eq!(lost(305), []);
    assert_eq!(lost(295), [Rule::Answers]);
}

#[test]
fn an_answer_busy_while_nobody_has_it_breaks_the_rule() {
    let busy = |asked, at, named| {
        with(|it| {
            it.asks(ANN, Act::Try, 0, asked)
                .answered(at, Word::Busy, named);
        })
        .broken()
    };
    assert_eq!(busy(190, 205, 1), [], "held until 200");
    assert_eq!(busy(205, 290, 0), [Rule::Busy], "free from 200 to 295");
    assert_eq!(busy(205, 298, 0), [], "just being acquired");
    assert_eq!(
        busy(310, 320, 1),
        [Rule::Busy],
        "another holder than the named one"
    );
}

#[test]
fn an_answer_busy_has_a_reason_in_an_operation_without_an_answer() {
    let busy = |act| {
        with(|it| {
            it.asks(ANN, Act::Commit, 1, 150).answered(240, act, 0);
            it.asks(BOB, Act::Try, 0, 250).answered(260, Word::Busy, 0);
        })
        .broken()
    };
    assert_eq!(busy(Word::Lost), [Rule::Busy]);
    assert_eq!(busy(Word::Failed), [], "it may still have the row locked");
}

#[test]
fn a_try_that_is_busy_is_no_reason_for_another() {
    let story = with(|it| {
        for client in [ANN, BOB] {
            it.asks(client, Act::Try, 0, 250)
                .answered(260, Word::Busy, 0);
        }
    });
    assert_eq!(story.broken(), [Rule::Busy]);
}

#[test]
fn a_waiter_in_a_queue_is_told_what_the_first_waiter_was_told() {
    let mut second = ANN;
    second.number = 2;
    let waits = |first: Client| {
        with(|it| {
            it.asks(first, Act::Wait, 0, 150)
                .answered(250, Word::Failed, 0);
            it.asks(second, Act::Wait, 0, 230)
                .answered(260, Word::Busy, 1);
        })
    };
    assert_eq!(waits(ANN).broken(), []);
    assert_eq!(waits(BOB).broken(), [Rule::Busy], "another process");
    let story = waits(ANN);
    let reasons = busy_reasons(&story.0.views()["x"]);
    assert!(
        reasons
            .iter()
            .any(|(_, reason)| *reason == Some(Reason::Queue))
    );
}

#[test]
fn a_release_that_comes_late_is_a_reason() {
    let dropped = |told| {
        with(|it| {
            it.asks(ANN, Act::Drop, 1, 180);
            it.0.told.push(Told {
                name: "x".to_owned(),
                fence: 1,
                at: told,
            });
            it.release(2, 340);
            it.asks(BOB, Act::Release, 2, 330);
            it.answered(345, Word::Done, 0);
            it.asks(BOB, Act::Try, 0, 350);
            it.answered(360, Word::Busy, 0);
        })
        .broken()
    };
    assert_eq!(dropped(355), []);
    assert_eq!(dropped(349), [Rule::Busy]);
}

#[test]
fn a_release_is_seen_when_its_transaction_commits() {
    let busy = |asked, at| {
        with(|it| {
            it.asks(BOB, Act::Finish, 2, 330);
            if let Some(at) = at {
                it.answered(at, Word::Done, 0);
                let finish = it.last();
                it.writes(2, finish, 2);
            }
            it.release(2, 340);
            it.asks(ANN, Act::Try, 0, asked);
            it.answered(asked + 5, Word::Busy, 2);
        })
        .broken()
    };
    assert_eq!(busy(350, Some(360)), []);
    assert_eq!(busy(365, Some(360)), [Rule::Busy]);
    assert_eq!(
        busy(390, None),
        [],
        "until the lease expires, if nobody knows"
    );
    assert_eq!(busy(405, None), [Rule::Busy]);
}

#[test]
fn slack_counts_in_favour_of_the_crate() {
    let mut story = with(|it| it.claims(2, 330, 405));
    assert_eq!(story.broken(), [Rule::Trust]);
    story.0.slack = 5;
    assert_eq!(story.broken(), []);
}
