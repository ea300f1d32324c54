//! The servers of one run. They start at the same time.

use crate::engine::Engine;
use crate::mysql::{self, Program};
use crate::server::Server;
use crate::{Outcome, docker, pgbouncer, postgres, unstable};
use std::thread::ScopedJoinHandle;

/// A server for each engine that needs one. Dropping this ends the servers that this program started.
pub struct Servers {
    pub engines: Vec<Engine>,
    places: Vec<Place>,
}

/// The address of an engine.
struct Place {
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
            let start = |(engine, variable)| scope.spawn(move || place(engine, variable, durable));
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
            let pooler = pooler(&postgres.url)?;
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
        let log = |place: &Place| {
            let words = place.private.as_ref()?.last_words()?;
            Some(format!("{} ended by itself:\n{words}", place.url))
        };
        self.places.iter().filter_map(log).collect()
    }
}

fn joined(thread: ScopedJoinHandle<'_, Outcome<Place>>) -> Outcome<Place> {
    thread
        .join()
        .unwrap_or_else(|_| Err("a thread panicked".to_owned()))
}

fn place(engine: Engine, variable: &'static str, durable: bool) -> Outcome<Place> {
    if let Some(url) = engine.given() {
        return Ok(Place {
            variable,
            url,
            private: None,
        });
    }
    let server = private(engine, durable).map_err(|failure| {
        format!(
            "{}: {failure}\nOr use a server of your own:  export {variable}=...",
            engine.name()
        )
    })?;
    Ok(Place {
        variable,
        url: server.url.clone(),
        private: Some(server),
    })
}

fn pooler(postgres: &str) -> Outcome<Place> {
    let variable = pgbouncer::VARIABLE;
    if let Some(url) = pgbouncer::given() {
        return Ok(Place {
            variable,
            url,
            private: None,
        });
    }
    let server = pgbouncer::start(postgres).map_err(|failure| {
        format!("pgbouncer: {failure}\nOr use a pooler of your own:  export {variable}=...")
    })?;
    Ok(Place {
        variable,
        url: server.url.clone(),
        private: Some(server),
    })
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
        .or_else(|| unstable::is_possible().then(unstable::mysql))
}
