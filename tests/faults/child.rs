//! This program again, as another process that runs the same test. Its environment tells it that it is the other
//! process.

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

/// The URL, the group and the number of this process, if it is a child.
pub fn told() -> Option<(String, String, usize)> {
    let [url, group, number] = VARIABLES.map(|name| std::env::var(name).ok());
    Some((url?, group?, number?.parse().ok()?))
}

/// A message of a child: the child's number, a word, and the rest of the line.
pub type Line = (usize, String, String);

/// No line that libtest prints begins like this.
const MARK: &str = "faults:";

pub fn say(word: &str, more: impl std::fmt::Display) {
    println!("\n{MARK}{word} {more}");
}

/// The child processes of a test. They end when this is dropped.
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

    /// Starts another child, and returns its number.
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

    /// The next message of any child. `None` if there is none in this time.
    pub fn hear(&self, within: Duration) -> Option<Line> {
        match self.lines.recv_timeout(within) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => unreachable!("we have a sender"),
        }
    }

    /// The rest of the next message, which must begin with this word.
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

    /// Kills a child without a warning.
    pub fn kill(&mut self, number: usize) {
        self.processes[number].kill().expect("a signal");
        self.processes[number].wait().expect("an end");
    }

    /// Waits for the end of a child. Returns whether it succeeded.
    pub fn ends_well(&mut self, number: usize) -> bool {
        // The pipe stays open. If it were closed, the child would think that its parent is gone.
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

/// Runs in a child: ends this process when the parent process ends, for any reason.
pub fn end_with_parent() {
    process::when_input_ends(|| std::process::exit(1));
}
