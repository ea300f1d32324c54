//! Processes and signals, on Unix.
//!
//! - A process that was waited for is not signalled any more: its number may be somebody else's.
//! - The command inherits how signals were treated before us (`nohup`): we begin to catch them after it has started.
//! - Wherever the command runs, a watchdog watches over it.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;
use std::{io, iter};

use rustix::process::Pid;
pub use rustix::process::Signal;
use signal_hook::consts::{SIGCHLD, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::target::Target;
use crate::watchdog::Watchdog;

pub struct Process {
    child: Child,
    target: Target,
    code: Option<u8>,
    watchdog: Watchdog,
}

impl Process {
    pub fn start(mut command: Command, has_group: bool, kill_after: Duration) -> io::Result<Self> {
        if has_group {
            command.process_group(0);
        }
        let watchdog = Watchdog::start(kill_after)?;
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let target = if has_group {
            Target::Group(pid)
        } else {
            Target::Process(pid)
        };
        let mut process = Self {
            child,
            target,
            code: None,
            watchdog,
        };
        process.watchdog.watch_over(target)?;
        Ok(process)
    }

    /// Once it has ended. That it cannot be waited for means that it is not there.
    pub fn code(&mut self) -> Option<u8> {
        if self.code.is_none() {
            self.code = match self.child.try_wait() {
                Ok(status) => status.map(code),
                Err(_) => Some(u8::MAX),
            };
        }
        self.code
    }

    fn send(&self, signal: Signal) {
        if let Some(target) = self.target() {
            target.send(signal);
        }
    }

    /// Passes a signal on that this program has received. `CHLD` is only meant for this program: a child has ended.
    pub fn pass_on(&self, signal: Signal) {
        if signal != Signal::CHILD {
            self.send(signal);
        }
    }

    pub fn stop(&self) {
        if let Some(target) = self.target() {
            target.stop();
        }
    }

    pub fn kill(&self) {
        self.send(Signal::KILL);
    }

    /// Whether nothing is left that it started, as far as we know.
    pub fn is_group_gone(&self) -> bool {
        self.target().is_none_or(Target::is_gone)
    }

    fn target(&self) -> Option<Target> {
        let is_ours = self.code.is_none() || matches!(self.target, Target::Group(_));
        is_ours.then_some(self.target)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.code().is_none() {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

fn code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(signal);
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

/// The signals that reach this program from now on and concern the command, as an endless iterator.
///
/// The terminal sends its signals to a command in the foreground as well, so they are left out if the command has the
/// terminal. Without a terminal, Ctrl-Z is caught and has no effect: it would stop this program, and the command would
/// run on after the lease has expired.
pub fn signals(has_terminal: bool) -> io::Result<impl Iterator<Item = Signal> + Send> {
    let passed_on = [Signal::TERM, Signal::USR1, Signal::USR2];
    let terminal = [Signal::INT, Signal::QUIT, Signal::HUP];
    let caught = passed_on
        .iter()
        .chain(&terminal)
        .map(|signal| signal.as_raw());
    let stop = (!has_terminal).then_some(SIGTSTP);
    let mut signals = Signals::new(caught.chain([SIGCHLD]).chain(stop))?;
    let concerns_command = move |signal: &Signal| {
        *signal == Signal::CHILD
            || passed_on.contains(signal)
            || (terminal.contains(signal) && !has_terminal)
    };
    let received = iter::repeat_with(move || signals.wait()).flatten();
    let received = received.filter_map(Signal::from_named_raw);
    Ok(received.filter(concerns_command))
}
