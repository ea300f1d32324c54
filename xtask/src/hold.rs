//! `cargo xtask servers up|down`: servers that outlive the command.
//!
//! `up` starts this program a second time, in the background. The background process, the holder, starts the servers as
//! a test run does, and listens on a socket. A client connects and sends `urls` or `end`. So no process id must be
//! stored, and a socket without a listener is left over from a holder that was killed.

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

/// Prints the URLs of the servers. Starts the servers if they are not running.
pub fn up(engines: &[Engine]) -> Outcome {
    if let Some(urls) = ask("urls")? {
        print!("{urls}");
        eprintln!(
            "(these servers were running already; for other engines, run `cargo xtask servers down` first)"
        );
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

/// Ends the servers that `up` started. Returns after they have ended and their files are removed.
pub fn down() -> Outcome {
    match ask("end")? {
        Some(_) => eprintln!("ended"),
        None => eprintln!("no servers are running"),
    }
    Ok(())
}

/// The holder: the background part of [`up`].
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
            // The caller has waited for this: the connection closes when `hold` returns.
            return Ok(());
        }
        let _ = caller.write_all(lines.as_bytes());
    }
    Ok(())
}

/// Sends the holder one word, and returns its answer. `None` if there is no holder.
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
