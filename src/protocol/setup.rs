//! Creates the table, and checks whether a table can be used.
//!
//! - Nothing is created inside a transaction of the caller, because MySQL would commit that transaction.
//! - The steps that were run are noted in a second table, `…_setup`, which is created before the table of the locks. A
//!   table of the locks without a `…_setup` was not created by this crate, and is left alone.
//! - Processes that start at the same time take turns, with a lock ([`Sql::MIGRATION_LOCK`]). Each process asks again
//!   when it has the lock, and then finds that the work is done. SQLite has no such lock: there all processes but the
//!   one writer are refused, and try again. (On MySQL, a call that is cancelled keeps the lock until its connection
//!   ends. The other processes wait for a minute, and then go on without the lock.)
//! - On a database that cannot create a table in a transaction, a step can be run again after it was interrupted.

use std::time::Duration;

use super::executor::{Executor, Transactions};
use crate::clock::Moment;
use crate::dialect::Sql;
use crate::error::{Error, Result};
use crate::fact::{self, is_there};
use crate::migrations::{Migrations, Step};
use crate::statement::Statement;
use crate::table::{Table, quoted};
use crate::wait::Wait;

/// How long to try again while other processes are in the way.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn verify<E: Executor>(executor: &mut E, table: &Table) -> Result<()> {
    let facts = executor.facts(Statement::facts(table)).await?;
    fact::check(table, &facts, &E::Backend::REQUIREMENTS)
}

/// The next call completes what this call has left half done.
pub(crate) async fn migrate<E: Transactions>(executor: &mut E, table: &Table) -> Result<()> {
    run(executor, table, E::Backend::STEPS).await
}

async fn run<E: Transactions>(executor: &mut E, table: &Table, steps: &[Step]) -> Result<()> {
    if executor.is_broken() {
        return Err(Error::BrokenConnection);
    }
    if executor.in_transaction() {
        return Err(Error::Setup {
            found: "the connection is inside a transaction".to_owned(),
            remedy: "migrate before it begins: some databases commit it when a table is made",
        });
    }
    if missing(executor, table, steps).await?.is_empty() {
        return Ok(());
    }
    let (wait, began) = (Wait::up_to(PATIENCE), Moment::now());
    let mut pauses = wait.pauses();
    loop {
        let answer = under_migration_lock(executor, table, steps).await;
        if !matches!(&answer, Err(error) if error.is_transient()) {
            return answer;
        }
        match pauses.next(Moment::now().since(began), None) {
            Some(pause) => executor.sleep(pause).await,
            None => return answer,
        }
    }
}

async fn under_migration_lock<E: Transactions>(
    executor: &mut E,
    table: &Table,
    steps: &[Step],
) -> Result<()> {
    let [first, last] = E::Backend::MIGRATION_LOCK;
    if !E::Backend::DDL_IN_TRANSACTION {
        executor.batch(first).await?;
        let answer = make(executor, table, steps).await;
        executor.batch(last).await?;
        return answer;
    }
    executor.begin().await?;
    let made = match executor.batch(first).await {
        Ok(()) => make(executor, table, steps).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(()) => executor.commit().await,
        Err(error) => {
            let _ = executor.rollback().await;
            Err(error)
        }
    }
}

async fn make<E: Executor>(executor: &mut E, table: &Table, steps: &[Step]) -> Result<()> {
    let migrations = Migrations::for_table(table.clone());
    let setup = quoted("diesel_locks_setup", E::Backend::QUOTE);
    let setup = migrations.named::<E::Backend>(&setup);
    if !exists(executor, &table.beside("_setup")).await? {
        if exists(executor, table).await? {
            return Err(not_made_here(table));
        }
        let create =
            format!("CREATE TABLE IF NOT EXISTS {setup} (version BIGINT NOT NULL PRIMARY KEY)");
        executor.batch(&create).await?;
    }
    for step in missing(executor, table, steps).await? {
        executor
            .batch(&migrations.named::<E::Backend>(step.up))
            .await?;
        let note = format!("INSERT INTO {setup} (version) VALUES ({})", step.number());
        executor.batch(&note).await?;
    }
    Ok(())
}

/// The steps that are not noted as run.
async fn missing<'s, E: Executor>(
    executor: &mut E,
    table: &Table,
    steps: &'s [Step],
) -> Result<Vec<&'s Step>> {
    let done = match executor.numbers(Statement::steps(table)).await {
        Ok(done) => done,
        Err(Error::TableMissing { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    let missing = steps.iter().filter(|step| !done.contains(&step.number()));
    Ok(missing.collect())
}

async fn exists<E: Executor>(executor: &mut E, table: &Table) -> Result<bool> {
    Ok(is_there(&executor.facts(Statement::facts(table)).await?))
}

fn not_made_here(table: &Table) -> Error {
    Error::Setup {
        found: format!("the table {} was not made by `migrate`", table.quoted()),
        remedy: "your own migrations own it: call `verify` instead",
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use diesel::{Connection, RunQueryDsl, SqliteConnection};

    use super::run;
    use crate::blocking::{Blocking, TableDsl, ready};
    use crate::dialect::Sql;
    use crate::error::Error;
    use crate::migrations::Step;
    use crate::table::Table;

    const NEXT: Step = Step {
        folder: "2099-01-01-000000_diesel_locks_next",
        up: "ALTER TABLE `diesel_locks` ADD COLUMN next TEXT",
        down: "",
    };

    fn steps() -> Vec<Step> {
        let shipped = <diesel::sqlite::Sqlite as Sql>::STEPS;
        shipped.iter().copied().chain([NEXT]).collect()
    }

    #[test]
    fn a_later_version_runs_what_is_new_once_and_an_older_one_still_works() {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        let table = Table::new("odd `name`").unwrap();
        table.migrate(&mut conn).unwrap();
        for _ in 0..2 {
            ready(run(&mut Blocking::on(&mut conn), &table, &steps())).unwrap();
        }
        let next = diesel::sql_query("SELECT next FROM `odd ``name```").execute(&mut conn);
        assert!(next.is_ok(), "{next:?}");
        table.migrate(&mut conn).unwrap();
        table.verify(&mut conn).unwrap();
    }

    #[test]
    fn a_step_that_fails_leaves_nothing() {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        let table = Table::default();
        let broken = Step {
            up: "CREATE TABLE `diesel_locks_odd` (x INTEGER); NO SQL",
            ..NEXT
        };
        let steps: Vec<Step> = steps().into_iter().take(1).chain([broken]).collect();
        assert!(ready(run(&mut Blocking::on(&mut conn), &table, &steps)).is_err());
        assert!(matches!(
            table.verify(&mut conn),
            Err(Error::TableMissing { .. })
        ));
        table.migrate(&mut conn).unwrap();
    }
}
