//! Counts the statements that this process sends, and the time that the database takes for them. Diesel reports them
//! for every connection that is opened while counting.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};

static COUNTING: AtomicBool = AtomicBool::new(false);
static STATEMENTS: AtomicU64 = AtomicU64::new(0);
static MICROS: AtomicU64 = AtomicU64::new(0);

/// Counts statements until it is dropped.
pub struct Counting(());

#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub statements: u64,
    pub took: Duration,
}

impl Counting {
    pub fn start() -> Self {
        set_default_instrumentation(|| {
            let counter = Counter { began: None };
            COUNTING
                .load(Ordering::SeqCst)
                .then(|| Box::new(counter) as Box<dyn Instrumentation>)
        })
        .unwrap();
        COUNTING.store(true, Ordering::SeqCst);
        Self(())
    }

    /// The count since the last call.
    #[expect(clippy::unused_self, reason = "there is no count without counting")]
    pub fn spent(&self) -> Count {
        Count {
            statements: STATEMENTS.swap(0, Ordering::SeqCst),
            took: Duration::from_micros(MICROS.swap(0, Ordering::SeqCst)),
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        COUNTING.store(false, Ordering::SeqCst);
    }
}

struct Counter {
    began: Option<Instant>,
}

impl Instrumentation for Counter {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => {
                STATEMENTS.fetch_add(1, Ordering::SeqCst);
                self.began = Some(Instant::now());
            }
            InstrumentationEvent::FinishQuery { .. } => {
                let took = self.began.take().map(|began| began.elapsed().as_micros());
                let took = took.and_then(|took| u64::try_from(took).ok());
                MICROS.fetch_add(took.unwrap_or(0), Ordering::SeqCst);
            }
            _ => {}
        }
    }
}
