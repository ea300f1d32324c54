//! The race: processes take one lock over from each other as fast as they can, are stopped in the middle of
//! whatever they do, and write only in guarded transactions. Afterwards the order of the commits is the order of the
//! fences (I5, I6), and every row was reported.
//!
//! Each test starts its own binary again, as the processes; what they do there is in [`racer`], what the test does
//! with them in [`referee`], and what must be true in the end in [`verdict`]. The second test of each engine is the
//! same race with a plain check in place of the pin: there stale holders do commit, and the verdict sees it.
//!
//! A few hundred takeovers, or as many as `DIESEL_LOCKS_TAKEOVERS` says (`cargo xtask race`); that long form also
//! fails where something that was to be shown never happened.
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
