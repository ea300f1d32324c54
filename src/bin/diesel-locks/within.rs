//! Work that may hang, and its end. No driver has a timeout for everything, from the address of the server to the last
//! answer. So the work has a thread of its own, which is left behind when the time is over.

use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::outcome::Outcome;

/// The database did not answer in time. It may still do what it was asked to do.
#[derive(Debug)]
pub struct NoAnswer(pub Duration);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the database did not answer within {:?}", self.0)
    }
}

impl std::error::Error for NoAnswer {}

/// Does the work. If it takes longer than this time, the result is the error [`NoAnswer`]. An answer that comes later
/// is dropped; if it is a guard, the lock is given back.
pub fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    let (sender, answer) = mpsc::channel();
    thread::Builder::new().spawn(move || drop(sender.send(work())))?;
    match answer.recv_timeout(time) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) => Err(NoAnswer(time).into()),
        Err(RecvTimeoutError::Disconnected) => {
            Err("this program failed; the message above says where".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{NoAnswer, within};

    #[test]
    fn work_that_hangs_has_an_end() {
        let (_never, hangs) = mpsc::channel::<()>();
        let answer = within(Duration::from_millis(50), move || Ok(hangs.recv()?));
        assert!(answer.unwrap_err().is::<NoAnswer>());
        let answer = within(Duration::from_secs(60), || Ok(7));
        assert_eq!(answer.unwrap(), 7);
    }
}
