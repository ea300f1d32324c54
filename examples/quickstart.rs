//! Two workers compete for a lock. One worker is paused for longer than the ttl, and the other takes the lock over.
//! When the first worker goes on, the database refuses its commit.
//!
//! `cargo run --example quickstart --features sqlite`

use std::thread::sleep;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_locks::blocking::{LeaseDsl, LockDsl};
use diesel_locks::{Attempt, Error, Lease, Lock, Result, Wait, blocking};

diesel::table! {
    invoices (id) {
        id -> Integer,
        paid_by -> Nullable<Text>,
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let folder =
        std::env::temp_dir().join(format!("diesel-locks-quickstart-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = story(&folder.join("app.db").display().to_string());
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn story(database: &str) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (mut ann, mut bob) = (connect(database)?, connect(database)?);
    blocking::migrate(&mut ann)?;
    ann.batch_execute(
        "CREATE TABLE invoices (id INTEGER PRIMARY KEY, paid_by TEXT); INSERT INTO invoices (id) VALUES (42);",
    )?;
    let lock = Lock::in_group("invoices", "42")?.with_ttl(Duration::from_millis(500))?;

    println!(
        "Two workers, Ann and Bob, want to pay invoice 42. Only the holder of its lock may.\n"
    );
    let anns = acquire(&mut ann, &lock, "Ann")?.ok_or("nobody else holds it")?;
    acquire(&mut bob, &lock, "Bob")?;

    println!(
        "\nAnn is paused: a long garbage collection, a suspended laptop, a network that hangs."
    );
    sleep(Duration::from_millis(700));
    println!("Her lease of 500 ms expires meanwhile, and Bob asks again.\n");
    let bobs = acquire(&mut bob, &lock, "Bob")?.ok_or("Ann's lease has expired")?;
    pay(&mut bob, &bobs, "Bob")?;

    println!("\nAnn wakes up, believes that the lock is hers, and pays too:");
    match pay(&mut ann, &anns, "Ann") {
        Err(error @ Error::Lost { .. }) => println!("  Refused: {error}."),
        other => return Err(format!("a stale holder got to commit: {other:?}").into()),
    }

    let paid_by: Option<String> = invoices::table
        .find(42)
        .select(invoices::paid_by)
        .first(&mut ann)?;
    println!(
        "\nInvoice 42 was paid once, by {}.",
        paid_by.unwrap_or_default()
    );
    Ok(())
}

fn connect(
    database: &str,
) -> std::result::Result<SqliteConnection, Box<dyn std::error::Error + Send + Sync>> {
    let mut conn = SqliteConnection::establish(database)?;
    conn.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL;")?;
    Ok(conn)
}

fn acquire(conn: &mut SqliteConnection, lock: &Lock, worker: &str) -> Result<Option<Lease>> {
    let lock = lock.clone().with_owner(worker)?;
    match lock.acquire(conn, Wait::never())? {
        Attempt::Acquired(lease) => {
            println!("{worker} acquires the lock, with fence {}.", lease.fence());
            Ok(Some(lease))
        }
        Attempt::Busy(Some(holder)) => {
            println!(
                "{worker} is told that {} holds it for {:?} more.",
                holder.owner, holder.time_left
            );
            Ok(None)
        }
        Attempt::Busy(None) => Ok(None),
    }
}

/// The transaction that does the protected write pins the lease first. If the lease is lost, the transaction is rolled
/// back. Until it commits, nobody can take the lock over.
fn pay(conn: &mut SqliteConnection, lease: &Lease, worker: &str) -> Result<()> {
    conn.immediate_transaction(|conn| {
        lease.pin(conn)?;
        diesel::update(invoices::table.find(42))
            .set(invoices::paid_by.eq(worker))
            .execute(conn)?;
        lease.release(conn)?;
        println!("{worker} pays, and releases the lock with the same commit.");
        Ok(())
    })
}
