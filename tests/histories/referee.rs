//! The test itself: it starts the processes, receives what their clients say, and lets the checker judge.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel_locks_tests::Engine;
use diesel_locks_tests::clock::now;
use diesel_locks_tests::database::{Database, with_connection};
use diesel_locks_tests::ms;

use crate::checker::{History, Rule as Judged};
use crate::child;
use crate::ground::{Ground, Rule};
use crate::log::{self, Ahead};
use crate::operation::Event;
use crate::report::Report;
use crate::weather::{Happened, Sky, Weather};

/// How many processes there are at the same time.
const PROCESSES: usize = 3;
/// How many operations are answered in the normal run, and in a control.
const OPERATIONS: usize = 3_000;
const OPERATIONS_OF_CONTROL: usize = 600;
/// The history fails if no operation is answered for so long.
const STUCK: Duration = ms(60_000);
/// What a translated time may be wrong by besides: SQLite's clock ticks in milliseconds.
const SLACK: i64 = 3_000;

/// Only one history is made at a time, because each needs the whole machine.
static TURN: Mutex<()> = Mutex::new(());

pub struct Test {
    pub engine: Engine,
    /// The name of the test in libtest. The processes are started with it.
    pub path: &'static str,
    pub rule: Rule,
}

impl Test {
    /// Makes a history and judges it. In a process that a history has started, runs the clients.
    pub fn run(&self) {
        if let Some(ground) = Ground::of_child(self.engine, self.rule) {
            return child::run(&ground);
        }
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let long = number("DIESEL_LOCKS_OPERATIONS").filter(|_| self.rule == Rule::Kept);
        let operations = match self.rule {
            Rule::Kept => OPERATIONS,
            _ => OPERATIONS_OF_CONTROL,
        };
        let operations = long.map_or(operations, |many| usize::try_from(many).expect("a number"));
        let seed = number("DIESEL_LOCKS_SEED").unwrap_or_else(|| now().unsigned_abs() % 1_000_000);
        let report = self.make(operations, seed);
        let _ = std::io::stderr().write_all(report.to_string().as_bytes());
        match self.rule {
            Rule::Kept => report.assert_right(long.is_some()),
            Rule::EarlyTakeover => report.assert_found(&[Judged::Exclusion, Judged::Trust]),
            Rule::NoPin => report.assert_found(&[Judged::Commits]),
            Rule::FalseBusy => report.assert_found(&[Judged::Busy]),
        }
    }

    fn make(&self, operations: usize, seed: u64) -> Report {
        let database = Database::new(self.engine);
        prepare(&database);
        let (began, ahead) = (Instant::now(), Ahead::ask(&database));
        let ground = Ground {
            engine: self.engine,
            rule: self.rule,
            urls: [database.url.clone(), database.url.clone()],
            seed,
            process: 0,
            began: now(),
        };
        let (mut history, happened) = self.hear(&ground, operations);
        let took = began.elapsed();
        history.slack = SLACK + ahead.wrong_by(Ahead::ask(&database));
        history.log = log::read(&database, ahead);
        history.releases_later = log::sees_snapshots(&database);
        Report::new(self, seed, took, &history, happened)
    }

    /// Runs the processes until so many operations are answered.
    fn hear(&self, ground: &Ground, operations: usize) -> (History, Vec<Happened>) {
        let (over, processes) = (AtomicBool::new(false), AtomicU64::new(1));
        let sky = Sky {
            path: self.path,
            processes: &processes,
            over: &over,
        };
        let (sender, events) = mpsc::channel();
        std::thread::scope(|scope| {
            let weathers: Vec<_> = (0..PROCESSES)
                .map(|_| {
                    let (sky, ground, sender) = (&sky, ground.clone(), sender.clone());
                    scope.spawn(move || Weather::new(sky, ground, sender).pass())
                })
                .collect();
            drop(sender);
            let history = gather(&events, operations, &over);
            let happened = weathers.into_iter().map(|it| it.join().expect("no panic"));
            (history, happened.collect())
        })
    }
}

/// Receives the events, until all processes have ended. Tells them to end when there are enough answers.
fn gather(events: &Receiver<Event>, operations: usize, over: &AtomicBool) -> History {
    let (mut history, mut places) = (History::default(), HashMap::new());
    let mut answered = 0;
    loop {
        match events.recv_timeout(STUCK) {
            Ok(Event::Asked(operation)) => {
                places.insert(operation.id, history.operations.len());
                history.operations.push(operation);
            }
            Ok(Event::Answered(id, answer)) => {
                history.operations[places[&id]].answer = Some(answer);
                answered += 1;
            }
            Ok(Event::Claimed(claim)) => history.claims.push(claim),
            Ok(Event::Told(told)) => history.told.push(told),
            Err(RecvTimeoutError::Disconnected) => return history,
            Err(RecvTimeoutError::Timeout) => {
                over.store(true, Ordering::SeqCst);
                panic!("nothing happens any more, after {answered} answers");
            }
        }
        if answered >= operations {
            over.store(true, Ordering::SeqCst);
        }
    }
}

/// Creates the tables and the triggers.
fn prepare(database: &Database) {
    if database.engine.is_sqlite() {
        database.batch("PRAGMA journal_mode = WAL");
    }
    with_connection!(database.engine, &database.url, conn => {
        diesel_locks::blocking::migrate(conn).expect("migrations that run");
    });
    log::create(database);
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}")),
    )
}
