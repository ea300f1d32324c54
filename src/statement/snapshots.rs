//! The SQL of every statement on every engine, as it is sent, in `tests/snapshots` for people to read. With
//! `BLESS=1` in the environment the files are written instead of compared.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use diesel::debug_query;
use diesel::query_builder::{QueryBuilder, QueryFragment};

use super::{Fact, Late, Operation, Seen, Statement};
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::lease::Lease;
use crate::list::List;
use crate::lock::Lock;
use crate::token::Token;

/// Every operation, with the values of an example.
enum Example {
    Seen(Statement<Seen>),
    Late(Statement<Late>),
    Done(Statement<()>),
    Fact(Statement<Fact>),
}

fn examples(engine: &str) -> Vec<Example> {
    use Example::{Done, Fact, Late, Seen};

    let lock = Lock::in_group("invoices", "42")
        .unwrap()
        .owner("web-1")
        .unwrap();
    let token = || Token::new("secret").unwrap();
    let lease = Lease::new(&lock, token(), 7, Moment::now());
    let list = List::all().group("invoices").held();
    let day = Duration::from_secs(24 * 60 * 60);
    let mut all = vec![
        Seen(Statement::look_as(&lock, Some(token()))),
        Seen(Statement::list(&list)),
        Late(Statement::extend(&lease, lock.ttl)),
        Late(Statement::extend_by(&lease, lock.ttl)),
        Seen(Statement::keep_alive(&[&lease, &lease])),
        Seen(Statement::look_mine(&[&lease])),
        Late(Statement::retire(&lease, lock.ttl)),
        Late(Statement::release(&lease)),
        Late(Statement::set_data(&lease, Some("text"))),
        Late(Statement::snapshot()),
        Late(Statement::steps(&list.table)),
        Fact(Statement::facts(&list.table)),
        Late(Statement::pin(&lease)),
        Late(Statement::force_release(&lock)),
    ];
    if engine == "postgres" {
        all.push(Late(Statement::release_soon(&lease)));
        all.push(Done(Statement::want(&lock, lock.ttl)));
    }
    if engine == "mysql" {
        all.push(Done(Statement::create(Operation::CreatePin, &lock, 7)));
        all.push(Seen(Statement::look_to_acquire(&lock, Some(token()), true)));
        all.push(Seen(Statement::peek_nowait(&lock, Some(token()))));
        all.push(Late(Statement::pin_by_writing(&lease)));
        all.push(Late(Statement::release_waiting(&lease)));
        all.push(Seen(Statement::peek(&lock, Some(token()))));
        all.push(Done(Statement::create(Operation::CreateLock, &lock, 0)));
        all.push(Done(Statement::acquire_after(&lock, Some(token()), 7, 8)));
        all.push(Done(Statement::renew(&lock, Some(token()), 7)));
        all.push(Done(Statement::purge_one(
            &list.table,
            "invoices|42".to_owned(),
            day,
        )));
    } else {
        all.push(dated(Statement::acquire_as(&lock, Some(token()))));
        all.push(Done(Statement::purge(&list, day)));
        all.extend(of_sets(engine, &lock, &token()));
    }
    all
}

/// With the same time by the clock on the wall in every run.
fn dated(mut statement: Statement<Seen>) -> Example {
    statement.binds.local = 1_000_000;
    Example::Seen(statement)
}

fn of_sets(engine: &str, lock: &Lock, token: &Token) -> Vec<Example> {
    use Example::{Done, Seen};

    let set = lock.clone().and(["43"]).unwrap();
    let mut all = vec![
        dated(Statement::acquire_all(&set, token)),
        dated(Statement::acquire_any(&set, token)),
    ];
    if engine == "sqlite" {
        all.push(Seen(Statement::look_all(&set, token)));
    } else {
        all.push(Done(Statement::create_all(&set)));
    }
    all
}

fn text<R, DB>(statement: &Statement<R>) -> (Operation, String)
where
    DB: Dialect + Default,
    DB::QueryBuilder: Default + QueryBuilder<DB>,
    Statement<R>: QueryFragment<DB>,
{
    (
        statement.operation,
        debug_query::<DB, _>(statement).to_string(),
    )
}

fn compare<DB>()
where
    DB: Dialect + Default,
    DB::QueryBuilder: Default + QueryBuilder<DB>,
{
    let mut snapshot = String::new();
    for example in examples(DB::ENGINE) {
        let (operation, sql) = match &example {
            Example::Seen(statement) => text::<_, DB>(statement),
            Example::Late(statement) => text::<_, DB>(statement),
            Example::Done(statement) => text::<_, DB>(statement),
            Example::Fact(statement) => text::<_, DB>(statement),
        };
        let sql = sql.replace(" -- binds: ", "\n-- binds: ");
        write!(snapshot, "-- {operation:?}\n{sql}\n\n").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(format!("{}.sql", DB::ENGINE));
    if std::env::var_os("BLESS").is_some() {
        return std::fs::write(path, snapshot).unwrap();
    }
    let blessed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        snapshot, blessed,
        "the SQL has changed; `cargo xtask tidy --bless` accepts it"
    );
}

#[cfg(feature = "postgres")]
#[test]
fn the_sql_for_postgres_is_the_snapshot() {
    compare::<diesel::pg::Pg>();
}

#[cfg(feature = "mysql")]
#[test]
fn the_sql_for_mysql_and_mariadb_is_the_snapshot() {
    compare::<diesel::mysql::Mysql>();
}

#[cfg(feature = "sqlite")]
#[test]
fn the_sql_for_sqlite_is_the_snapshot() {
    compare::<diesel::sqlite::Sqlite>();
}
