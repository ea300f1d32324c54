//! The database is gone: a real server is stopped and continued. It is a private PostgreSQL of the test.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use diesel_locks::Wait;
use diesel_locks_tests::Engine;
use rustix::process::{Pid, Signal, getuid, kill_process};

use crate::outage::{LATE, watch, when_lost};
use crate::place::{Mode, Place, ms, side_by_side, within};

pub fn test() {
    let Some(server) = Server::start() else {
        eprintln!("no PostgreSQL is installed here: nothing was tested");
        return;
    };
    let places =
        [Mode::Blocking, Mode::Async].map(|mode| Place::at(Engine::Postgres, mode, &server.url));
    let guards = places.each_ref().map(|place| {
        let client = place.rival();
        let lock = place.lock("stopped", ms(2_000));
        let guard = client.acquire(&lock, Wait::never()).expect("the lock");
        (client, lock, guard)
    });
    let stopped = server.signal(Signal::STOP);
    assert!(stopped > 2, "a server and those who serve the clients");
    side_by_side(guards.iter().map(|(_, _, guard)| {
        let work = move || {
            let told = when_lost(&**guard);
            let deadline = watch(&**guard, ms(2_000));
            within(LATE, "told", || told().is_some());
            let late = told().map(|told| told.saturating_duration_since(deadline));
            eprintln!("a stopped server: told {late:?} after the deadline");
            assert!(late.is_some_and(|late| late < LATE));
        };
        ("told".to_owned(), work)
    }));
    server.signal(Signal::CONT);
    for (client, lock, guard) in guards {
        within(ms(15_000), "the pool works", || client.ask().is_ok());
        assert!(!guard.is_valid());
        let fence = guard.fence();
        drop(guard);
        let next = client.acquire(&lock, Wait::up_to(ms(15_000)));
        assert!(next.expect("the lock").fence() > fence);
        client.close();
    }
}

struct Server {
    url: String,
    process: Child,
    folder: PathBuf,
}

impl Server {
    fn start() -> Option<Self> {
        let programs = programs()?;
        let folder =
            std::env::temp_dir().join(format!("diesel-locks-stopped-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("a private folder");
        // The server refuses to run as root.
        let user = getuid().is_root().then(|| user("postgres"));
        if let Some((user, group)) = user {
            chown(&folder, Some(user), Some(group)).expect("another owner");
        }
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command
                .current_dir(&folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            if let Some((user, group)) = user {
                command.uid(user).gid(group);
            }
            command
        };
        let data = folder.join("data");
        let made = command("initdb")
            .arg("-D")
            .arg(&data)
            .args(["-A", "trust", "-U", "postgres", "-N"])
            .status();
        assert!(made.expect("initdb").success());
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let port = free.expect("a port").port().to_string();
        let process = command("postgres")
            .arg("-D")
            .arg(&data)
            .args([
                "-p",
                &port,
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-c",
                "fsync=off",
            ])
            .spawn()
            .expect("postgres");
        let server = Self {
            url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            process,
            folder,
        };
        within(ms(30_000), "it answers", || {
            <diesel::PgConnection as diesel::Connection>::establish(&server.url).is_ok()
        });
        Some(server)
    }

    /// Sends a signal to the server and its child processes. Returns the number of processes.
    fn signal(&self, signal: Signal) -> usize {
        let server = Pid::from_child(&self.process);
        // The server itself comes first, because it would start new child processes.
        kill_process(server, signal).expect("a signal");
        let list = format!("/proc/{0}/task/{0}/children", self.process.id());
        let list = fs::read_to_string(list).expect("its processes");
        let children = list
            .split_whitespace()
            .filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
        1 + children
            .filter(|child| kill_process(*child, signal).is_ok())
            .count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        let _ = kill_process(Pid::from_child(&self.process), Signal::QUIT);
        let began = Instant::now();
        while began.elapsed() < ms(5_000) && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(ms(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The folder with `initdb`. Debian keeps it out of the path.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let debian = versions.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    debian.chain(path).find(|bin| is_in(bin))
}

fn is_in(bin: &Path) -> bool {
    bin.join("initdb").is_file() && bin.join("postgres").is_file()
}

/// The ids of a user and its group. Those of `nobody` if there is no such user.
fn user(name: &str) -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let numbers = users.lines().find_map(|line| {
        let mut fields = line
            .strip_prefix(name)?
            .strip_prefix(':')?
            .split(':')
            .skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    numbers.unwrap_or((65_534, 65_534))
}
