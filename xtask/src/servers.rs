//! The servers of one run. They start at the same time.

use crate::engine::{Engine, given};
use crate::mysql::{self, Program};
use crate::server::Server;
use crate::{Outcome, debian, docker, pgbouncer, postgres};
use std::thread::ScopedJoinHandle;

/// A server for each engine that needs one. Dropping this ends the servers that this program started.
pub struct Servers {
    pub engines: Vec<Engine>,
    places: Vec<Place>,
}

/// The address of an engine. Dropping this ends the server if this program started it.
pub struct Place {
    variable: &'static str,
    url: String,
    /// The server that this program started. `None` if the user provides the server.
    private: Option<Server>,
}

impl Servers {
    /// Uses the servers that the environment names, and starts the others.
    pub fn start(engines: &[Engine]) -> Outcome<Self> {
        Self::start_as(engines, false)
    }

    /// [`Servers::start`] for a benchmark: the servers that are started flush every commit to disk.
    pub fn start_durable(engines: &[Engine]) -> Outcome<Self> {
        Self::start_as(engines, true)
    }

    fn start_as(engines: &[Engine], durable: bool) -> Outcome<Self> {
        let places = std::thread::scope(|scope| {
            let start = |(engine, variable): (Engine, _)| {
                scope.spawn(move || place(variable, engine.name(), || private(engine, durable)))
            };
            let served = engines
                .iter()
                .filter_map(|engine| Some((*engine, engine.variable()?)));
            let threads: Vec<_> = served.map(start).collect();
            // Join all threads before an error returns: no server may be left half started.
            let places: Vec<Outcome<Place>> = threads.into_iter().map(joined).collect();
            places.into_iter().collect::<Outcome<Vec<Place>>>()
        })?;
        let mut servers = Self {
            engines: engines.to_vec(),
            places,
        };
        servers.start_pooler()?;
        Ok(servers)
    }

    /// Starts PgBouncer in front of PostgreSQL, whoever provides PostgreSQL.
    fn start_pooler(&mut self) -> Outcome {
        let is_postgres = |place: &&Place| Some(place.variable) == Engine::Postgres.variable();
        if let Some(postgres) = self.places.iter().find(is_postgres) {
            let start = || pgbouncer::start(&postgres.url);
            let pooler = place(pgbouncer::VARIABLE, "pgbouncer", start)?;
            self.places.push(pooler);
        }
        Ok(())
    }

    /// The environment variables for the tests and for the user's shell.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.places
            .iter()
            .map(|place| (place.variable, place.url.as_str()))
    }

    /// The logs of the servers that have ended by themselves.
    pub fn last_words(&self) -> Vec<String> {
        self.places.iter().filter_map(Place::last_words).collect()
    }
}

impl Place {
    /// A server that this program has started, for the tests that read this variable.
    pub fn private(variable: &'static str, server: Server) -> Self {
        Self {
            variable,
            url: server.url.clone(),
            private: Some(server),
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The log of the server that this program started, if the server has ended by itself.
    pub fn last_words(&self) -> Option<String> {
        let words = self.private.as_ref()?.last_words()?;
        Some(format!("{} ended by itself:\n{words}", self.url))
    }
}

fn joined(thread: ScopedJoinHandle<'_, Outcome<Place>>) -> Outcome<Place> {
    thread
        .join()
        .unwrap_or_else(|_| Err("a thread panicked".to_owned()))
}

/// The server that the user provides with this variable, or a private one.
pub fn place(
    variable: &'static str,
    what: &str,
    start: impl FnOnce() -> Outcome<Server>,
) -> Outcome<Place> {
    if let Some(url) = given(variable) {
        return Ok(Place {
            variable,
            url,
            private: None,
        });
    }
    let server = start().map_err(|failure| {
        format!("{what}: {failure}\nOr use one of your own:  export {variable}=...")
    })?;
    Ok(Place::private(variable, server))
}

fn private(engine: Engine, durable: bool) -> Outcome<Server> {
    let installed = match engine {
        Engine::Postgres => postgres::binaries().map(|bin| postgres::start(&bin, durable)),
        Engine::MariaDb => Program::mariadb().map(|program| program.start(durable)),
        Engine::MySql => mysql().map(|program| program?.start(durable)),
        Engine::Sqlite => None,
    };
    installed.unwrap_or_else(|| docker::start(engine))
}

/// MySQL as installed, as cached, or downloaded. `None` if this machine can only run it in a container.
fn mysql() -> Option<Outcome<Program>> {
    let installed = |server: std::path::PathBuf| Ok(Program::mysql(vec![server.into()], None));
    mysql::mysqld(false)
        .map(installed)
        .or_else(|| debian::is_possible().then(debian::mysql))
}
