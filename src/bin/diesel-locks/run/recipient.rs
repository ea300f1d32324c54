//! The recipient of a signal: a process or a whole process group. Unix only.
//!
//! The number of a process is free for reuse once its parent has waited for it. The number of a group is in use while
//! any process of the group is left.

use std::fmt;
use std::str::FromStr;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, kill_process, kill_process_group, test_kill_process, test_kill_process_group,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    Process(Pid),
    Group(Pid),
}

impl Recipient {
    /// Ignores errors: a recipient that is gone needs no signal.
    pub fn send(self, signal: Signal) {
        let _ = match self {
            Self::Process(pid) => kill_process(pid, signal),
            Self::Group(pid) => kill_process_group(pid, signal),
        };
    }

    /// Asks the recipient to end, and wakes it if it is suspended.
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

/// In the notation of kill(1): the number of a group is negative.
impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "{pid}"),
            Self::Group(pid) => write!(f, "-{pid}"),
        }
    }
}

impl FromStr for Recipient {
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
    use super::Recipient;

    #[test]
    fn a_recipient_is_read_as_it_was_written() {
        for text in ["17", "-17"] {
            assert_eq!(text.parse::<Recipient>().unwrap().to_string(), text);
        }
        for text in ["", "0", "-0", "x", "-2147483648"] {
            assert_eq!(text.parse::<Recipient>(), Err(()), "{text}");
        }
    }
}
