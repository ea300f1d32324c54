//! The race: processes take one lock over from each other as fast as they can. They are stopped at arbitrary moments,
//! and they write only in guarded transactions. Afterwards the order of the commits must be the order of the fences
//! (I5, I6), and every row must have been reported.
//!
//! Each test starts its own binary again, as the racing processes. [`racer`] is the code of those processes,
//! [`referee`] starts and stops them, and [`verdict`] checks the result. Each engine has a second test, the control:
//! the same race with a plain check in place of the pin. There stale holders can commit, and the control fails if
//! none did.
//!
//! The number of takeovers is a few hundred, or the value of `DIESEL_LOCKS_TAKEOVERS` (`cargo xtask race`). That long
//! form also fails if something that the race must show never happened.
#![cfg(unix)]

#[path = "race/event.rs"]
mod event;
#[path = "race/ground.rs"]
mod ground;
#[path = "race/ledger.rs"]
mod ledger;
#[path = "race/racer.rs"]
mod racer;
#[path = "race/referee.rs"]
mod referee;
#[path = "race/verdict.rs"]
mod verdict;

macro_rules! races {
    ($($feature:literal $engine:ident $variant:ident $connection:ident;)+) => {$(
        #[cfg(feature = $feature)]
        mod $engine {
            races! { @test $engine $variant $connection race, Pin,
                commits_come_in_the_order_of_fences }
            races! { @test $engine $variant $connection control, Check,
                with_a_plain_check_in_place_of_the_pin_stale_holders_commit }
        }
    )+};
    (@test $engine:ident $variant:ident $connection:ident $module:ident, $proof:ident, $case:ident) => {
        mod $module {
            #[test]
            fn $case() {
                crate::referee::Test {
                    engine: diesel_locks_tests::Engine::$variant,
                    path: concat!(
                        stringify!($engine), "::", stringify!($module), "::", stringify!($case)
                    ),
                    proof: crate::racer::Proof::$proof,
                }
                .run::<diesel::$connection>();
            }
        }
    };
}

races! {
    "postgres" postgres Postgres PgConnection;
    "mysql" mariadb MariaDb MysqlConnection;
    "mysql" mysql MySql MysqlConnection;
    "sqlite" sqlite Sqlite SqliteConnection;
}
