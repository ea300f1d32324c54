//! Histories: many clients use the crate at the same time, processes are stopped and killed, networks fail, and everything
//! is written down. Afterwards a checker judges what was written. So it finds what no test has thought of.
//!
//! A test starts its own binary again, as the processes. [`child`] is the code of those processes, [`client`] that of a
//! client. [`weather`] stops and kills a process, and lets its networks fail. The networks ([`proxy`]) and the pools ([`pool`])
//! are those of `tests/faults.rs`. [`referee`] receives what the clients say,
//! and reads the database's own record ([`log`]). [`checker`] has the rules, in plain words.
//!
//! Each engine has two controls, in which clients break a rule on purpose ([`control`]). A control fails if the checker
//! does not find that.
//!
//! A history has a few thousand operations, or the number in `DIESEL_LOCKS_OPERATIONS` (`cargo xtask histories`). The long
//! form also fails if something that is counted never happened. The random choices come from a seed, which is printed:
//! `DIESEL_LOCKS_SEED` gives it again. Most choices are the same then, but their moments are not.
#![cfg(unix)]

#[path = "histories/checker.rs"]
mod checker;
#[path = "histories/child.rs"]
mod child;
#[path = "histories/client.rs"]
mod client;
#[path = "histories/control.rs"]
mod control;
#[path = "histories/evidence.rs"]
mod evidence;
#[path = "histories/ground.rs"]
mod ground;
#[path = "histories/hand.rs"]
mod hand;
#[path = "histories/log.rs"]
mod log;
#[path = "histories/operation.rs"]
mod operation;
#[path = "faults/client/pool.rs"]
mod pool;
#[path = "faults/proxy.rs"]
mod proxy;
#[path = "histories/random.rs"]
mod random;
#[path = "histories/recorder.rs"]
mod recorder;
#[path = "histories/referee.rs"]
mod referee;
#[path = "histories/report.rs"]
mod report;
#[path = "histories/run.rs"]
mod run;
#[path = "histories/weather.rs"]
mod weather;

macro_rules! histories {
    ($($feature:literal $engine:ident $variant:ident;)+) => {$(
        #[cfg(feature = $feature)]
        mod $engine {
            mod histories {
                histories! { @test $engine $variant Kept every_answer_fits_one_order }
                histories! { @test $engine $variant EarlyTakeover
                    a_takeover_before_the_end_of_a_lease_is_found }
                histories! { @test $engine $variant NoPin a_commit_without_a_pin_is_found }
                histories! { @test $engine $variant FalseBusy a_false_answer_busy_is_found }
            }
        }
    )+};
    (@test $engine:ident $variant:ident $rule:ident $case:ident) => {
        #[test]
        fn $case() {
            crate::referee::Test {
                engine: diesel_locks_tests::Engine::$variant,
                path: concat!(stringify!($engine), "::histories::", stringify!($case)),
                rule: crate::ground::Rule::$rule,
            }
            .run();
        }
    };
}

histories! {
    "postgres" postgres Postgres;
    "mysql" mariadb MariaDb;
    "mysql" mysql MySql;
    "sqlite" sqlite Sqlite;
}
