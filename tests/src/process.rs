//! Starts this program again as another process that runs one test. Its environment tells it that it is the other
//! process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Starts a process that runs the test of this path. A thread passes each line that the process prints to `hear`.
pub fn start(
    path: &str,
    variables: impl IntoIterator<Item = (&'static str, String)>,
    mut hear: impl FnMut(&str) + Send + 'static,
) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .args([path, "--exact", "--nocapture"])
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            hear(&line);
        }
    });
    child
}

/// Sends a signal to a child. Nobody has waited for the child yet, so its number belongs to no other process.
pub fn signal(child: &Child, signal: Signal) -> rustix::io::Result<()> {
    kill_process(Pid::from_child(child), signal)
}

/// Kills a child. A child that has ended already is left alone.
pub fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Runs in a child: calls `then` when the standard input ends. It also ends when the parent process ends.
pub fn when_input_ends(then: impl FnOnce() + Send + 'static) {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        then();
    });
}
