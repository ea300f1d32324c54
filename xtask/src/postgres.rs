//! A private server of PostgreSQL.

use crate::machine::{Owner, programs};
use crate::npm::Package;
use crate::server::{Recipe, Server};
use crate::{Outcome, place, shell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// - PostgreSQL in single-user mode creates the database `locks`, so that no client program is needed.
/// - `LANGUAGE` lets a session speak German: after `SET lc_messages = 'C.UTF-8'`. No locale has to be installed for that.
/// - Without `fsync`, commits survive a killed server but no power cut. That is enough for tests, and not for
///   benchmarks.
const SCRIPT: &str = r#"
"$BIN/initdb" -D "$DIR/data" -A trust -U postgres -N -E UTF8 --locale=C >/dev/null || exit
echo 'CREATE DATABASE locks' | "$BIN/postgres" --single -D "$DIR/data" postgres >/dev/null || exit
LANGUAGE=de exec "$BIN/postgres" -D "$DIR/data" -p "$PORT" -c listen_addresses=127.0.0.1 \
  -c unix_socket_directories= -c fsync="$FSYNC" -c max_connections=400
"#;

/// QUIT means "immediate shutdown": the server releases its shared memory and writes no data.
const STOP: &str = r#"kill -s QUIT "$server""#;

/// The directory with `postgres` and `initdb`: the newest version of Debian's packages, or the first directory in
/// `PATH`.
pub fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions
        .filter(|entry| complete(&entry.path().join("bin")))
        .max_by_key(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .parse::<u32>()
                .unwrap_or(0)
        })
        .map(|entry| entry.path().join("bin"));
    let first = || {
        programs("postgres")
            .iter()
            .filter_map(|file| file.parent())
            .find(|bin| complete(bin))
            .map(Path::to_owned)
    };
    newest.or_else(first)
}

pub fn start(bin: &Path, durable: bool) -> Outcome<Server> {
    Server::start(|port| {
        let directory = directory()?;
        Ok(recipe(directory, bin.to_owned(), port, durable))
    })
}

/// Starts a server of another version.
pub fn start_package(package: &Package) -> Outcome<Server> {
    Server::start(|port| {
        let directory = directory()?;
        let bin = package.unpack(&directory)?;
        Ok(recipe(directory, bin, port, false))
    })
}

/// The version of the machine's own PostgreSQL: `15`.
pub fn installed() -> Option<String> {
    let version =
        shell::output(Command::new(binaries()?.join("postgres")).arg("--version")).ok()?;
    let number = version.split(' ').nth(2)?; // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    Some(number.split('.').next()?.trim().to_owned())
}

fn directory() -> Outcome<PathBuf> {
    place::private("postgres", Owner::of("postgres").as_ref())
}

fn complete(bin: &Path) -> bool {
    bin.join("postgres").is_file() && bin.join("initdb").is_file()
}

fn recipe(directory: PathBuf, bin: PathBuf, port: u16, durable: bool) -> Recipe {
    let status = directory.join("data/postmaster.pid");
    Recipe {
        directory,
        owner: Owner::of("postgres"),
        script: SCRIPT.to_owned(),
        command: Vec::new(),
        stop: STOP.to_owned(),
        variables: vec![
            ("BIN", bin.into()),
            ("PORT", port.to_string().into()),
            ("FSYNC", if durable { "on" } else { "off" }.into()),
        ],
        url: format!("postgres://postgres@127.0.0.1:{port}/locks"),
        ready: Box::new(move || is_ready(&status)),
    }
}

/// Whether the server accepts connections: the last line of `postmaster.pid`, which `pg_ctl --wait` reads as well, says
/// so.
fn is_ready(status: &Path) -> bool {
    fs::read_to_string(status).is_ok_and(|text| {
        text.lines()
            .nth(7)
            .is_some_and(|line| line.trim() == "ready")
    })
}
