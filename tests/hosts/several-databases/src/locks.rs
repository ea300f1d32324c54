//! What the application does with locks.

use diesel::{MysqlConnection, PgConnection, SqliteConnection};
use diesel_locks::blocking::{LockConnection, Locker, WithinPool, run_migrations_in_turn};
use diesel_locks::migrations::Migrations;
use diesel_locks::{Error, Run, Wait};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use crate::{AnyConnection, MYSQL, Manager, POSTGRES, Pool, Result, SQLITE, send_all};

type LockerOn<C> = Locker<WithinPool<Manager, C>>;

/// The locks in the database that is configured.
pub enum Locks {
    Postgres(LockerOn<PgConnection>),
    Mysql(LockerOn<MysqlConnection>),
    Sqlite(LockerOn<SqliteConnection>),
}

macro_rules! locks {
    ($pool:ident, $kind:ident) => {
        Locks::$kind(Locker::new(WithinPool::new($pool, |any| match any {
            AnyConnection::$kind(conn) => Some(conn),
            _ => None,
        })))
    };
}

impl Locks {
    pub fn new(pool: Pool) -> Result<Self> {
        Ok(match *pool.get()? {
            AnyConnection::Postgres(_) => locks!(pool, Postgres),
            AnyConnection::Mysql(_) => locks!(pool, Mysql),
            AnyConnection::Sqlite(_) => locks!(pool, Sqlite),
        })
    }

    /// Sends the reminders, unless another instance is sending them. What a stale instance sends does not commit.
    pub fn send_reminders(&self) -> Result<Option<usize>> {
        match self {
            Self::Postgres(locker) => send_reminders(locker),
            Self::Mysql(locker) => send_reminders(locker),
            Self::Sqlite(locker) => send_reminders(locker),
        }
    }
}

pub fn send_reminders<C: LockConnection + 'static>(locker: &LockerOn<C>) -> Result<Option<usize>> {
    let sent = locker.run("reminders", Wait::never(), |guard| {
        guard.transaction(|conn| Ok::<_, Error>(send_all(conn, guard.fence())?))
    })?;
    Ok(match sent {
        Run::Done(sent) => Some(sent?),
        _ => None,
    })
}

/// Runs the migrations of the application and those of the locks. Instances that start at once take turns.
pub fn migrate(any: &mut AnyConnection) -> Result<()> {
    match any {
        AnyConnection::Postgres(conn) => migrate_with(conn, POSTGRES),
        AnyConnection::Mysql(conn) => migrate_with(conn, MYSQL),
        AnyConnection::Sqlite(conn) => migrate_with(conn, SQLITE),
    }
}

fn migrate_with<C>(conn: &mut C, own: EmbeddedMigrations) -> Result<()>
where
    C: LockConnection + MigrationHarness<C::Dialect>,
{
    let all = Migrations::default().with(own);
    run_migrations_in_turn(conn, Wait::forever(), all).map(drop)
}
