//! The test itself: it starts the racers, stops them at arbitrary moments, and receives their events.

use std::io::Write;
use std::process::Child;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel_locks_tests::{Engine, process};
use rustix::process::Signal;

use crate::event::Event;
use crate::ground::{Ground, Racing};
use crate::racer::{self, Proof, below};
use crate::verdict::Verdict;

const RACERS: usize = 5;
/// The number of takeovers in the normal run.
const TAKEOVERS: usize = 200;
/// The number of takeovers in the control. Without the pin, a few takeovers are enough to show stale commits.
const TAKEOVERS_OF_CONTROL: usize = 60;
/// The race fails if it has to wait longer than this.
const STUCK: Duration = Duration::from_secs(30);

/// Only one race runs at a time, because each race needs the whole machine.
static TURN: Mutex<()> = Mutex::new(());

pub struct Test {
    pub engine: Engine,
    /// The name of the test in libtest. The racers are started with it.
    pub path: &'static str,
    pub proof: Proof,
}

/// The events, in the order in which they came.
#[derive(Debug, Default)]
pub struct Heard {
    pub events: Vec<Event>,
    pub stops: usize,
    pub took: Duration,
}

impl Test {
    /// Runs the race. In a process that the race has started, runs one racer.
    pub fn run<C: Racing>(&self) {
        if let Some((ground, number)) = Ground::of_racer() {
            return racer::race::<C>(ground, number, self.proof);
        }
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let ground = Ground::new(self.engine);
        ground.prepare::<C>();
        let long = std::env::var("DIESEL_LOCKS_TAKEOVERS").ok();
        let long = long.map(|number| number.parse().expect("a number of takeovers"));
        let takeovers = match self.proof {
            Proof::Pin => long.unwrap_or(TAKEOVERS),
            Proof::Check => TAKEOVERS_OF_CONTROL,
        };
        let heard = Race::start(self.path, &ground).run(takeovers);
        let rows = ground.ledger().read(&mut ground.connect::<C>(0));
        let verdict = Verdict::of(&heard, &rows.expect("the ledger"));
        self.say(&verdict);
        match self.proof {
            Proof::Pin => verdict.assert_right(long.is_some()),
            Proof::Check => verdict.assert_wrong(),
        }
        ground.clear::<C>();
    }

    /// Prints the verdict past libtest, which hides the output of a successful test.
    fn say(&self, verdict: &Verdict) {
        let form = match self.proof {
            Proof::Pin => "",
            Proof::Check => " with a check in place of the pin",
        };
        let text = format!("\nThe race on {}{form}:\n{verdict}", self.engine.name());
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// The racers. They are killed when this is dropped.
struct Race {
    racers: Vec<Child>,
    events: Receiver<(usize, Event)>,
    heard: Heard,
    stopped: Option<usize>,
    /// The number of the racer that acquired last.
    holder: usize,
}

impl Race {
    fn start(path: &str, ground: &Ground) -> Self {
        let (sender, events) = mpsc::channel();
        let racers = (0..RACERS).map(|number| {
            let sender = sender.clone();
            process::start(path, ground.variables(number), move |line| {
                if let Some(event) = Event::read(line) {
                    let _ = sender.send((number, event));
                }
            })
        });
        Self {
            racers: racers.collect(),
            events,
            heard: Heard::default(),
            stopped: None,
            holder: 0,
        }
    }

    fn run(mut self, takeovers: usize) -> Heard {
        let begun = Instant::now();
        let (mut going, mut next, mut acquired) = (0, begun, begun);
        // The last holders may still release, so a few more acquisitions are needed.
        while going < takeovers + RACERS + 1 {
            if next <= Instant::now() {
                next = Instant::now() + self.stop_or_go();
            }
            match self.hear(next) {
                Some(Event::Acquired(_)) => (going, acquired) = (going + 1, Instant::now()),
                Some(Event::Released(_)) => going -= 1,
                _ => {}
            }
            assert!(acquired.elapsed() < STUCK, "nobody acquires it any more");
        }
        self.heard.took = begun.elapsed();
        self.end();
        std::mem::take(&mut self.heard)
    }

    /// The next event. `None` if no event comes until then.
    fn hear(&mut self, until: Instant) -> Option<Event> {
        let rest = until.saturating_duration_since(Instant::now());
        let (number, event) = match self.events.recv_timeout(rest) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => panic!("all racers have ended"),
        };
        if let Event::Acquired(_) = event {
            self.holder = number;
        }
        self.heard.events.push(event);
        Some(event)
    }

    /// Lets the stopped racer go on. If no racer is stopped, stops one: the holder or any racer, with equal chances.
    /// Returns the time until the next call.
    fn stop_or_go(&mut self) -> Duration {
        let (signal, number, pause) = match self.stopped.take() {
            Some(number) => (Signal::CONT, number, 10 + below(50)),
            None if below(2) == 0 => (Signal::STOP, self.holder, 2 + below(30)),
            None => (Signal::STOP, below(RACERS), 2 + below(30)),
        };
        if signal == Signal::STOP {
            self.stopped = Some(number);
            self.heard.stops += 1;
        }
        let _ = process::signal(&self.racers[number], signal);
        Duration::from_millis(pause as u64)
    }

    /// Lets the racers finish their work, and receives the remaining events.
    fn end(&mut self) {
        for racer in &mut self.racers {
            let _ = process::signal(racer, Signal::CONT);
            drop(racer.stdin.take());
        }
        loop {
            match self.events.recv_timeout(STUCK) {
                Ok((_, event)) => self.heard.events.push(event),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("racers that do not end"),
            }
        }
        for racer in &mut self.racers {
            let status = racer.wait().expect("an end");
            assert!(status.success(), "a racer failed, see above: {status}");
        }
    }
}

impl Drop for Race {
    fn drop(&mut self) {
        self.racers.iter_mut().for_each(process::end);
    }
}
