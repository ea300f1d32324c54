//! This program again, as another process that runs one test and is told by its environment that it is the other.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Starts a process that runs the test of this path, and hears what it prints, line by line, in a thread.
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

/// Sends a signal to a child that was not waited for, so that its number belongs to no other process.
pub fn signal(child: &Child, signal: Signal) -> rustix::io::Result<()> {
    kill_process(Pid::from_child(child), signal)
}

/// Ends a child at once. A child that has ended already is left alone.
pub fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// In a child: does this when the standard input ends, which also happens when the process that started it is gone.
pub fn when_input_ends(then: impl FnOnce() + Send + 'static) {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        then();
    });
}
