//! A command under a lock, which goes on. It runs while there is a file `up` in the database's folder, which it makes itself:
//! the file says that it runs, and without the folder nothing is left behind.

use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::database::Database;
use crate::program::{self, Said};

/// For what takes a moment, on a machine that has much to do.
pub const SOON: Duration = Duration::from_secs(60);

pub const WORK: &str = "touch up; while [ -e up ]; do sleep 0.05; done";

/// A program that goes on.
pub struct Job {
    pub child: Option<Child>,
    pid: Pid,
}

impl Job {
    pub fn start(database: &Database, words: &[&str]) -> Self {
        Self::of(program::command(words), database)
    }

    /// In the database's folder.
    pub fn of(mut command: Command, database: &Database) -> Self {
        command
            .env("DATABASE_URL", &database.url)
            .current_dir(&database.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        Self {
            pid: Pid::from_child(&child),
            child: Some(child),
        }
    }

    /// Until its command runs.
    pub fn at_work(database: &Database, words: &[&str]) -> Self {
        let job = Self::start(database, words);
        until("the command runs", || database.file("up").exists());
        job
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    #[track_caller]
    pub fn end(self) -> Said {
        self.output().into()
    }

    /// Its end, and that of everybody who could still write to its output.
    #[track_caller]
    pub fn output(mut self) -> Output {
        let child = self.child.take().unwrap();
        let (sender, said) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
        let output = said.recv_timeout(SOON);
        output.expect("it ends, and leaves nobody behind")
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "{what}, sooner or later");
        thread::sleep(Duration::from_millis(20));
    }
}

pub fn is_held(database: &Database) -> bool {
    let shown = database.run(&["show", "x", "--json"]).done();
    shown.contains(r#""held": true"#)
}

pub fn fence(database: &Database) -> String {
    let shown = database.run(&["show", "x", "--json"]).done();
    let (_, rest) = shown.split_once(r#""fence": "#).unwrap();
    rest.split_once(',').unwrap().0.to_owned()
}

pub fn take_away(database: &Database) {
    let released = database.run(&["release", "x", "--force", "--yes"]);
    assert_eq!(released.done(), "x is released\n");
}

/// The words of a `run` of this script under the lock `x`.
pub fn run<'w>(options: &[&'w str], script: &'w str) -> Vec<&'w str> {
    let shell = ["--", "sh", "-c", script];
    [&["run", "x"], options, &shell].concat()
}

pub fn said(database: &Database, options: &[&str], script: &str) -> Said {
    Job::start(database, &run(options, script)).end()
}
