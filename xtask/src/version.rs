//! A server of another version than the one that the suite runs on first.

use crate::engine::Engine;
use crate::servers::{self, Place};
use crate::{Outcome, debian, docker, npm, postgres};

#[derive(Clone, Copy, Debug)]
pub enum Version {
    Postgres(&'static npm::Package),
    /// Whose transactions see snapshots.
    NewerMariaDb,
}

/// The environment variable with the URL of a newer MariaDB that the user provides.
pub const NEWER_MARIADB: &str = "NEWER_MARIADB_DATABASE_URL";

/// The other versions of this engine that this machine can have.
pub fn others(engine: Engine) -> Vec<Version> {
    match engine {
        Engine::Postgres if npm::is_possible() => {
            let installed = postgres::installed();
            let other = |package: &&npm::Package| Some(package.major()) != installed.as_deref();
            npm::POSTGRES
                .iter()
                .filter(other)
                .map(Version::Postgres)
                .collect()
        }
        Engine::MariaDb => vec![Version::NewerMariaDb],
        _ => Vec::new(),
    }
}

/// What the last lines say about versions that this machine cannot have.
pub fn left_out(engines: &[Engine]) -> &'static str {
    if engines.contains(&Engine::Postgres) && !npm::is_possible() {
        "Other versions of PostgreSQL were NOT TESTED: their packages are for Debian on x86-64.\n"
    } else {
        ""
    }
}

impl Version {
    pub fn engine(self) -> Engine {
        match self {
            Self::Postgres(_) => Engine::Postgres,
            Self::NewerMariaDb => Engine::MariaDb,
        }
    }

    pub fn name(self) -> String {
        match self {
            Self::Postgres(package) => format!("PostgreSQL {}", package.postgres()),
            Self::NewerMariaDb => "newer MariaDB".to_owned(),
        }
    }

    pub fn start(self) -> Outcome<Place> {
        match self {
            Self::Postgres(package) => {
                let variable = self.engine().variable().unwrap_or_default();
                let server = postgres::start_package(package)?;
                Ok(Place::private(variable, server))
            }
            Self::NewerMariaDb => servers::place(NEWER_MARIADB, "a newer MariaDB", || {
                if debian::is_possible() {
                    debian::newer_mariadb()?.start(false)
                } else {
                    docker::start_newer_mariadb()
                }
            }),
        }
    }
}
