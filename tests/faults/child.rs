//! This program again, as another process that runs the same test and is told by its environment that it is the other.

use std::process::Child;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use diesel_locks_tests::process;
use rustix::process::Signal;

use crate::place::Place;

const VARIABLES: [&str; 3] = [
    "DIESEL_LOCKS_FAULTS_URL",
    "DIESEL_LOCKS_FAULTS_GROUP",
    "DIESEL_LOCKS_FAULTS_NUMBER",
];

/// The url, the group and the number of this process, if it is a child.
pub fn told() -> Option<(String, String, usize)> {
    let [url, group, number] = VARIABLES.map(|name| std::env::var(name).ok());
    Some((url?, group?, number?.parse().ok()?))
}

/// Something told by a child: a word, and more.
pub type Line = (usize, String, String);

/// What libtest prints does not begin like this.
const MARK: &str = "faults:";

pub fn say(word: &str, more: impl std::fmt::Display) {
    println!("\n{MARK}{word} {more}");
}

/// The children of a test, which never outlive it.
pub struct Children<'p> {
    place: &'p Place,
    processes: Vec<Child>,
    sender: Sender<Line>,
    lines: Receiver<Line>,
}

impl<'p> Children<'p> {
    pub fn of(place: &'p Place) -> Self {
        let (sender, lines) = mpsc::channel();
        Self {
            place,
            processes: Vec::new(),
            sender,
            lines,
        }
    }

    /// Starts another one, and returns its number.
    pub fn start(&mut self) -> usize {
        let number = self.processes.len();
        let place = self.place;
        let values = [place.url.clone(), place.group.clone(), number.to_string()];
        let sender = self.sender.clone();
        let variables = VARIABLES.into_iter().zip(values);
        let child = process::start(&place.path, variables, move |line| {
            let told = line.strip_prefix(MARK).and_then(|it| it.split_once(' '));
            if let Some((word, more)) = told {
                let _ = sender.send((number, word.to_owned(), more.to_owned()));
            }
        });
        self.processes.push(child);
        number
    }

    /// What is told next, by whomever.
    pub fn hear(&self, within: Duration) -> Option<Line> {
        match self.lines.recv_timeout(within) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => unreachable!("we have a sender"),
        }
    }

    /// What is said next, which is to begin with this word.
    #[track_caller]
    pub fn expect(&self, word: &str, within: Duration) -> String {
        let heard = self.hear(within);
        let (_, told, more) = heard.unwrap_or_else(|| panic!("no {word:?} within {within:?}"));
        assert_eq!(told, word, "{more}");
        more
    }

    pub fn signal(&self, number: usize, signal: Signal) {
        process::signal(&self.processes[number], signal).expect("a signal");
    }

    /// Ends it, without any warning.
    pub fn kill(&mut self, number: usize) {
        self.processes[number].kill().expect("a signal");
        self.processes[number].wait().expect("an end");
    }

    /// Whether it ended well.
    pub fn ends_well(&mut self, number: usize) -> bool {
        // Its end of the pipe stays open: otherwise it would take ours for dead.
        let pipe = self.processes[number].stdin.take();
        let status = self.processes[number].wait().expect("an end");
        drop(pipe);
        status.success()
    }
}

impl Drop for Children<'_> {
    fn drop(&mut self) {
        self.processes.iter_mut().for_each(process::end);
    }
}

/// In a child: ends this process when the one that started it does, however that happens.
pub fn end_with_parent() {
    process::when_input_ends(|| std::process::exit(1));
}
