//! An instance of the service, and a small HTTP client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::database::Database;

/// A running instance. Dropping it kills the process.
pub struct Instance {
    process: Child,
    address: String,
    /// Whether the database allows only one writer at a time.
    pub has_one_writer: bool,
}

impl Instance {
    /// Starts an instance on a free port, and waits until it listens.
    pub fn start(database: &Database) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_invoicing-service"))
            .arg("127.0.0.1:0")
            .env("DATABASE_URL", database.url())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, address) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                println!("{line}"); // keep reading, so that the instance never waits for its output
                if let Some(address) = line.strip_prefix("listening on http://") {
                    let _ = sender.send(address.to_owned());
                }
            }
        });
        let mut instance = Self {
            process,
            address: String::new(),
            has_one_writer: matches!(database, Database::Sqlite { .. }),
        };
        instance.address = address
            .recv_timeout(Duration::from_secs(60))
            .expect("it listens");
        instance
    }

    /// The name that it writes beside its numbers.
    pub fn name(&self) -> String {
        self.process.id().to_string()
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Stops the instance as Ctrl-C does, and waits for its end.
    pub fn stop(&mut self, within: Duration) {
        let kill = Command::new("kill").args(["-INT", &self.name()]).status();
        assert!(kill.unwrap().success());
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return assert!(status.success(), "{status}");
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, answer) = self.request("GET", path, "");
        assert_eq!(status, 200, "{answer}");
        answer
    }

    pub fn post(&self, path: &str, body: &str) -> (u16, Value) {
        self.request("POST", path, body)
    }

    fn request(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let within = Some(Duration::from_secs(30));
        stream.set_read_timeout(within).unwrap();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
