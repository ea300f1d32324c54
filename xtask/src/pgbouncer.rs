//! A private PgBouncer in front of PostgreSQL, in transaction mode: each transaction may run on another connection to
//! the server, which the clients share.

use crate::engine::given;
use crate::machine::{Owner, programs};
use crate::server::{Recipe, Server};
use crate::{Outcome, place};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};

/// The environment variable with the URL.
pub const VARIABLE: &str = "PGBOUNCER_DATABASE_URL";

/// Two connections for each database are few, so that clients really share them.
const SCRIPT: &str = r#"
cat >"$DIR/pgbouncer.ini" <<END
[databases]
* = $SERVER
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $PORT
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 400
END
exec "$PROGRAM" "$DIR/pgbouncer.ini"
"#;

const STOP: &str = r#"kill -s KILL "$server""#;

/// Whether the tests need the program, and this machine lacks it.
pub fn is_missing() -> bool {
    given(VARIABLE).is_none() && program().is_err()
}

/// Starts PgBouncer in front of the server with this URL.
pub fn start(postgres: &str) -> Outcome<Server> {
    let (program, server) = (program()?, connection(postgres)?);
    Server::start(|port| recipe(&program, &server, port))
}

fn program() -> Outcome<PathBuf> {
    let found = programs("pgbouncer").into_iter().next();
    found.ok_or_else(|| "it is not installed: apt-get install pgbouncer".to_owned())
}

fn recipe(program: &Path, server: &str, port: u16) -> Outcome<Recipe> {
    let owner = Owner::of("postgres");
    Ok(Recipe {
        directory: place::private("pgbouncer", owner.as_ref())?,
        owner,
        script: SCRIPT.to_owned(),
        command: Vec::new(),
        stop: STOP.to_owned(),
        variables: vec![
            ("PROGRAM", program.into()),
            ("SERVER", server.into()),
            ("PORT", port.to_string().into()),
        ],
        url: format!("postgres://postgres@127.0.0.1:{port}/locks"),
        ready: Box::new(move || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()),
    })
}

/// A URL `postgres://user:password@host:port/database` as PgBouncer's connection string, without the database.
fn connection(url: &str) -> Outcome<String> {
    let parts = || {
        let (_, rest) = url.split_once("://")?;
        let (user, place) = rest.split_once('/')?.0.rsplit_once('@')?;
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        let (host, port) = place.rsplit_once(':').unwrap_or((place, "5432"));
        let fields = [
            ("host", host),
            ("port", port),
            ("user", user),
            ("password", password),
        ];
        let written = fields.iter().filter(|(_, value)| !value.is_empty());
        let written =
            written.map(|(name, value)| format!("{name}='{}'", value.replace('\'', "''")));
        Some(written.collect::<Vec<_>>().join(" "))
    };
    parts().ok_or_else(|| {
        format!("{url} is not of the form postgres://user:password@host:port/database")
    })
}

#[cfg(test)]
mod tests {
    use super::connection;

    #[test]
    fn a_url_becomes_a_connection_string() {
        let of = |url| connection(url).unwrap();
        assert_eq!(
            of("postgres://postgres@127.0.0.1:5433/locks"),
            "host='127.0.0.1' port='5433' user='postgres'"
        );
        assert_eq!(
            of("postgresql://me:it's@db/locks?sslmode=prefer"),
            "host='db' port='5432' user='me' password='it''s'"
        );
        assert!(connection("postgres:///locks").is_err());
    }
}
