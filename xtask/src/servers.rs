//! The servers of one run, started side by side.

use crate::engine::Engine;
use crate::mysql::{self, Program};
use crate::server::Server;
use crate::{Outcome, docker, postgres, unstable};
use std::thread::ScopedJoinHandle;

/// A server for each engine that has one; those that we started end when this is dropped.
pub struct Servers {
    pub engines: Vec<Engine>,
    places: Vec<Place>,
}

/// Where an engine answers.
struct Place {
    variable: &'static str,
    url: String,
    /// Ours; `None` for the user's.
    private: Option<Server>,
}

impl Servers {
    /// Takes the servers that the environment names and starts the others.
    pub fn start(engines: &[Engine]) -> Outcome<Self> {
        Self::start_as(engines, false)
    }

    /// The same for a benchmark: as durable as they come.
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
            // All are joined: one that fails must not leave another half started.
            let places: Vec<Outcome<Place>> = threads.into_iter().map(joined).collect();
            places.into_iter().collect::<Outcome<Vec<Place>>>()
        })?;
        Ok(Self {
            engines: engines.to_vec(),
            places,
        })
    }

    /// The variables that the tests and the user's shell read.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.places
            .iter()
            .map(|place| (place.variable, place.url.as_str()))
    }

    /// The logs of servers that should run and don't.
    pub fn last_words(&self) -> Vec<String> {
        let said = |place: &Place| {
            let log = place.private.as_ref()?.last_words()?;
            Some(format!("{} ended by itself:\n{log}", place.url))
        };
        self.places.iter().filter_map(said).collect()
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
            "{}: {failure}\nA server of yours will do:  export {variable}=...",
            engine.name()
        )
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

/// Installed, in the cache or fetched; `None` where only a container is left.
fn mysql() -> Option<Outcome<Program>> {
    let installed = |server: std::path::PathBuf| Ok(Program::mysql(vec![server.into()], None));
    mysql::mysqld(false)
        .map(installed)
        .or_else(|| unstable::is_possible().then(unstable::mysql))
}
