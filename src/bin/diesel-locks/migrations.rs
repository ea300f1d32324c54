//! `diesel-locks migrations`: as files, or as SQL text.

use diesel_locks::Dialect;
use diesel_locks::migrations::Migrations;

use crate::args::{Args, MigrationsCommand};
use crate::database;
use crate::engine::Engine;
use crate::outcome::{Exit, Outcome, print};

pub fn execute(args: &Args, command: &MigrationsCommand) -> Outcome {
    let (MigrationsCommand::Write { engine, .. } | MigrationsCommand::Sql { engine, .. }) = command;
    let engine = match engine.engine {
        Some(engine) => engine,
        None => Engine::of(database::url(args).map_err(
            |_| "no database engine: name postgres, mysql or sqlite, or set DATABASE_URL",
        )?)?,
    };
    let migrations = Migrations::for_table(args.table()?);
    match engine {
        #[cfg(feature = "cli-postgres")]
        Engine::Postgres => execute_for::<diesel::pg::Pg>(&migrations, command),
        #[cfg(feature = "cli-mysql")]
        Engine::Mysql => execute_for::<diesel::mysql::Mysql>(&migrations, command),
        #[cfg(feature = "cli-sqlite")]
        Engine::Sqlite => execute_for::<diesel::sqlite::Sqlite>(&migrations, command),
        #[cfg(not(all(
            feature = "cli-postgres",
            feature = "cli-mysql",
            feature = "cli-sqlite"
        )))]
        engine => Err(engine.missing()),
    }
}

fn execute_for<DB: Dialect>(migrations: &Migrations, command: &MigrationsCommand) -> Outcome {
    match command {
        MigrationsCommand::Write { dir, .. } => {
            let written = migrations.write::<DB>(dir)?;
            if written.is_empty() {
                eprintln!("nothing to write: {} has all migrations", dir.display());
            }
            for folder in written {
                print(&format!("{}\n", folder.display()))?;
            }
        }
        MigrationsCommand::Sql { drop: false, .. } => print(&migrations.up_sql::<DB>())?,
        MigrationsCommand::Sql { drop: true, .. } => print(&migrations.down_sql::<DB>())?,
    }
    Ok(Exit::Done)
}
