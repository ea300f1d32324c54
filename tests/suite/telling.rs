//! The events of the feature `tracing`, and their content.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use diesel_locks::Wait;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::world::{World, ms, soon};

/// The events under one group of locks, each as a line.
#[derive(Clone)]
struct Log {
    group: String,
    lines: Arc<Mutex<Vec<(Level, String)>>>,
}

/// The logs of all worlds in this process. They record every thread and task.
static ALL: Mutex<Vec<Log>> = Mutex::new(Vec::new());

impl Log {
    fn of(world: &World) -> Self {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(Lines).expect("the first"));
        let group = world.lock("x").group().expect("a group").to_owned();
        let log = Self {
            group,
            lines: Arc::default(),
        };
        ALL.lock().unwrap().push(log.clone());
        log
    }

    fn lines(&self) -> Vec<(Level, String)> {
        self.lines.lock().unwrap().clone()
    }

    /// The level at which a message was recorded.
    fn level(&self, message: &str) -> Option<Level> {
        let is_it = |line: &&(Level, String)| line.1.contains(&format!("message={message} "));
        self.lines().iter().find(is_it).map(|line| line.0)
    }
}

struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "diesel_locks"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        for log in &*ALL.lock().unwrap() {
            if line.0.contains(&log.group) {
                let level = *event.metadata().level();
                log.lines.lock().unwrap().push((level, line.0.clone()));
            }
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).expect("a text");
    }
}

pub async fn what_happens_is_recorded_at_the_level_it_deserves(world: &World) {
    let (log, mut other) = (Log::of(world), world.session().await);
    let locks = world.locks().await.renew_every(ms(200));
    let lock = world.lock("x");
    let guard = locks.take(&lock).await;
    let token = guard.lease().token().to_owned();
    locks.told_busy(&lock).await;
    let wait = Wait::attempts(2).every(ms(1));
    assert!(locks.acquire(&lock, wait).await.is_err());
    soon("a beat", async || log.level("renewed").is_some()).await;
    if !world.is_sqlite() {
        other.begin().await.unwrap();
        other.sql(&world.touch_beat(&lock)).await.unwrap();
        soon("late", async || log.level("late").is_some()).await;
        other.rollback().await.unwrap();
        assert_eq!(log.level("late"), Some(Level::WARN));
    }
    other.take_away(&lock).await;
    soon("lost", async || log.level("lost").is_some()).await;
    let next = locks.take(&lock).await;
    let next_token = next.lease().token().to_owned();
    next.release().await.unwrap();
    for (message, level) in [
        ("acquired", Level::DEBUG),
        ("busy", Level::DEBUG),
        ("waiting", Level::DEBUG),
        ("renewed", Level::TRACE),
        ("lost", Level::ERROR),
        ("released", Level::DEBUG),
    ] {
        assert_eq!(log.level(message), Some(level), "{message}");
    }
    for (_, line) in log.lines() {
        assert!(line.contains(&format!("lock=\"{}\"", lock.key())), "{line}");
        assert!(
            !line.contains(&token) && !line.contains(&next_token),
            "{line}"
        );
    }
}
