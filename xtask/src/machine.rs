//! This machine: its users, programs and free ports.

use crate::Outcome;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The user that a server runs as if root starts it. Servers refuse to run as root.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    /// The user `name`, or `nobody` if there is no such user. `None` if this process does not run as root.
    pub fn of(name: &str) -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let find = |name: &str| users.lines().find_map(|line| Self::parse(line, name));
        is_root().then(|| {
            find(name).or_else(|| find("nobody")).unwrap_or(Self {
                uid: 65534,
                gid: 65534,
            })
        })
    }

    fn parse(line: &str, name: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.first() == Some(&name)).then_some(())?;
        Some(Self {
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
        })
    }
}

pub fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| {
        Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|id| id.stdout.starts_with(b"0\n"))
    })
}

/// The programs with this name: first those in `PATH`, in its order, then those in the usual directories of servers.
pub fn programs(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = [
        "/usr/sbin",
        "/usr/libexec",
        "/usr/local/sbin",
        "/usr/local/libexec",
        "/usr/local/mysql/bin",
    ];
    std::env::split_paths(&path)
        .chain(more.map(PathBuf::from))
        .map(|directory| directory.join(name))
        .filter(|file| file.is_file())
        .collect()
}

pub fn has(name: &str) -> bool {
    !programs(name).is_empty()
}

/// A free port on the loopback address. Another program may take the port before the server does, so [`Server::start`]
/// tries again with another port.
///
/// [`Server::start`]: crate::server::Server::start
pub fn free_port() -> Outcome<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| format!("no free port on 127.0.0.1: {e}"))
}

#[cfg(test)]
mod tests {
    use super::Owner;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        assert!(Owner::parse("mysqlx:x:7:8::/:/bin/sh", "mysql").is_none());
        let owner = Owner::parse("mysql:x:7:8::/:/bin/sh", "mysql").unwrap();
        assert_eq!((owner.uid, owner.gid), (7, 8));
    }
}
