//! `diesel-locks migrations`: files and text.

use diesel_locks::Dialect;
use diesel_locks::migrations::Migrations;

use crate::args::{self, Args, Engine};
use crate::{Answer, Outcome, database, print};

pub fn run(args: &Args, what: &args::Migrations) -> Outcome {
    let (args::Migrations::Write { engine, .. } | args::Migrations::Sql { engine, .. }) = what;
    let engine = match engine.engine {
        Some(engine) => engine,
        None => Engine::of(database::url(args).map_err(
            |_| "for which database? Say postgres, mysql or sqlite, or set DATABASE_URL",
        )?),
    };
    let migrations = Migrations::for_table(args.table()?);
    match engine {
        #[cfg(feature = "cli-postgres")]
        Engine::Postgres => run_for::<diesel::pg::Pg>(&migrations, what),
        #[cfg(feature = "cli-mysql")]
        Engine::Mysql => run_for::<diesel::mysql::Mysql>(&migrations, what),
        #[cfg(feature = "cli-sqlite")]
        Engine::Sqlite => run_for::<diesel::sqlite::Sqlite>(&migrations, what),
        #[cfg(not(all(
            feature = "cli-postgres",
            feature = "cli-mysql",
            feature = "cli-sqlite"
        )))]
        engine => Err(database::missing(engine)),
    }
}

fn run_for<DB: Dialect>(migrations: &Migrations, what: &args::Migrations) -> Outcome {
    match what {
        args::Migrations::Write { dir, .. } => {
            let made = migrations.write::<DB>(dir)?;
            if made.is_empty() {
                eprintln!("nothing to write: all is there, in {}", dir.display());
            }
            for folder in made {
                print(&format!("{}\n", folder.display()))?;
            }
        }
        args::Migrations::Sql { drop: false, .. } => print(&migrations.up_sql::<DB>())?,
        args::Migrations::Sql { drop: true, .. } => print(&migrations.down_sql::<DB>())?,
    }
    Ok(Answer::Yes)
}
