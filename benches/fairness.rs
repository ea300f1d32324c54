//! How processes share a lock that each of them always wants. The first process has three waiters, and every other
//! process has one. Each waiter acquires the lock, holds it, releases it, and wants it again at once.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use diesel_locks::Wait;
use diesel_locks::blocking::Locker;

use crate::bare::Bench;
use crate::database::Database;
use crate::engine::{Engine, on};
use crate::figure::{Figures, Reach};
use crate::form::Form;
use crate::handoff::micros;

/// How long a process keeps the lock within itself while another process waits.
const TURN: Duration = Duration::from_secs(1);

pub fn measure(database: &Database, form: &Form, figures: &mut Figures) {
    let listens: &[bool] = match database.engine {
        Engine::Postgres => &[false, true],
        _ => &[false],
    };
    for hold in form.fair {
        for processes in [2, 4] {
            for listens in listens {
                let contest = Contest {
                    processes,
                    hold: *hold,
                    listens: *listens,
                    time: form.watch + *hold * 15,
                };
                contest.report(&contest.run(database), database.engine, figures);
            }
        }
    }
}

struct Contest {
    processes: u32,
    hold: Duration,
    listens: bool,
    time: Duration,
}

/// What one process saw: when it acquired the lock, and when it released it, in microseconds since 1970.
type Holds = Vec<[u128; 2]>;

impl Contest {
    fn run(&self, database: &Database) -> Vec<Holds> {
        let waiters = |number| if number == 0 { 3 } else { 1 };
        let children: Vec<Child> = (0..self.processes)
            .map(|number| self.start(database, waiters(number)))
            .collect();
        children.into_iter().map(holds).collect()
    }

    fn start(&self, database: &Database, waiters: u32) -> Child {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let listens = if self.listens { "listen" } else { "poll" };
        child.args(["turns", &database.url, database.engine.word(), listens]);
        let numbers = [
            u128::from(waiters),
            self.hold.as_millis(),
            self.time.as_millis(),
        ];
        child.args(numbers.map(|number| number.to_string()));
        child.stdout(Stdio::piped()).spawn().unwrap()
    }

    fn report(&self, seen: &[Holds], engine: Engine, figures: &mut Figures) {
        let (of, name) = (("fairness", engine.name()), self.name());
        let of_all = || seen.iter().flatten();
        let began = of_all().map(|hold| hold[0]).min().unwrap_or_default();
        let ended = of_all().map(|hold| hold[1]).max().unwrap_or_default();
        let longest = seen.iter().map(|holds| longest_wait(holds, began, ended));
        let limit = (TURN + self.hold) * self.processes + TURN;
        figures.reaching(
            of,
            format!("{name}, longest wait of a process"),
            (longest.fold(0.0, f64::max), "s"),
            Some(Reach::AtMost(limit.as_secs_f64())),
        );
        let turns: Vec<String> = seen.iter().map(|holds| holds.len().to_string()).collect();
        let held: u128 = of_all().map(|hold| hold[1] - hold[0]).sum();
        figures.value(
            of,
            format!("{name}, held ({})", turns.join(", ")),
            seconds(held) * 100.0 / seconds(ended - began),
            "% of the time",
        );
    }

    fn name(&self) -> String {
        let listens = if self.listens { ", listening" } else { "" };
        format!(
            "processes: {}, holds of {:?}{listens}",
            self.processes, self.hold
        )
    }
}

fn holds(child: Child) -> Holds {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "a process failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let hold = |line: &str| {
        let mut fields = line.split(' ').map(|field| field.parse().unwrap());
        std::array::from_fn(|_| fields.next().unwrap())
    };
    let mut holds: Holds = text.lines().map(hold).collect();
    holds.sort_unstable();
    holds
}

/// The longest time, in seconds, in which the process held the lock not once.
fn longest_wait(holds: &Holds, began: u128, ended: u128) -> f64 {
    let mut since = began;
    let mut waits = Vec::new();
    for [acquired, released] in holds.iter().copied().chain([[ended, ended]]) {
        waits.push(acquired.saturating_sub(since));
        since = released;
    }
    seconds(waits.into_iter().max().unwrap_or_default())
}

fn seconds(micros: u128) -> f64 {
    Duration::from_micros(u64::try_from(micros).unwrap()).as_secs_f64()
}

/// The work of one process. Prints the time of the acquisition and the time of the release of each hold.
pub fn child(url: &str, engine: &str, listens: bool, [waiters, hold, time]: [u64; 3]) {
    let engine = Engine::named(engine);
    let database = Database::at(engine, url);
    let (hold, time) = (Duration::from_millis(hold), Duration::from_millis(time));
    on!(engine, contend(&database, listens, waiters, hold, time));
}

fn contend<C: Bench>(
    database: &Database,
    listens: bool,
    waiters: u64,
    hold: Duration,
    time: Duration,
) {
    let began = Instant::now();
    let mut locker = Locker::new(C::pool(&database.url, 8));
    if listens {
        locker = locker.listen(&database.url);
    }
    std::thread::scope(|scope| {
        for _ in 0..waiters {
            scope.spawn(|| {
                while let Some(rest) = time.checked_sub(began.elapsed()) {
                    let Ok(guard) = locker.acquire("fairness", Wait::up_to(rest)) else {
                        continue;
                    };
                    let acquired = micros();
                    std::thread::sleep(hold);
                    println!("{acquired} {}", micros());
                    guard.release().unwrap();
                }
            });
        }
    });
}
