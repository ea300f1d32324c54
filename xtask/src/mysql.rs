//! What a private MariaDB and a private MySQL share: a protocol and nearly one set of options.

use crate::machine::{Owner, programs};
use crate::server::{Recipe, Server};
use crate::{Outcome, place};
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// `root` without a password, by TCP. The server executes it before it takes connections.
const INIT: &str = "\
CREATE DATABASE locks;
CREATE USER IF NOT EXISTS root@'127.0.0.1';
GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
";

/// A flush at every commit protects against power cuts only: a benchmark's business, and no test's. The socket is relative to the data:
/// its path may have 107 bytes. `$INSIDE` is `$DIR` as a server in a root of its own sees it.
const RUN: &str = r#"
exec "$@" --datadir="$INSIDE/data" --port="$PORT" --bind-address=127.0.0.1 \
  --socket=socket --pid-file=pid --init-file="$INSIDE/init.sql" --skip-name-resolve \
  --skip-log-bin --innodb-flush-log-at-trx-commit="$FLUSH" --max-connections=400
"#;

const INSTALL_MARIADB: &str = r#"
"$INSTALL" --no-defaults --auth-root-authentication-method=normal --skip-test-db \
  --datadir="$INSIDE/data" >/dev/null || exit
"#;

const INSTALL_MYSQL: &str = r#"
"$@" --initialize-insecure --datadir="$INSIDE/data" || exit
"#;

/// A shutdown in order would write back what is removed a moment later.
const STOP: &str = r#"kill -s KILL "$server""#;

/// A server of the family, not started yet.
pub struct Program {
    name: &'static str,
    install: &'static str,
    command: Vec<OsString>,
    variables: Vec<(&'static str, OsString)>,
    /// The directory that the command takes for `/`; only root can do that.
    root: Option<PathBuf>,
}

impl Program {
    pub fn mariadb() -> Option<Self> {
        let first = |name| programs(name).into_iter().next();
        let install = first("mariadb-install-db").or_else(|| first("mysql_install_db"))?;
        let server = first("mariadbd").or_else(|| mysqld(true))?;
        Some(Self {
            name: "mariadb",
            install: INSTALL_MARIADB,
            command: vec![server.into(), "--no-defaults".into()],
            variables: vec![("INSTALL", install.into())],
            root: None,
        })
    }

    /// `command` is the server, `root` the directory that it takes for `/`.
    pub fn mysql(mut command: Vec<OsString>, root: Option<PathBuf>) -> Self {
        command.extend(
            ["--no-defaults", "--mysqlx=OFF", "--secure-file-priv=NULL"].map(OsString::from),
        );
        Self {
            name: "mysql",
            install: INSTALL_MYSQL,
            command,
            variables: Vec::new(),
            root,
        }
    }

    pub fn start(&self, durable: bool) -> Outcome<Server> {
        Server::start(|port| self.recipe(port, durable))
    }

    fn recipe(&self, port: u16, durable: bool) -> Outcome<Recipe> {
        let owner = Owner::of("mysql");
        let directory = match &self.root {
            Some(root) => place::private_below(&root.join("tmp"), self.name, owner.as_ref())?,
            None => place::private(self.name, owner.as_ref())?,
        };
        fs::write(directory.join("init.sql"), INIT).map_err(|e| e.to_string())?;
        let inside = self.inside(&directory);
        let mut variables = self.variables.clone();
        // The user's own temporary directory may be closed to the server's user.
        variables.extend([("TMPDIR", inside.clone()), ("INSIDE", inside)]);
        variables.push(("PORT", port.to_string().into()));
        variables.push(("FLUSH", if durable { "1" } else { "2" }.into()));
        Ok(Recipe {
            directory,
            // Only root enters another root; the command there changes to the owner.
            owner: owner.filter(|_| self.root.is_none()),
            script: format!("{}{RUN}", self.install),
            command: self.command.clone(),
            stop: STOP.to_owned(),
            variables,
            url: format!("mysql://root@127.0.0.1:{port}/locks"),
            ready: Box::new(move || greets(port)),
        })
    }

    fn inside(&self, directory: &Path) -> OsString {
        let below = self
            .root
            .as_ref()
            .and_then(|root| directory.strip_prefix(root).ok());
        below.map_or_else(|| directory.into(), |path| Path::new("/").join(path).into())
    }
}

/// The first `mysqld` that is MariaDB's or isn't: both bring one of this name.
pub fn mysqld(mariadb: bool) -> Option<PathBuf> {
    let is_mariadb = |program: &Path| {
        let version = Command::new(program)
            .args(["--no-defaults", "--version"])
            .output()
            .ok()?;
        version
            .status
            .success()
            .then(|| String::from_utf8_lossy(&version.stdout).contains("MariaDB"))
    };
    programs("mysqld")
        .into_iter()
        .find(|program| is_mariadb(program) == Some(mariadb))
}

/// The fifth byte of the first packet is the protocol's version: 10 since MySQL 3.21; 255 is an
/// error. Nothing is sent before the server takes connections.
fn greets(port: u16) -> bool {
    let mut packet = [0; 5];
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.read_exact(&mut packet)
        })
        .is_ok_and(|()| packet[4] == 10)
}
