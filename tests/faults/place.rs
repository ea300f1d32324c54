//! The surroundings of a test: an engine, blocking or async, a database that all clients of the test share, and names
//! that no other test uses.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use diesel_locks::Lock;
pub use diesel_locks_tests::ms;
use diesel_locks_tests::{Engine, shared, unique};
use tokio::runtime::Runtime;

use crate::child;
use crate::client::{Client, Setup};
use crate::probe::{self, Probe};
use crate::proxy::Proxy;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Blocking,
    Async,
    /// Child processes of both kinds. The test itself is blocking.
    Both,
}

pub struct Place {
    pub engine: Engine,
    pub mode: Mode,
    pub url: String,
    pub group: String,
    /// The name of the test in libtest.
    pub path: String,
    /// True in a process that the test has started.
    pub is_child: bool,
    /// The runtime of the async clients.
    pub runtime: Runtime,
}

impl Place {
    pub fn new(engine: Engine, mode: Mode, path: &str) -> Self {
        if let Some((url, group, number)) = child::told() {
            // Children with odd numbers are async, where both kinds compete.
            let mode = match mode {
                Mode::Both if number % 2 == 1 => Mode::Async,
                mode => mode,
            };
            let mut place = Self::again(engine, mode, url, group);
            place.is_child = true;
            return place;
        }
        let group = format!("faults {}", unique());
        let url = engine.url(&group);
        engine.migrate(&url, probe::LEDGER).expect("a ledger");
        let mut place = Self::again(engine, mode, url, group);
        path.clone_into(&mut place.path);
        place
    }

    /// In a database that belongs to the test.
    #[cfg(feature = "postgres")]
    pub fn at(engine: Engine, mode: Mode, url: &str) -> Self {
        engine.migrate(url, probe::LEDGER).expect("a ledger");
        Self::again(engine, mode, url.to_owned(), format!("faults {}", unique()))
    }

    /// Another place of the same kind.
    pub fn another(&self) -> Self {
        Self::new(self.engine, self.mode, &self.path)
    }

    fn again(engine: Engine, mode: Mode, url: String, group: String) -> Self {
        Self {
            engine,
            mode,
            url,
            group,
            path: String::new(),
            is_child: false,
            runtime: runtime(),
        }
    }

    pub fn lock(&self, name: &str, ttl: Duration) -> Lock {
        let lock = Lock::in_group(&self.group, name).and_then(|lock| lock.with_ttl(ttl));
        lock.expect("a valid lock")
    }

    /// A network that can fail, if there is one, and a client behind it.
    pub fn line(&self, setup: &Setup) -> (Option<Proxy>, Client) {
        let (proxy, url) = self.proxy();
        (proxy, self.client(&url, setup))
    }

    /// A network that can fail, if there is one, and the URL of the database behind it.
    pub fn proxy(&self) -> (Option<Proxy>, String) {
        let Some(server) = self.server() else {
            return (None, self.url.clone());
        };
        let proxy = Proxy::to(server);
        let there = server.to_string();
        let url = self.url.replace(&there, &proxy.address.to_string());
        assert_ne!(url, self.url, "a url with an address in it");
        (Some(proxy), url)
    }

    /// A client whose network does not fail.
    pub fn rival(&self) -> Client {
        self.client(&self.url, &Setup::default())
    }

    pub fn probe(&self) -> Box<dyn Probe> {
        probe::of(self.engine, &self.url)
    }

    fn client(&self, url: &str, setup: &Setup) -> Client {
        Client::new(self.engine, self.mode, url, setup, &self.runtime)
    }

    fn server(&self) -> Option<SocketAddr> {
        let address = self.url.split_once('@')?.1.split_once('/')?.0;
        Some(address.parse().expect("an address of digits"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A child uses the database of the test that has started it, and must not remove it.
        if !self.is_child {
            shared::clear(&self.group);
        }
    }
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Repeats the question until the answer is yes. Returns how long that took.
#[track_caller]
pub fn within(limit: Duration, what: &str, mut question: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !question() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(ms(2));
    }
    began.elapsed()
}

/// Runs each of these in a thread of its own, because they mostly wait.
pub fn side_by_side(works: impl Iterator<Item = (String, impl FnOnce() + Send)>) {
    std::thread::scope(|scope| {
        for (name, work) in works {
            let thread = std::thread::Builder::new().name(name);
            thread.spawn_scoped(scope, work).expect("a thread");
        }
    });
}
