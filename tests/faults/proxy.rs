//! A network that fails on command: a proxy on loopback between the clients of a test and the server.
//!
//! A connection that has lost a byte is useless: nothing passes on it again. The exception: while only replies are
//! dropped, requests still pass.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pass,
    /// Nothing passes. Connections stay open, and new connections are accepted.
    Hang,
    /// Requests pass. This many replies pass, and later replies are dropped.
    Deaf(usize),
    /// All connections are closed. New connections are closed at once.
    Cut,
    /// Replies pass with this delay.
    Late(Duration),
}

/// The way to close a connection: with an end, or with a reset as when the server is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    Gently,
    WithReset,
}

pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    links: Mutex<Vec<Arc<Link>>>,
    swallowed: AtomicUsize,
    over: AtomicBool,
}

struct Link {
    client: TcpStream,
    /// `None` if the connection was opened while the network hung.
    server: Option<TcpStream>,
    lost: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Reply,
}

impl Proxy {
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            server,
            state: Mutex::new(State::Pass),
            links: Mutex::default(),
            swallowed: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        thread::spawn(move || accepting.accept(&listener));
        Self { address, shared }
    }

    pub fn cut(&self, how: Close) {
        self.shared.turn(State::Cut);
        self.shared.close(how, |_| true);
    }

    pub fn hang(&self) {
        self.shared.turn(State::Hang);
    }

    /// Lets this many replies pass, and drops the rest.
    pub fn drop_replies_after(&self, replies: usize) {
        self.shared.turn(State::Deaf(replies));
    }

    pub fn delay_replies(&self, time: Duration) {
        self.shared.turn(State::Late(time));
    }

    /// Everything passes again. Connections that have lost something are closed.
    pub fn come_back(&self, how: Close) {
        self.shared.turn(State::Pass);
        self.shared
            .close(how, |link| link.server.is_none() || link.lost.load(SeqCst));
    }

    /// Everything passes again on new connections. Old connections stay open, and no reply comes on them, not even an
    /// end.
    pub fn come_back_in_silence(&self) {
        for link in &*self.shared.links.lock().expect("links") {
            link.lost.store(true, SeqCst);
        }
        self.shared.turn(State::Pass);
    }

    /// The number of times that something was dropped.
    pub fn swallowed(&self) -> usize {
        self.shared.swallowed.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, SeqCst);
        self.cut(Close::Gently);
        let _ = TcpStream::connect(self.address); // wakes the accepting thread
    }
}

impl Shared {
    fn turn(&self, state: State) {
        *self.state.lock().expect("a state") = state;
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.over.load(SeqCst) {
                return;
            }
            if let Ok(client) = client {
                self.link(client);
            }
        }
    }

    fn link(self: &Arc<Self>, client: TcpStream) {
        // Locked while the link is made, so that no change of the state misses the link.
        let state = self.state.lock().expect("a state");
        let server = match *state {
            State::Cut => return,
            State::Hang => None,
            _ => TcpStream::connect(self.server).ok(),
        };
        let _ = client.set_nodelay(true);
        let link = Arc::new(Link {
            client,
            server,
            lost: AtomicBool::new(false),
        });
        self.links.lock().expect("links").push(link.clone());
        for way in [Way::Request, Way::Reply] {
            let (shared, link) = (self.clone(), link.clone());
            thread::spawn(move || shared.pump(&link, way));
        }
    }

    /// Copies the bytes of one direction until either end is closed.
    fn pump(&self, link: &Link, way: Way) {
        let (from, to) = match way {
            Way::Request => (Some(&link.client), link.server.as_ref()),
            Way::Reply => (link.server.as_ref(), Some(&link.client)),
        };
        let Some(mut from) = from else { return };
        let mut buffer = [0; 1 << 14];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if !self.passes(link, way) {
                continue;
            }
            let Some(mut to) = to else { continue };
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        self.ended(link, way);
    }

    fn passes(&self, link: &Link, way: Way) -> bool {
        let delay = {
            let mut state = self.state.lock().expect("a state");
            match (&mut *state, way) {
                (State::Deaf(_), Way::Request) => return true,
                (State::Deaf(0) | State::Hang | State::Cut, _) => {
                    link.lost.store(true, SeqCst);
                    self.swallowed.fetch_add(1, SeqCst);
                    return false;
                }
                (State::Deaf(replies), Way::Reply) => {
                    *replies -= 1;
                    Duration::ZERO
                }
                (State::Late(time), Way::Reply) => *time,
                (State::Pass | State::Late(_), _) => Duration::ZERO,
            }
        };
        thread::sleep(delay);
        !link.lost.load(SeqCst)
    }

    /// One end was closed. Closes the other end, unless the client must hear nothing more on this connection.
    fn ended(&self, link: &Link, way: Way) {
        match (way, &link.server) {
            (Way::Request, Some(server)) => drop(server.shutdown(Shutdown::Both)),
            (Way::Reply, _) if !link.lost.load(SeqCst) => {
                let _ = link.client.shutdown(Shutdown::Both);
            }
            _ => {}
        }
        if way == Way::Request {
            let mut links = self.links.lock().expect("links");
            links.retain(|other| !std::ptr::eq(Arc::as_ptr(other), link));
        }
    }

    fn close(&self, how: Close, which: impl Fn(&Link) -> bool) {
        let mut links = self.links.lock().expect("links");
        for link in links.extract_those(which) {
            link.close(how);
        }
    }
}

impl Link {
    fn close(&self, how: Close) {
        self.lost.store(true, SeqCst);
        let client = match how {
            Close::Gently => Shutdown::Both,
            // Sends no end. With this setting, dropping the last handle resets the connection.
            Close::WithReset => {
                let at_once = Some(Duration::ZERO);
                let _ = rustix::net::sockopt::set_socket_linger(&self.client, at_once);
                Shutdown::Read
            }
        };
        let _ = self.client.shutdown(client);
        if let Some(server) = &self.server {
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}

trait ExtractThose<T> {
    fn extract_those(&mut self, which: impl Fn(&T) -> bool) -> Vec<Arc<T>>;
}

impl<T> ExtractThose<T> for Vec<Arc<T>> {
    fn extract_those(&mut self, which: impl Fn(&T) -> bool) -> Vec<Arc<T>> {
        let (those, others) = std::mem::take(self).into_iter().partition(|it| which(it));
        *self = others;
        those
    }
}
