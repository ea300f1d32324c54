//! The life of one process of a history, seen from outside: it is stopped and killed, and its two networks fail. After a
//! kill another process takes its place.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::sleep;
use std::time::{Duration, Instant};

use diesel_locks_tests::{ms, process};
use rustix::process::Signal;

use crate::ground::{Ground, Rule};
use crate::operation::Event;
use crate::proxy::{Close, Proxy};
use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Stop,
    Kill,
    Cut,
    Reset,
    Hang,
    /// Replies are dropped, after some have passed.
    Deaf,
    /// Replies are late.
    Late,
    /// The connections of tasks hang, and stay open in silence when the network is back.
    Silence,
}

impl Fault {
    const OF_PROCESSES: [Self; 5] = [Self::Stop, Self::Stop, Self::Stop, Self::Stop, Self::Kill];
    const OF_NETWORKS: [Self; 7] = [
        Self::Cut,
        Self::Reset,
        Self::Hang,
        Self::Deaf,
        Self::Deaf,
        Self::Late,
        Self::Silence,
    ];
}

/// What all processes of a history share outside of them.
pub struct Sky<'s> {
    /// The test in libtest that is the child's code.
    pub path: &'s str,
    pub processes: &'s AtomicU64,
    pub over: &'s AtomicBool,
}

/// How often each fault happened, and how often a reply or a request was dropped.
#[derive(Debug, Default)]
pub struct Happened {
    pub faults: BTreeMap<Fault, usize>,
    pub dropped: usize,
}

pub struct Weather<'s> {
    sky: &'s Sky<'s>,
    ground: Ground,
    /// The networks of tasks and of threads. SQLite has none.
    networks: Option<[Proxy; 2]>,
    random: Random,
    process: Child,
    events: Sender<Event>,
    happened: Happened,
}

/// A process ends within this time after it was told to.
const END: Duration = ms(60_000);

impl<'s> Weather<'s> {
    pub fn new(sky: &'s Sky<'s>, mut ground: Ground, events: Sender<Event>) -> Self {
        let networks = networks(&mut ground);
        let (process, number) = start(sky, &mut ground, &events);
        let possible = networks.iter().flat_map(|_| Fault::OF_NETWORKS);
        let possible = possible.chain(Fault::OF_PROCESSES);
        let happened = Happened {
            faults: possible.map(|fault| (fault, 0)).collect(),
            dropped: 0,
        };
        Self {
            random: Random::of(ground.seed, number << 8),
            sky,
            ground,
            networks,
            process,
            events,
            happened,
        }
    }

    /// Lets faults happen until the history is over.
    pub fn pass(mut self) -> Happened {
        while !self.sky.over.load(Ordering::SeqCst) {
            let calm = self.random.ms(50, 500);
            sleep(calm);
            let ended = self.process.try_wait().expect("a process");
            assert_eq!(ended, None, "a process has failed, see above");
            let fault = self.next();
            *self.happened.faults.entry(fault).or_default() += 1;
            self.suffer(fault);
        }
        self.end()
    }

    fn next(&mut self) -> Fault {
        let is_network = self.networks.is_some() && !self.random.one_in(4);
        match self.ground.rule {
            // In a control the pauses matter: they make stale holders.
            Rule::Kept if is_network => self.random.pick(&Fault::OF_NETWORKS),
            Rule::Kept => self.random.pick(&Fault::OF_PROCESSES),
            _ => Fault::Stop,
        }
    }

    fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::Stop => {
                let pause = if self.random.one_in(3) {
                    self.random.ms(200, 900)
                } else {
                    self.random.ms(5, 100)
                };
                self.signal(Signal::STOP);
                sleep(pause);
                self.signal(Signal::CONT);
            }
            Fault::Kill => {
                process::end(&mut self.process);
                (self.process, _) = start(self.sky, &mut self.ground, &self.events);
            }
            fault => self.fail(fault),
        }
    }

    /// One network fails, and comes back after a while.
    fn fail(&mut self, fault: Fault) {
        let place = usize::from(fault != Fault::Silence && self.random.one_in(3));
        let (lasts, delay) = (self.random.ms(20, 400), self.random.ms(2, 60));
        let (passing, how) = (self.random.place(8), self.random.pick(&HOW));
        let Some(networks) = &self.networks else {
            return;
        };
        let network = &networks[place];
        match fault {
            Fault::Cut => network.cut(Close::Gently),
            Fault::Reset => network.cut(Close::WithReset),
            Fault::Deaf => network.drop_replies_after(passing),
            Fault::Late => network.delay_replies(delay),
            _ => network.hang(),
        }
        sleep(lasts);
        match fault {
            Fault::Silence => network.come_back_in_silence(),
            _ => network.come_back(how),
        }
    }

    fn signal(&self, signal: Signal) {
        let _ = process::signal(&self.process, signal);
    }

    /// Tells the process to end, and waits for it.
    fn end(mut self) -> Happened {
        drop(self.process.stdin.take());
        let told = Instant::now();
        let status = loop {
            match self.process.try_wait().expect("a process") {
                Some(status) => break status,
                None => assert!(told.elapsed() < END, "a process that does not end"),
            }
            sleep(ms(5));
        };
        assert!(status.success(), "a process failed, see above: {status}");
        let networks = self.networks.iter().flatten();
        self.happened.dropped = networks.map(Proxy::swallowed).sum();
        std::mem::take(&mut self.happened)
    }
}

const HOW: [Close; 2] = [Close::Gently, Close::WithReset];

impl Drop for Weather<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.sky.over.store(true, Ordering::SeqCst); // the history has failed
        }
        process::end(&mut self.process);
    }
}

/// Starts a process with a number that no other process has.
fn start(sky: &Sky<'_>, ground: &mut Ground, events: &Sender<Event>) -> (Child, u64) {
    ground.process = sky.processes.fetch_add(1, Ordering::SeqCst);
    let events = events.clone();
    let child = process::start(sky.path, ground.variables(), move |line| {
        if let Some(event) = Event::read(line) {
            let _ = events.send(event);
        }
    });
    (child, ground.process)
}

/// Puts a proxy in front of the server for each of the two URLs.
fn networks(ground: &mut Ground) -> Option<[Proxy; 2]> {
    if ground.engine.is_sqlite() {
        return None;
    }
    let (_, place) = ground.urls[0].split_once('@').expect("a user");
    let (address, _) = place.split_once('/').expect("a database");
    let address = address.to_owned();
    let server = address.parse().expect("an address of digits");
    let networks = [Proxy::to(server), Proxy::to(server)];
    for (url, network) in ground.urls.iter_mut().zip(&networks) {
        *url = url.replace(&address, &network.address.to_string());
    }
    Some(networks)
}
