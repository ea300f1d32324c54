//! Private servers of MariaDB and MySQL. Both have the same protocol, and almost the same options.

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

/// Creates the database, and lets `root` connect by TCP without a password. The server executes this text before it
/// accepts connections.
const INIT: &str = "\
CREATE DATABASE locks;
CREATE USER IF NOT EXISTS root@'127.0.0.1';
GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
";

/// - A flush at every commit protects from power cuts. Benchmarks need it, and tests do not.
/// - The path of the socket is relative to the data directory, because it may have 107 bytes at most.
/// - `$INSIDE` is the path of `$DIR` below the server's root directory.
const RUN: &str = r#"
exec "$@" --datadir="$INSIDE/data" --port="$PORT" --bind-address=127.0.0.1 \
  --socket=socket --pid-file=pid --init-file="$INSIDE/init.sql" --skip-name-resolve \
  --skip-log-bin --innodb-flush-log-at-trx-commit="$FLUSH" --max-connections=400
"#;

const INSTALL_MARIADB: &str = r#"
"$INSTALL" --no-defaults --auth-root-authentication-method=normal --skip-test-db \
  --datadir="$INSIDE/data" >/dev/null || exit
"#;

/// What the program that installs MariaDB does: that program is a script, which does not find the files of a tree elsewhere.
const BOOTSTRAP_MARIADB: &str = r#"
mkdir "$DIR/data" && chown --reference="$DIR" "$DIR/data" || exit
{
  echo 'CREATE DATABASE mysql;'
  echo 'USE mysql;'
  cd "$SHARE" && cat mariadb_system_tables.sql mariadb_performance_tables.sql mariadb_system_tables_data.sql \
    maria_add_gis_sp_bootstrap.sql mariadb_sys_schema.sql
} | "$@" --bootstrap --datadir="$INSIDE/data" >/dev/null || exit
"#;

const INSTALL_MYSQL: &str = r#"
"$@" --initialize-insecure --datadir="$INSIDE/data" || exit
"#;

/// An orderly shutdown would write data that is removed a moment later.
const STOP: &str = r#"kill -s KILL "$server""#;

/// An installed server that can be started.
pub struct Program {
    name: &'static str,
    install: &'static str,
    command: Vec<OsString>,
    variables: Vec<(&'static str, OsString)>,
    /// The root directory that the command changes to with `chroot`, which only root may do.
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

    /// MariaDB in a tree of its own. `command` starts the server. `root` is the root directory that the command changes to.
    pub fn mariadb_in(tree: &Path, mut command: Vec<OsString>, root: Option<PathBuf>) -> Self {
        let share = tree.join("usr/share/mariadb");
        command.push("--no-defaults".into());
        if root.is_none() {
            for (option, directory) in [
                ("--lc-messages-dir=", share.clone()),
                ("--character-sets-dir=", share.join("charsets")),
            ] {
                let mut word = OsString::from(option);
                word.push(directory);
                command.push(word);
            }
        }
        Self {
            name: "mariadb-newer",
            install: BOOTSTRAP_MARIADB,
            command,
            variables: vec![("SHARE", share.into())],
            root,
        }
    }

    /// `command` starts the server. `root` is the root directory that the command changes to.
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
        // The server's user may have no access to the caller's temporary directory.
        variables.extend([("TMPDIR", inside.clone()), ("INSIDE", inside)]);
        variables.push(("PORT", port.to_string().into()));
        variables.push(("FLUSH", if durable { "1" } else { "2" }.into()));
        Ok(Recipe {
            directory,
            // `chroot` needs root, and then itself changes to the owner.
            owner: owner.filter(|_| self.root.is_none()),
            script: format!("{}{RUN}", self.install),
            command: self.command.clone(),
            stop: STOP.to_owned(),
            variables,
            url: format!("mysql://root@127.0.0.1:{port}/locks"),
            ready: Box::new(move || is_ready(port)),
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

/// The first `mysqld` of MariaDB, or the first of MySQL: both install a program with this name.
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

/// Whether the server accepts connections. It then sends a packet whose fifth byte is the version of the protocol: 10
/// since MySQL 3.21. In the packet of an error this byte is 255.
fn is_ready(port: u16) -> bool {
    let mut packet = [0; 5];
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.read_exact(&mut packet)
        })
        .is_ok_and(|()| packet[4] == 10)
}
