//! A second process, which stops the command if `diesel-locks run` is killed. Unix only.
//!
//! The watchdog reads from a pipe to which only `run` writes. The operating system closes the pipe when `run` ends, for
//! whatever reason. If `run` is not killed, it ends the watchdog itself.

use std::env;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::recipient::Recipient;
use crate::duration;

/// The first argument of the second process.
const NAME: &str = "watchdog";
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The watchdog as `run` sees it.
pub struct Watchdog(Child);

impl Watchdog {
    /// It gets a process group of its own, so that Ctrl-C does not reach it.
    pub fn start(kill_after: Duration) -> io::Result<Self> {
        let mut command = Command::new(program()?);
        command
            .args([NAME, &format!("{}ms", kill_after.as_millis())])
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().map(Self)
    }

    pub fn watch_over(&mut self, recipient: Recipient) -> io::Result<()> {
        match &mut self.0.stdin {
            Some(pipe) => pipe.write_all(recipient.to_string().as_bytes()),
            None => Ok(()),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether this process is the watchdog, and the time that the command has to end.
pub fn is_watchdog() -> Option<Duration> {
    let mut arguments = env::args_os().skip(1);
    let is_it = arguments.next().is_some_and(|word| word == NAME);
    let kill_after = arguments.next().filter(|_| is_it)?;
    duration::parse(kill_after.to_str()?).ok()
}

/// The watchdog itself: waits until `run` is gone, then stops the command.
pub fn watch(kill_after: Duration) {
    let told = io::read_to_string(io::stdin());
    // A part of a number would be another number.
    if let Ok(Ok(recipient)) = told.map(|text| text.parse::<Recipient>()) {
        let start = Instant::now();
        recipient.stop();
        while !recipient.is_gone() && start.elapsed() < kill_after {
            thread::sleep(POLL_INTERVAL);
        }
        recipient.send(Signal::KILL);
    }
}

/// The file of this program, even if another version has replaced it meanwhile.
fn program() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() {
        return Ok(running);
    }
    env::current_exe()
}
