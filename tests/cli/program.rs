//! Runs the program.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use crate::database::Database;

/// The exit code and the output.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("an exit code"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    /// The standard output of a program that must have succeeded.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }
}

/// Runs the program without a database.
pub fn run(words: &[&str]) -> Said {
    let mut command = command(words);
    command.stdin(Stdio::null()).output().unwrap().into()
}

pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diesel-locks"));
    command.args(words).env_remove("DATABASE_URL");
    command
}

impl Database {
    pub fn run(&self, words: &[&str]) -> Said {
        self.answer(words, "")
    }

    /// Runs the program, and answers its question.
    pub fn answer(&self, words: &[&str], answer: &str) -> Said {
        let mut child = self.start(words);
        let mut input = child.stdin.take().unwrap();
        // A program without a question may have ended already.
        let _ = input.write_all(answer.as_bytes());
        drop(input);
        child.wait_with_output().unwrap().into()
    }

    pub fn start(&self, words: &[&str]) -> Child {
        let mut command = command(words);
        command
            .env("DATABASE_URL", &self.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Reads this number of lines from a program that does not end by itself, and kills it.
    pub fn watch(&self, words: &[&str], lines: usize) -> Vec<String> {
        let mut child = self.start(words);
        let out = BufReader::new(child.stdout.take().unwrap());
        let read = out.lines().take(lines).map(Result::unwrap).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        read
    }
}
