//! A command under a lock that runs until the test stops it.
//!
//! The command creates the file `up` in the database's folder, and runs while that file exists: so the test sees that
//! the command runs, and a command whose folder is removed ends.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::database::Database;
use crate::program::{self, Said};

/// The time limit for what usually takes a moment: the machine may be busy.
pub const SOON: Duration = Duration::from_secs(60);

pub const WORK: &str = "touch up; while [ -e up ]; do sleep 0.05; done";

/// Returns whether this process catches the signal. The program does so a moment after its command has started. Only
/// Linux tells; elsewhere the answer is yes.
pub fn catches(process: &str, signal: Signal) -> bool {
    if cfg!(not(target_os = "linux")) {
        return true;
    }
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << (signal.as_raw() - 1)) != 0)
}

/// A running `diesel-locks`.
pub struct Job {
    pub child: Option<Child>,
    pid: Pid,
}

impl Job {
    pub fn start(database: &Database, words: &[&str]) -> Self {
        Self::of(program::command(words), database)
    }

    /// Starts it in the database's folder.
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

    /// Starts it, and waits until its command runs.
    pub fn at_work(database: &Database, words: &[&str]) -> Self {
        let job = Self::start(database, words);
        until("the command runs", || database.file("up").exists());
        job
    }

    /// Sends a signal, once the program catches it.
    pub fn signal(&self, signal: Signal) {
        let process = self.pid.as_raw_nonzero().to_string();
        if signal != Signal::KILL {
            until("the program catches it", || catches(&process, signal));
        }
        kill_process(self.pid, signal).unwrap();
    }

    #[track_caller]
    pub fn end(self) -> Said {
        self.output().into()
    }

    /// Waits until it has ended, and every process that could still write to its output.
    #[track_caller]
    pub fn output(mut self) -> Output {
        let child = self.child.take().unwrap();
        let (sender, said) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
        let output = said.recv_timeout(SOON);
        output.expect("it ends, and leaves no process behind")
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
pub fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is_true() {
        assert!(Instant::now() < end, "timeout: {what}");
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

pub fn force_release(database: &Database) {
    let released = database.run(&["release", "x", "--force"]);
    assert_eq!(released.done(), "x is released\n");
}

/// The arguments that run this script under the lock `x`.
pub fn run<'w>(options: &[&'w str], script: &'w str) -> Vec<&'w str> {
    let shell = ["--", "sh", "-c", script];
    [&["run", "x"], options, &shell].concat()
}

/// Runs this script under the lock `x`.
pub fn said(database: &Database, options: &[&str], script: &str) -> Said {
    Job::start(database, &run(options, script)).end()
}
