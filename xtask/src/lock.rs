//! A lock between runs of this program on one machine.

use crate::Outcome;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `flock(1)` holds it for as long as its standard input stays open: it is free again when this
/// process ends, however that happens.
pub struct Lock(Child);

impl Lock {
    /// Waits until nobody else holds the lock of this file.
    pub fn take(file: &Path) -> Outcome<Self> {
        let mut flock = Command::new("flock")
            .arg(file)
            .args(["sh", "-c", "echo; read -r _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot run `flock`: {e}"))?;
        let mut line = [0];
        let held = flock
            .stdout
            .as_mut()
            .is_some_and(|out| out.read_exact(&mut line).is_ok());
        held.then_some(Self(flock))
            .ok_or_else(|| format!("cannot lock {}", file.display()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
