//! Processes and signals on Unix.
//!
//! - A process that was waited for gets no more signals: its number may belong to another process by now.
//! - The command inherits the signals that this program was started to ignore (`nohup`), because this program catches
//!   signals only after the command has started.
//! - Every command has a watchdog.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;
use std::{io, iter};

use rustix::process::Pid;
pub use rustix::process::Signal;
use signal_hook::consts::{SIGCHLD, SIGTSTP};
use signal_hook::iterator::Signals;

use super::recipient::Recipient;
use super::watchdog::Watchdog;

pub struct Process {
    child: Child,
    recipient: Recipient,
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
        let recipient = if has_group {
            Recipient::Group(pid)
        } else {
            Recipient::Process(pid)
        };
        let mut process = Self {
            child,
            recipient,
            code: None,
            watchdog,
        };
        process.watchdog.watch_over(recipient)?;
        Ok(process)
    }

    /// The exit code, if the process has ended. A process that cannot be waited for counts as ended.
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
        if let Some(recipient) = self.recipient() {
            recipient.send(signal);
        }
    }

    /// Passes on a signal that this program has received. `CHLD` is meant for this program alone: a child may have
    /// ended.
    pub fn pass_on(&self, signal: Signal) {
        if signal != Signal::CHILD {
            self.send(signal);
        }
    }

    pub fn stop(&self) {
        if let Some(recipient) = self.recipient() {
            recipient.stop();
        }
    }

    pub fn kill(&self) {
        self.send(Signal::KILL);
    }

    /// Whether all processes of the command have ended, as far as they can be seen.
    pub fn is_group_gone(&self) -> bool {
        self.recipient().is_none_or(Recipient::is_gone)
    }

    fn recipient(&self) -> Option<Recipient> {
        let is_number_ours = self.code.is_none() || matches!(self.recipient, Recipient::Group(_));
        is_number_ours.then_some(self.recipient)
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
