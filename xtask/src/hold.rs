//! `cargo xtask servers up|down`: servers that outlive the command.
//!
//! `up` starts this program once more in the background; there it holds the servers like a test run
//! does, and listens on a socket. Who connects says `urls` or `end`. So there is no process id to
//! keep, and a socket that nobody answers is the rest of a run that was killed.

use crate::engine::Engine;
use crate::servers::Servers;
use crate::{Outcome, client, packages, place};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Prints the URLs, after starting the servers if none run.
pub fn up(engines: &[Engine]) -> Outcome {
    if let Some(urls) = ask("urls")? {
        print!("{urls}");
        eprintln!("(they ran already; for others, `cargo xtask servers down` first)");
        return Ok(());
    }
    packages::provide(engines)?;
    let mut holder = background(engines)?;
    loop {
        if let Some(urls) = ask("urls")? {
            print!("{urls}");
            return Ok(());
        }
        if holder.try_wait().map_err(|e| e.to_string())?.is_some() {
            return Err(fs::read_to_string(log()?).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Ends the servers of `up`; returns when nothing of them is left.
pub fn down() -> Outcome {
    match ask("end")? {
        Some(_) => eprintln!("ended"),
        None => eprintln!("no servers run"),
    }
    Ok(())
}

/// The background part of [`up`].
pub fn hold(engines: &[Engine]) -> Outcome {
    let servers = Servers::start(engines)?;
    let clients = client::variables();
    let clients = clients.iter().map(|(name, value)| (*name, value.as_str()));
    let lines = servers
        .variables()
        .chain(clients)
        .map(|(name, value)| format!("export {name}='{value}'\n"));
    let lines: String = lines.collect();
    let socket = socket()?;
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).map_err(|e| format!("{}: {e}", socket.display()))?;
    for mut caller in listener.incoming().flatten() {
        let mut word = String::new();
        if caller.read_to_string(&mut word).is_ok() && word == "end" {
            let _ = fs::remove_file(&socket);
            drop(servers);
            // The caller reads until here.
            return Ok(());
        }
        let _ = caller.write_all(lines.as_bytes());
    }
    Ok(())
}

/// The answer of the holder to one word; `None` when there is no holder.
fn ask(word: &str) -> Outcome<Option<String>> {
    let Ok(mut holder) = UnixStream::connect(socket()?) else {
        return Ok(None);
    };
    let mut answer = String::new();
    holder
        .write_all(word.as_bytes())
        .and_then(|()| holder.shutdown(Shutdown::Write))
        .and_then(|()| holder.read_to_string(&mut answer))
        .map_err(|e| format!("the holder of the servers does not answer: {e}"))?;
    Ok(Some(answer))
}

fn background(engines: &[Engine]) -> Outcome<Child> {
    let log = File::create(log()?).map_err(|e| e.to_string())?;
    let errors = log.try_clone().map_err(|e| e.to_string())?;
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    Command::new(program)
        .args(["servers", "hold"])
        .args(engines.iter().map(|engine| engine.name()))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(|e| e.to_string())
}

fn socket() -> Outcome<PathBuf> {
    Ok(place::state()?.join("socket"))
}

fn log() -> Outcome<PathBuf> {
    Ok(place::state()?.join("log"))
}
