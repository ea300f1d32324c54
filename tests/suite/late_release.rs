//! A guarded transaction that sees a snapshot releases its lease after its commit. That release may fail, and then the
//! work is committed nevertheless.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use diesel_locks::blocking::Locker;
use diesel_locks::{Error, Wait};

use crate::world::{Engine, Mode, Source, World, secs, within};

mod postgres {
    #[test]
    fn a_lock_that_the_commit_could_not_release_is_given_back_in_the_background() {
        use super::{Engine, Mode, Source, World};
        let world = World::new(
            Engine::Postgres,
            Mode::Blocking,
            Source::Own,
            "late_release",
        );
        world.run(|world| Box::pin(super::is_given_back(world)));
    }
}

async fn is_given_back(world: &World) {
    let url = world.engine.server().expect("a server");
    let (open, lock) = (url.clone(), world.lock("x"));
    let locker = Locker::new(move || {
        let mut conn = PgConnection::establish(&open)?;
        let level = "SET default_transaction_isolation = 'repeatable read'; SET lock_timeout = 100";
        conn.batch_execute(level).expect("settings");
        Ok::<_, diesel::ConnectionError>(conn)
    });
    let locker = locker.release_within(secs(60));
    let guard = locker.acquire(&lock, Wait::never()).unwrap();

    // A write of the row stops no pin and no commit, but the release.
    let mut other = PgConnection::establish(&url).unwrap();
    other.batch_execute("BEGIN").unwrap();
    let write = format!(
        "UPDATE diesel_locks SET expires_at = expires_at WHERE name = '{}'",
        lock.key()
    );
    other.batch_execute(&write).unwrap();
    guard.finish(|_| Ok::<_, Error>(())).unwrap();
    assert!(locker.is_held(&lock).unwrap());
    other.batch_execute("ROLLBACK").unwrap();
    within(secs(25), "the lock is given back", async || {
        !locker.is_held(&lock).unwrap()
    })
    .await;
    locker.close();
}
