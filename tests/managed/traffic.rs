//! Counts what the connections of a `Locker` do: the open connections, and their statements on the tables of the locks.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use crate::session::Answer;
use diesel::connection::{Instrumentation, InstrumentationEvent};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The counts. All connections of a `Locker` share them.
pub struct Traffic {
    /// Limits the number of open connections where there is no pool with a limit.
    slots: Arc<Semaphore>,
    open: AtomicUsize,
    opened: AtomicUsize,
    /// The number of statements on locks that are not answered yet.
    at_work: AtomicUsize,
    statements: Mutex<Vec<String>>,
    slow_beats: AtomicBool,
    panics: AtomicBool,
    panicked: AtomicBool,
    meanwhile: Mutex<Option<Answer<'static, ()>>>,
    before: Mutex<Option<(&'static str, Happens)>>,
}

/// What another process does.
type Happens = Box<dyn FnOnce() + Send>;

impl Traffic {
    pub fn of(connections: u32) -> Arc<Self> {
        Arc::new(Self {
            slots: Arc::new(Semaphore::new(connections as usize)),
            open: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            at_work: AtomicUsize::new(0),
            statements: Mutex::default(),
            slow_beats: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            meanwhile: Mutex::default(),
            before: Mutex::default(),
        })
    }

    /// The number of connections that are open now.
    pub fn open(&self) -> usize {
        self.open.load(SeqCst)
    }

    /// The number of connections that were opened so far.
    pub fn opened(&self) -> usize {
        self.opened.load(SeqCst)
    }

    /// The number of statements on locks that are under way.
    pub fn at_work(&self) -> usize {
        self.at_work.load(SeqCst)
    }

    /// From now on, every extension of leases takes longer.
    pub fn slow_beats(&self) {
        self.slow_beats.store(true, SeqCst);
    }

    /// The statements on locks since the last call.
    pub fn spent(&self) -> Vec<String> {
        std::mem::take(&mut self.statements.lock().unwrap())
    }

    /// The number of heartbeats among the statements since the last call.
    pub fn beats(&self) -> usize {
        self.spent().iter().filter(|sql| is_beat(sql)).count()
    }

    /// Makes the next opening of a connection panic. Connections of a pool are opened in the background, without a
    /// panic.
    pub fn panic_in_the_background(&self) {
        self.panicked.store(false, SeqCst);
        self.panics.store(true, SeqCst);
    }

    pub fn has_panicked(&self) -> bool {
        self.panicked.load(SeqCst)
    }

    fn panic_if_asked_to(&self) {
        if self.panics.swap(false, SeqCst) {
            self.panicked.store(true, SeqCst);
            std::panic::resume_unwind(Box::new(()));
        }
    }

    /// Runs this future while the next connection is opened.
    pub fn meanwhile(&self, happens: Answer<'static, ()>) {
        *self.meanwhile.lock().unwrap() = Some(happens);
    }

    /// Does this on another thread right before the next statement that contains this text.
    pub fn before(&self, text: &'static str, happens: Happens) {
        *self.before.lock().unwrap() = Some((text, happens));
    }

    fn let_happen_before(&self, sql: &str) {
        let mut before = self.before.lock().unwrap();
        let happens = before.take_if(|(text, _)| sql.contains(*text));
        drop(before);
        if let Some((_, happens)) = happens {
            let happens = || std::thread::spawn(happens).join();
            tokio::task::block_in_place(happens).expect("another process");
        }
    }

    pub async fn let_happen(&self) {
        let happens = self.meanwhile.lock().unwrap().take();
        if let Some(happens) = happens {
            happens.await;
        }
    }

    /// Waits for permission to open a connection.
    pub async fn slot(&self) -> OwnedSemaphorePermit {
        self.panic_if_asked_to();
        let slot = self.slots.clone().acquire_owned().await;
        slot.expect("never closed")
    }

    /// Waits for permission to open a connection, and blocks the thread meanwhile.
    pub fn slot_of_a_thread(&self) -> OwnedSemaphorePermit {
        self.panic_if_asked_to();
        let slot = on_this_thread(self.slots.clone().acquire_owned());
        slot.expect("never closed")
    }

    /// Observes a connection until it is closed.
    pub fn watch(self: &Arc<Self>, slot: Option<OwnedSemaphorePermit>) -> Box<dyn Instrumentation> {
        self.open.fetch_add(1, SeqCst);
        self.opened.fetch_add(1, SeqCst);
        let connection = Connection {
            traffic: self.clone(),
            _slot: slot,
        };
        Box::new(move |event: InstrumentationEvent<'_>| connection.note(&event))
    }
}

/// Blocks the thread until the future is ready. A thread may have no runtime, and many that look again and again would
/// keep a busy machine from its work.
fn on_this_thread<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Lives as long as the connection that it observes.
struct Connection {
    traffic: Arc<Traffic>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn note(&self, event: &InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { query, .. } => self.starts(query.to_string()),
            InstrumentationEvent::FinishQuery { query, .. } if is_ours(&query.to_string()) => {
                self.traffic.at_work.fetch_sub(1, SeqCst);
            }
            _ => {}
        }
    }

    fn starts(&self, sql: String) {
        if !is_ours(&sql) {
            return;
        }
        self.traffic.at_work.fetch_add(1, SeqCst);
        self.traffic.let_happen_before(&sql);
        if is_beat(&sql) && self.traffic.slow_beats.load(SeqCst) {
            let time = Duration::from_millis(300);
            tokio::task::block_in_place(|| std::thread::sleep(time));
        }
        self.traffic.statements.lock().unwrap().push(sql);
    }
}

fn is_ours(sql: &str) -> bool {
    sql.contains("diesel_locks")
}

/// Returns whether the statement is a heartbeat. (Async `SQLite` shows the plain JSON of the leases.)
pub fn is_beat(sql: &str) -> bool {
    let has_leases = sql.contains("<leases>") || sql.contains("FROM json_each(?) asked");
    has_leases && sql.contains(" SET ") && !sql.contains("SET token")
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.traffic.open.fetch_sub(1, SeqCst);
    }
}

/// The background threads that called the observer, by their path in `/proc`.
#[derive(Clone, Default)]
pub struct Threads(Arc<Mutex<BTreeSet<String>>>);

impl Threads {
    pub fn note(&self) {
        if std::thread::current().name() != Some("diesel-locks") {
            return;
        }
        if let Ok(link) = std::fs::read_link("/proc/thread-self") {
            self.0.lock().unwrap().insert(link.display().to_string());
        }
    }

    pub fn seen(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The number of these threads that are still alive.
    pub fn alive(&self) -> usize {
        let threads = self.0.lock().unwrap();
        let name = |thread: &String| std::fs::read_to_string(format!("/proc/{thread}/comm"));
        let alive = threads
            .iter()
            .filter(|thread| name(thread).is_ok_and(|name| name.trim() == "diesel-locks"));
        alive.count()
    }
}
