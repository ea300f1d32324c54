//! The faults of a database, as a client sees them.

use diesel_locks_tests::Engine;

use crate::client::{Client, Setup};
use crate::place::{Place, ms};
use crate::probe::Probe;
use crate::proxy::{Close, Proxy};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connections are closed, and new connections are refused.
    Cut,
    /// Connections are reset, as when the server is killed, and new connections are refused.
    Reset,
    /// Nothing passes.
    Hang,
    /// Requests pass, replies do not.
    Deaf,
    /// The pool gives no connections.
    Gate,
    /// SQLite: another connection writes in a long transaction, and the application waits for it.
    Writer,
    /// SQLite: another connection has locked the file, and the application does not wait.
    Locked,
}

impl Fault {
    pub fn of(engine: Engine) -> &'static [Self] {
        if engine.is_sqlite() {
            return &[Self::Gate, Self::Writer, Self::Locked];
        }
        &[Self::Cut, Self::Reset, Self::Hang, Self::Deaf, Self::Gate]
    }

    /// Returns whether a request on a thread gets no answer while the fault lasts.
    pub fn keeps_waiting(self) -> bool {
        matches!(self, Self::Hang | Self::Deaf | Self::Writer)
    }
}

/// A client, and a fault between the client and its database.
pub struct Line {
    pub client: Client,
    fault: Fault,
    proxy: Option<Proxy>,
    /// The other writer on SQLite.
    writer: Option<Box<dyn Probe>>,
}

impl Line {
    pub fn new(place: &Place, fault: Fault) -> Self {
        let patience = if fault == Fault::Locked { 50 } else { 20_000 };
        let setup = Setup {
            patience: ms(patience),
            ..Setup::default()
        };
        let (proxy, client) = place.line(&setup);
        let writer = place.engine.is_sqlite().then(|| place.probe());
        Self {
            client,
            fault,
            proxy,
            writer,
        }
    }

    pub fn begin(&mut self) {
        match (self.fault, &self.proxy, &mut self.writer) {
            (Fault::Gate, ..) => self.client.gate().close(true),
            (Fault::Cut, Some(proxy), _) => proxy.cut(Close::Gently),
            (Fault::Reset, Some(proxy), _) => proxy.cut(Close::WithReset),
            (Fault::Hang, Some(proxy), _) => proxy.hang(),
            (Fault::Deaf, Some(proxy), _) => proxy.drop_replies_after(0),
            (Fault::Writer, _, Some(writer)) => begin(&mut **writer, "BEGIN IMMEDIATE"),
            (Fault::Locked, _, Some(writer)) => begin(&mut **writer, "BEGIN EXCLUSIVE"),
            (fault, ..) => unreachable!("{fault:?} is not of this engine"),
        }
    }

    pub fn end(&mut self) {
        self.client.gate().close(false);
        if let Some(proxy) = &self.proxy {
            proxy.come_back(Close::Gently);
        }
        if let (Fault::Writer | Fault::Locked, Some(writer)) = (self.fault, &mut self.writer) {
            writer.batch("ROLLBACK").expect("an end");
        }
    }
}

fn begin(writer: &mut dyn Probe, sql: &str) {
    writer.batch(sql).expect("a transaction of somebody else");
}
