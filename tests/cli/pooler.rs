//! PgBouncer in transaction mode: each transaction may run on another connection to the server, and other clients have
//! used that connection before. Versions before 1.21 know nothing of prepared statements.

use std::thread;

use crate::database::{Database, Engine};
use crate::list::migrated;

const VARIABLE: &str = "PGBOUNCER_DATABASE_URL";

pub fn commands_share_the_connections_of_a_pooler() {
    let mut database = migrated(Engine::Postgres);
    let pooler = std::env::var(VARIABLE);
    let pooler = pooler
        .unwrap_or_else(|_| panic!("{VARIABLE} is not set: run the tests with `cargo xtask test`"));
    let (_, name) = database.url.rsplit_once('/').unwrap();
    database.url = format!("{}/{name}", pooler.rsplit_once('/').unwrap().0);
    database.run(&["migrate", "--table", "other"]).done();
    thread::scope(|scope| {
        for number in 0..3 {
            let (database, name) = (&database, format!("x{number}"));
            scope.spawn(move || (0..5).for_each(|_| every_command(database, &name)));
        }
    });
}

fn every_command(database: &Database, name: &str) {
    database.run(&["migrate"]).done();
    database.run(&["verify"]).done();
    let lease = database.run(&["acquire", name, "--ttl", "5m"]).done();
    database.answer(&["extend", "-"], &lease).done();
    assert!(database.run(&["list"]).done().contains(name));
    assert!(database.run(&["show", name]).done().contains("held for"));
    assert_eq!(database.run(&["run", name, "true"]).code, 80);
    database.answer(&["release", "-"], &lease).done();
    let ran = database.run(&["run", name, "--wait", "5s", "--ttl", "3s", "sleep", "1.5"]);
    assert_eq!((ran.code, &*ran.err), (0, ""), "{ran:?}");
    database.run(&["acquire", name, "--ttl", "5m"]).done();
    database.run(&["release", name, "--force"]).done();
    database.run(&["purge", "--older-than", "7d"]).done();
}
