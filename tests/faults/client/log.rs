//! A log of the observer's events.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel_locks::locker::{Event, EventKind};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Renewed,
    Late(Option<String>),
    Lost,
    Released,
    NotReleased(String),
}

#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<(Instant, Told)>>>);

impl Log {
    pub fn hear(&self, event: &Event<'_>) {
        let told = match event.kind {
            EventKind::Renewed { .. } => Told::Renewed,
            EventKind::Late { error, .. } => Told::Late(error.map(ToString::to_string)),
            EventKind::Lost { .. } => Told::Lost,
            EventKind::Released { .. } => Told::Released,
            EventKind::NotReleased { error } => Told::NotReleased(error.to_string()),
            _ => return,
        };
        self.0.lock().expect("a log").push((Instant::now(), told));
    }

    /// The events since this moment.
    pub fn since(&self, then: Instant) -> Vec<Told> {
        let told = self.0.lock().expect("a log");
        let since = told.iter().filter(|(at, _)| *at >= then);
        since.map(|(_, told)| told.clone()).collect()
    }

    pub fn tells(&self, then: Instant, what: impl Fn(&Told) -> bool) -> bool {
        self.since(then).iter().any(what)
    }

    /// The whole log, for the message of a failure.
    pub fn print(&self, began: Instant) -> String {
        let told = self.0.lock().expect("a log");
        let line = |(at, told): &(Instant, Told)| {
            let after = at.saturating_duration_since(began);
            format!("{:>6} ms {told:?}\n", Duration::as_millis(&after))
        };
        told.iter().map(line).collect()
    }
}
