//! Where a test runs: an engine, blocking or async, a database that all clients of the test share, and names that no
//! other test knows.

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
    /// Processes of both kinds; in the test itself blocking.
    Both,
}

pub struct Place {
    pub engine: Engine,
    pub mode: Mode,
    pub url: String,
    pub group: String,
    /// What libtest calls the test.
    pub path: String,
    /// Whether this process is one that the test has started.
    pub is_child: bool,
    /// Async clients live on it.
    pub runtime: Runtime,
}

impl Place {
    pub fn new(engine: Engine, mode: Mode, path: &str) -> Self {
        if let Some((url, group, number)) = child::told() {
            // Where both kinds compete.
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

    /// In a database of the test's own.
    #[cfg(feature = "postgres")]
    pub fn at(engine: Engine, mode: Mode, url: &str) -> Self {
        engine.migrate(url, probe::LEDGER).expect("a ledger");
        Self::again(engine, mode, url.to_owned(), format!("faults {}", unique()))
    }

    /// Another of the same kind.
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

    /// A way to the database that can fail, and a client that goes it.
    pub fn line(&self, setup: &Setup) -> (Option<Proxy>, Client) {
        let (proxy, url) = self.proxy();
        (proxy, self.client(&url, setup))
    }

    /// A way to the database that can fail, where there is a network.
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

    /// A client whose way to the database does not fail.
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
        // The database of a child is that of the test which has started the child.
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

/// Asks again until the answer is yes, and says how long that took.
#[track_caller]
pub fn within(limit: Duration, what: &str, mut question: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !question() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(ms(2));
    }
    began.elapsed()
}

/// Each in a thread of its own, for those that mostly wait.
pub fn side_by_side(works: impl Iterator<Item = (String, impl FnOnce() + Send)>) {
    std::thread::scope(|scope| {
        for (name, work) in works {
            let thread = std::thread::Builder::new().name(name);
            thread.spawn_scoped(scope, work).expect("a thread");
        }
    });
}
