//! Wakes waiters, whether they are tasks or threads.
//!
//! A bell counts its rings. A waiter reads the count first, then checks whether there is anything to wait for, and then
//! waits until the count has changed. So no ring is missed. The count is small, because there may be many bells; after
//! four billion rings it begins anew.

use std::sync::{Condvar, Mutex};
use std::task::Waker;
use std::time::Duration;
#[cfg(feature = "async")]
use std::{
    pin::Pin,
    task::{Context, Poll},
};

use super::locked;

#[derive(Debug, Default)]
pub struct Bell {
    state: Mutex<State>,
    threads: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rings: u32,
    /// The waiting tasks, by number. There may be many bells, and mostly a bell has one waiting task: only further
    /// tasks need the list.
    task: Option<(u32, Waker)>,
    more: Vec<(u32, Waker)>,
    #[cfg(feature = "async")]
    numbers: u32,
}

impl Bell {
    pub(crate) fn ring(&self) {
        let (task, more) = {
            let mut state = locked(&self.state);
            state.rings = state.rings.wrapping_add(1);
            (state.task.take(), std::mem::take(&mut state.more))
        };
        self.threads.notify_all();
        let tasks = task.into_iter().chain(more);
        tasks.for_each(|(_, task)| task.wake());
    }

    pub(crate) fn rings(&self) -> u32 {
        locked(&self.state).rings
    }

    /// Blocks the thread until the bell is rung once more than `seen`, or this time is over.
    pub(crate) fn block(&self, seen: u32, at_most: Duration) {
        let state = locked(&self.state);
        // The mutex may be poisoned, or the time over: the caller checks again in any case.
        drop(
            self.threads
                .wait_timeout_while(state, at_most, |state| state.rings == seen),
        );
    }

    /// Waits, as a task, until the bell is rung once more than `seen`.
    #[cfg(feature = "async")]
    pub(crate) fn rung_since(&self, seen: u32) -> Rung<'_> {
        Rung {
            bell: self,
            seen,
            number: 0,
        }
    }
}

/// A waiting task. When it is dropped, the bell forgets it: a bell may outlive many waiters.
#[cfg(feature = "async")]
pub(crate) struct Rung<'b> {
    bell: &'b Bell,
    seen: u32,
    /// 0 before the bell knows the task.
    number: u32,
}

#[cfg(feature = "async")]
impl Future for Rung<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = locked(&self.bell.state);
        if state.rings != self.seen {
            return Poll::Ready(());
        }
        let number = state.know(self.number, context.waker());
        drop(state);
        self.number = number;
        Poll::Pending
    }
}

#[cfg(feature = "async")]
impl Drop for Rung<'_> {
    fn drop(&mut self) {
        if self.number > 0 {
            locked(&self.bell.state).forget(self.number);
        }
    }
}

#[cfg(feature = "async")]
impl State {
    fn know(&mut self, number: u32, waker: &Waker) -> u32 {
        let mut known = self.task.iter_mut().chain(&mut self.more);
        if let Some((_, task)) = known.find(|(known, _)| *known == number) {
            task.clone_from(waker);
            return number;
        }
        self.numbers = self.numbers.wrapping_add(1).max(1);
        let task = (self.numbers, waker.clone());
        if self.task.is_none() {
            self.task = Some(task);
        } else {
            self.more.push(task);
        }
        self.numbers
    }

    fn forget(&mut self, number: u32) {
        self.task.take_if(|(known, _)| *known == number);
        self.more.retain(|(known, _)| *known != number);
    }
}
