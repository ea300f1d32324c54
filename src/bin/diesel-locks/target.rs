//! Whom a signal goes to: a process, or a whole process group. Unix only.
//!
//! A group keeps its number while anything of it is left; a process only until it was waited for.

use std::fmt;
use std::str::FromStr;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, kill_process, kill_process_group, test_kill_process, test_kill_process_group,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Process(Pid),
    Group(Pid),
}

impl Target {
    /// One that is gone needs no signal.
    pub fn send(self, signal: Signal) {
        let _ = match self {
            Self::Process(pid) => kill_process(pid, signal),
            Self::Group(pid) => kill_process_group(pid, signal),
        };
    }

    /// Asks it to end, also if it is stopped.
    pub fn stop(self) {
        self.send(Signal::TERM);
        self.send(Signal::CONT);
    }

    pub fn is_gone(self) -> bool {
        let answer = match self {
            Self::Process(pid) => test_kill_process(pid),
            Self::Group(pid) => test_kill_process_group(pid),
        };
        answer == Err(Errno::SRCH)
    }
}

/// As kill(1) takes it: a group's number is negative.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "{pid}"),
            Self::Group(pid) => write!(f, "-{pid}"),
        }
    }
}

impl FromStr for Target {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number: i32 = text.parse().map_err(drop)?;
        let pid = number.checked_abs().and_then(Pid::from_raw).ok_or(())?;
        Ok(if number < 0 {
            Self::Group(pid)
        } else {
            Self::Process(pid)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_target_is_told_as_it_was_written() {
        for text in ["17", "-17"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for text in ["", "0", "-0", "x", "-2147483648"] {
            assert_eq!(text.parse::<Target>(), Err(()), "{text}");
        }
    }
}
