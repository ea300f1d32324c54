//! The command, from its start to its end.
//!
//! - Whoever drops a [`Child`] leaves no command behind: one that still runs is killed.
//! - A command that lost its lock has ended when its whole process group has.

use std::io::{self, IsTerminal};
use std::process::Command;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::system::{self, Process, Signal};

/// Its end is looked for so often if nothing tells of it.
const LOOK: Duration = Duration::from_millis(200);

/// What happens while it runs.
enum Event {
    Lost,
    Signal(Signal),
}

pub struct Child {
    process: Process,
    events: Receiver<Event>,
    sender: Sender<Event>,
    kill_after: Duration,
}

impl Child {
    /// Starts it, and passes signals on to it. A group of its own has no terminal to read from.
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

    /// To be called when the lock is lost.
    pub fn lost(&self) -> impl FnOnce() + Send + use<> {
        let sender = self.sender.clone();
        move || drop(sender.send(Event::Lost))
    }

    /// Waits for its end, and returns its exit code as shells do. Once the lock is lost it is told to stop, and killed if
    /// it has not `kill_after` then.
    pub fn until_end(mut self) -> u8 {
        let mut kill_at: Option<Instant> = None;
        loop {
            let is_over = kill_at.is_some_and(|at| at <= Instant::now());
            if is_over {
                self.process.kill();
            }
            if let Some(code) = self.process.code() {
                if kill_at.is_none() || is_over || self.process.is_group_gone() {
                    return code;
                }
            }
            match self.events.recv_timeout(LOOK) {
                Ok(Event::Lost) => {
                    self.process.stop();
                    kill_at = Instant::now().checked_add(self.kill_after);
                }
                Ok(Event::Signal(signal)) => self.process.pass_on(signal),
                Err(_) => {}
            }
        }
    }
}
