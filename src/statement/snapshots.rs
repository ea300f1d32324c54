//! The SQL of every statement on every engine, as it is sent, in `tests/snapshots` for people to read. With
//! `BLESS=1` in the environment the files are written instead of compared.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use diesel::debug_query;
use diesel::query_builder::QueryBuilder;

use super::Statement;
use crate::clock::Moment;
use crate::dialect::{Dialect, Value};
use crate::lease::Lease;
use crate::list::List;
use crate::lock::{Lock, micros};
use crate::set::LockSet;
use crate::token::Token;
use crate::wait::{BRIEF_IN_QUEUE, LONGEST_IN_QUEUE};

/// Every operation, with the values of an example.
fn examples(engine: &str) -> Vec<Statement> {
    let lock = Lock::in_group("invoices", "42")
        .unwrap()
        .with_owner("web-1")
        .unwrap();
    let token = || Token::new("secret").unwrap();
    let lease = Lease::new(&lock, token(), 7, Moment::now());
    let list = List::all().in_group("invoices").unwrap().held();
    let day = Duration::from_secs(24 * 60 * 60);
    let mut all = vec![
        Statement::look_as(&lock, Some(token())),
        Statement::list(&list),
        Statement::extend(&lease, lock.ttl),
        Statement::extend_by(&lease, lock.ttl),
        Statement::keep_alive(&[&lease, &lease]),
        Statement::look_mine(&[&lease]),
        Statement::retire(&lease, lock.ttl),
        Statement::release(&lease),
        Statement::set_data(&lease, Some("text")),
        Statement::mark(&lock, 7),
        Statement::snapshot(),
        Statement::steps(&list.table()),
        Statement::facts(&list.table()),
        Statement::pin(&lease),
        Statement::force_release(&lock),
    ];
    if engine == "postgres" {
        let marked = Statement::acquire_as(&lock, Some(token())).though_marked();
        all.push(dated(marked));
        all.push(Statement::create(&lock, Some(token())));
        all.push(Statement::release_async(&lease));
        all.push(Statement::want(&lock, lock.ttl));
        all.push(Statement::acquire_each(&[(lock.clone(), token())]));
        all.push(Statement::release_each(&[&lease], false));
    }
    if engine != "sqlite" {
        all.push(Statement::release_each(&[&lease], true));
    }
    if engine != "postgres" {
        all.push(Statement::acquire_after(&lock, Some(token()), 7, 8));
    }
    if engine == "mysql" {
        all.push(Statement::acquire_with(&lock, Some(token()), 8));
        all.push(Statement::acquire_each_with(&[(lock.clone(), token())], 8));
        all.push(Statement::look_each(&[(lock.clone(), token())]));
        all.push(Statement::create_beat(&lock, Some("text".to_owned())));
        all.push(Statement::keep_beat(&lease, lock.ttl));
        all.push(Statement::mark_beat(&lock, 7, 8));
        all.push(Statement::create(&lock, Some(token())));
        all.push(Statement::look_outside(&lock, Some(token())));
        all.push(Statement::look_to_acquire(&lock, Some(token()), true).in_turn(Some(7)));
        all.push(Statement::peek_nowait(&lock, Some(token())));
        all.push(Statement::session(7));
        all.push(Statement::pin_identity(&lease));
        all.push(Statement::pin_by_writing(&lease));
        all.push(Statement::release_waiting(&lease));
        all.push(Statement::peek(&lock, Some(token())));
        all.push(Statement::renew(&lock, Some(token()), 7));
        let key = "invoices|42".to_owned();
        all.push(Statement::purge_one(&list.table(), key, day));
    } else {
        all.push(dated(Statement::acquire_as(&lock, Some(token()))));
        all.push(Statement::purge(&list, day));
    }
    all.extend(of_sets(engine, &lock, &token()));
    all
}

fn dated(statement: Statement) -> Statement {
    statement.with(Value::Local, 1_000_000)
}

fn of_sets(engine: &str, lock: &Lock, token: &Token) -> Vec<Statement> {
    let set = LockSet::new(lock, ["43"]).unwrap();
    let seen = Statement::look_all(&set, token, true);
    if engine == "mysql" {
        return vec![Statement::acquire_all_with(&set, token, 8), seen];
    }
    let all = dated(Statement::acquire_all(&set, token));
    let any = dated(Statement::acquire_any(&set, token));
    if engine == "sqlite" {
        return vec![all, any, seen];
    }
    vec![all, any, Statement::create_all(&set)]
}

fn compare<DB>()
where
    DB: Dialect + Default,
    DB::QueryBuilder: Default + QueryBuilder<DB>,
{
    let mut snapshot = String::new();
    for statement in examples(DB::ENGINE) {
        let sql = debug_query::<DB, _>(&statement).to_string();
        let sql = sql.replace(" -- binds: ", "\n-- binds: ");
        write!(snapshot, "-- {:?}\n{sql}\n\n", statement.operation).unwrap();
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

/// A statement that acquires leaves the lock to another process for as long as that process may pause.
#[test]
fn the_statements_know_how_long_a_waiter_may_pause() {
    let [shortest, longest] = [BRIEF_IN_QUEUE, LONGEST_IN_QUEUE].map(micros);
    let bounds = format!(" / 4, {shortest}), {longest}) + 100000");
    for engine in ["mysql", "postgres", "sqlite"] {
        let path = format!(
            "{}/tests/snapshots/{engine}.sql",
            env!("CARGO_MANIFEST_DIR")
        );
        let sql = std::fs::read_to_string(path).unwrap();
        assert!(sql.contains(&bounds), "{engine}: {bounds}");
    }
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
