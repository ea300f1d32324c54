//! Servers in containers, for a machine with a Docker engine and without the servers' binaries.

use crate::engine::Engine;
use crate::server::{Recipe, Server};
use crate::{Outcome, place, shell};
use std::ffi::OsString;
use std::process::Command;

/// Docker may still be creating the container. Then there is no container to remove, and the signal ends `docker run`.
const STOP: &str = r#"docker rm --force "$NAME"; kill -s TERM "$server""#;

const RUN: &str = r#"exec docker run --rm --name "$NAME" "$@""#;

/// Whether a Docker engine answers.
pub fn is_running() -> bool {
    shell::output(Command::new("docker").arg("info")).is_ok()
}

pub fn start(engine: Engine) -> Outcome<Server> {
    image(engine)?.start(engine)
}

pub fn start_newer_mariadb() -> Outcome<Server> {
    let older = image(Engine::MariaDb)?;
    let newer = Image {
        name: "mariadb:11.8",
        ..older
    };
    newer.start(Engine::MariaDb)
}

struct Image {
    name: &'static str,
    /// The port inside the container.
    port: u16,
    settings: &'static [&'static str],
    options: &'static [&'static str],
    /// The command to run inside the container until it succeeds. It must connect by TCP: while the image sets up the
    /// database, a first server runs without TCP.
    ready: &'static [&'static str],
    user: &'static str,
}

fn image(engine: Engine) -> Outcome<Image> {
    match engine {
        Engine::Postgres => Ok(Image {
            name: "postgres:17",
            port: 5432,
            settings: &["POSTGRES_HOST_AUTH_METHOD=trust", "POSTGRES_DB=locks"],
            options: &["-c", "max_connections=400"],
            ready: &["pg_isready", "-h", "127.0.0.1", "-U", "postgres"],
            user: "postgres://postgres",
        }),
        Engine::MariaDb => Ok(Image {
            name: "mariadb:10.11",
            port: 3306,
            settings: &[
                "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=yes",
                "MARIADB_DATABASE=locks",
            ],
            options: &["--max-connections=400", "--skip-name-resolve"],
            ready: &["mariadb-admin", "ping", "-h", "127.0.0.1"],
            user: "mysql://root",
        }),
        Engine::MySql => Ok(Image {
            name: "mysql:9",
            port: 3306,
            settings: &["MYSQL_ALLOW_EMPTY_PASSWORD=yes", "MYSQL_DATABASE=locks"],
            options: &["--max-connections=400", "--skip-name-resolve"],
            ready: &["mysqladmin", "ping", "-h", "127.0.0.1"],
            user: "mysql://root",
        }),
        Engine::Sqlite => Err("SQLite has no server".to_owned()),
    }
}

impl Image {
    fn start(self, engine: Engine) -> Outcome<Server> {
        let name = self.name;
        if shell::output(Command::new("docker").args(["image", "inspect", name])).is_err() {
            shell::run(Command::new("docker").args(["pull", "--quiet", name]))?;
        }
        Server::start(|port| self.recipe(engine, port))
    }

    fn recipe(&self, engine: Engine, port: u16) -> Outcome<Recipe> {
        let directory = place::private(engine.name(), None)?;
        let name = directory.file_name().unwrap_or_default().to_owned();
        let container = name.clone();
        let ready = self.ready;
        Ok(Recipe {
            directory,
            owner: None,
            script: RUN.to_owned(),
            command: self.words(port),
            stop: STOP.to_owned(),
            variables: vec![("NAME", name)],
            url: format!("{}@127.0.0.1:{port}/locks", self.user),
            ready: Box::new(move || {
                shell::output(
                    Command::new("docker")
                        .arg("exec")
                        .arg(&container)
                        .args(ready),
                )
                .is_ok()
            }),
        })
    }

    fn words(&self, port: u16) -> Vec<OsString> {
        let publish = [
            "--publish".to_owned(),
            format!("127.0.0.1:{port}:{}", self.port),
        ];
        let settings = self
            .settings
            .iter()
            .flat_map(|setting| ["--env".to_owned(), (*setting).to_owned()]);
        let options = self.options.iter().map(|option| (*option).to_owned());
        publish
            .into_iter()
            .chain(settings)
            .chain([self.name.to_owned()])
            .chain(options)
            .map(OsString::from)
            .collect()
    }
}
