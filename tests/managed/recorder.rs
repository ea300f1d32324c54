//! An observer that records its events.

use std::sync::{Arc, Mutex};

use diesel_locks::locker::{Event, EventKind};

use super::Observer;
use super::traffic::Threads;

#[derive(Clone, Default)]
pub struct Recorder {
    told: Arc<Mutex<Vec<Told>>>,
    /// The background threads that called the observer.
    pub threads: Threads,
}

#[derive(Clone, Debug)]
pub struct Told {
    pub key: String,
    pub owner: String,
    pub fence: Option<i64>,
    pub what: &'static str,
    /// The whole event, as a log would show it.
    pub debug: String,
}

impl Recorder {
    pub fn observer(&self) -> Observer {
        let here = self.clone();
        Box::new(move |event| here.note(event))
    }

    fn note(&self, event: &Event<'_>) {
        self.threads.note();
        self.told.lock().unwrap().push(Told {
            key: event.key.to_owned(),
            owner: event.owner.to_owned(),
            fence: event.fence,
            what: word(&event.kind),
            debug: format!("{event:?}"),
        });
    }

    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The kinds of all events, in order.
    pub fn words(&self) -> Vec<&'static str> {
        self.told().iter().map(|told| told.what).collect()
    }

    /// The kinds of all events except extensions, whose moments vary.
    pub fn words_without_beats(&self) -> Vec<&'static str> {
        let mut words = self.words();
        words.retain(|word| *word != "renewed");
        words
    }

    pub fn count(&self, word: &str) -> usize {
        let told = self.told.lock().unwrap();
        told.iter().filter(|told| told.what == word).count()
    }

    /// The kinds of a lock's events, except extensions.
    pub fn of(&self, key: &str) -> Vec<&'static str> {
        let told = self.told().into_iter();
        told.filter(|told| told.key == key && told.what != "renewed")
            .map(|told| told.what)
            .collect()
    }
}

fn word(what: &EventKind<'_>) -> &'static str {
    match what {
        EventKind::Acquired { .. } => "acquired",
        EventKind::Busy { .. } => "busy",
        EventKind::Waiting { .. } => "waiting",
        EventKind::Renewed { .. } => "renewed",
        EventKind::Late { .. } => "late",
        EventKind::Lost { .. } => "lost",
        EventKind::Released { .. } => "released",
        EventKind::NotReleased { .. } => "not released",
        _ => "something new",
    }
}
