//! Processes on Windows, where there are no signals: a process can only be killed.
//!
//! The names are those of `system.rs`, the file for Unix.
#![expect(
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "the signatures fit Unix as well"
)]

use std::process::{Child, Command};
use std::time::Duration;
use std::{io, iter};

#[derive(Clone, Copy)]
pub enum Signal {}

pub struct Process {
    child: Child,
    code: Option<u8>,
}

impl Process {
    pub fn start(mut command: Command, _: bool, _: Duration) -> io::Result<Self> {
        let child = command.spawn()?;
        Ok(Self { child, code: None })
    }

    /// The exit code, if the process has ended. A process that cannot be waited for counts as ended.
    pub fn code(&mut self) -> Option<u8> {
        if self.code.is_none() {
            self.code = match self.child.try_wait() {
                Ok(status) => status.map(|status| {
                    let code = status.code().and_then(|code| u8::try_from(code).ok());
                    code.unwrap_or(u8::MAX)
                }),
                Err(_) => Some(u8::MAX),
            };
        }
        self.code
    }

    pub fn pass_on(&self, signal: Signal) {
        match signal {}
    }

    pub fn stop(&mut self) {
        self.kill();
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    pub fn is_group_gone(&self) -> bool {
        true
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

pub fn signals(_: bool) -> io::Result<impl Iterator<Item = Signal> + Send> {
    Ok(iter::empty())
}
