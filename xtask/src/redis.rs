//! A private server of Redis for the benchmark, if `redis-server` is installed.

use crate::machine::programs;
use crate::server::{Recipe, Server};
use crate::{Outcome, place};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};

/// Like the databases that it is compared with, Redis writes every change to disk before it answers.
const SCRIPT: &str = r#"
exec "$PROGRAM" --port "$PORT" --bind 127.0.0.1 --dir "$DIR" --save "" --appendonly yes --appendfsync always
"#;

const STOP: &str = r#"kill -s KILL "$server""#;

/// `None` if `redis-server` is not installed.
pub fn start() -> Outcome<Option<Server>> {
    let Some(program) = program() else {
        println!("Redis is not measured. To measure it: apt-get install redis-server");
        return Ok(None);
    };
    Server::start(|port| recipe(&program, port)).map(Some)
}

pub fn program() -> Option<PathBuf> {
    programs("redis-server").into_iter().next()
}

fn recipe(program: &Path, port: u16) -> Outcome<Recipe> {
    Ok(Recipe {
        directory: place::private("redis", None)?,
        owner: None,
        script: SCRIPT.to_owned(),
        command: Vec::new(),
        stop: STOP.to_owned(),
        variables: vec![
            ("PROGRAM", program.into()),
            ("PORT", port.to_string().into()),
        ],
        url: format!("redis://127.0.0.1:{port}/"),
        ready: Box::new(move || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()),
    })
}
