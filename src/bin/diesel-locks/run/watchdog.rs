//! A second process, which stops the command if `diesel-locks run` is killed. Unix only.
//!
//! The watchdog reads from a pipe to which only `run` writes. The operating system closes the pipe when `run` ends, for
//! whatever reason. If `run` is not killed, it ends the watchdog itself.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::recipient::Recipient;
use crate::outcome::{Exit, Outcome};

/// The name of its hidden subcommand.
pub const NAME: &str = "watchdog";
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

/// The watchdog itself: waits until `run` is gone, then stops the command.
pub fn watch(kill_after: Duration) -> Outcome {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    if let Ok(recipient) = text.parse::<Recipient>() {
        let start = Instant::now();
        recipient.stop();
        while !recipient.is_gone() && start.elapsed() < kill_after {
            thread::sleep(POLL_INTERVAL);
        }
        recipient.send(Signal::KILL);
    }
    Ok(Exit::Done)
}

/// The file of this program, even if another version has replaced it meanwhile.
fn program() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() {
        return Ok(running);
    }
    std::env::current_exe()
}
