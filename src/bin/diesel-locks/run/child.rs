//! The process of the command, from its start to its end.
//!
//! - Dropping a [`Child`] kills a command that still runs.
//! - If the lock is lost, the command counts as ended only when its whole process group has ended.

use std::io::{self, IsTerminal};
use std::process::Command;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::system::{self, Process, Signal};

/// The interval of looking for the end of the command, in case no signal reports it.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// What can happen while the command runs.
enum Event {
    LockLost,
    Signal(Signal),
}

pub struct Child {
    process: Process,
    events: Receiver<Event>,
    sender: Sender<Event>,
    kill_after: Duration,
}

impl Child {
    /// Starts the command, and from then on passes signals on to it. The command gets a process group of its own,
    /// unless standard input is a terminal: a group in the background cannot read from the terminal.
    pub fn start(command: Command, kill_after: Duration) -> io::Result<Self> {
        let has_terminal = io::stdin().is_terminal();
        let (sender, events) = mpsc::channel();
        let process = Process::start(command, !has_terminal, kill_after)?;
        let child = Self {
            process,
            events,
            sender,
            kill_after,
        };
        child.receive(system::signals(has_terminal)?)?;
        Ok(child)
    }

    fn receive(&self, signals: impl Iterator<Item = Signal> + Send + 'static) -> io::Result<()> {
        let sender = self.sender.clone();
        let forward = move || {
            for signal in signals {
                let _ = sender.send(Event::Signal(signal));
            }
        };
        thread::Builder::new().spawn(forward)?;
        Ok(())
    }

    /// The callback for a lost lock: the command will be stopped.
    pub fn lost(&self) -> impl FnOnce() + Send + use<> {
        let sender = self.sender.clone();
        move || drop(sender.send(Event::LockLost))
    }

    /// Waits until the command has ended, and returns its exit code as shells do. If the lock is lost, asks the command
    /// to stop, and kills it after `kill_after`.
    pub fn until_end(mut self) -> u8 {
        let mut kill_at: Option<Instant> = None;
        loop {
            let is_overdue = kill_at.is_some_and(|at| at <= Instant::now());
            if is_overdue {
                self.process.kill();
            }
            if let Some(code) = self.process.code() {
                if kill_at.is_none() || is_overdue || self.process.is_group_gone() {
                    return code;
                }
            }
            match self.events.recv_timeout(POLL_INTERVAL) {
                Ok(Event::LockLost) => {
                    self.process.stop();
                    kill_at = Instant::now().checked_add(self.kill_after);
                }
                Ok(Event::Signal(signal)) => self.process.pass_on(signal),
                Err(_) => {}
            }
        }
    }
}
