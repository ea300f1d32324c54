//! A second process, which stops the command when `diesel-locks run` was killed and cannot do so itself. Unix only.
//!
//! It reads from a pipe that nobody but `run` can write to, and that the system closes when `run` is gone, however that
//! happened. Where all goes well `run` ends it.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::target::Target;
use crate::{Answer, Outcome};

/// The name of its hidden subcommand.
pub const NAME: &str = "watch-over";
const LOOK: Duration = Duration::from_millis(50);

/// As `run` has it.
pub struct Watchdog(Child);

impl Watchdog {
    /// In a group of its own, so that Ctrl-C leaves it alone.
    pub fn start(kill_after: Duration) -> io::Result<Self> {
        let mut command = Command::new(program()?);
        command
            .args([NAME, &format!("{}s", kill_after.as_secs())])
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().map(Self)
    }

    pub fn watch_over(&mut self, target: Target) -> io::Result<()> {
        match &mut self.0.stdin {
            Some(pipe) => pipe.write_all(target.to_string().as_bytes()),
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

/// What it does: nothing, until `run` is gone.
pub fn watch(kill_after: Duration) -> Outcome {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    if let Ok(target) = text.parse::<Target>() {
        let began = Instant::now();
        target.stop();
        while !target.is_gone() && began.elapsed() < kill_after {
            thread::sleep(LOOK);
        }
        target.send(Signal::KILL);
    }
    Ok(Answer::Yes)
}

/// This program, even if another version was installed in its place meanwhile.
fn program() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() {
        return Ok(running);
    }
    std::env::current_exe()
}
