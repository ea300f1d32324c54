//! The database, the network and processes fail. The promises of the managed locks must hold all the same (I3, I12).
//!
//! Many of these tests are about time itself, so they wait in real time: for a limited time, with short ttls, and
//! mostly in parallel. A proxy of the test ([`proxy`]) plays the network that fails. The other processes are this
//! program, started again. SQLite has no network, so there another writer plays the database that does not answer.
#![cfg(unix)]

#[path = "faults/cancel.rs"]
mod cancel;
#[path = "faults/child.rs"]
mod child;
#[path = "faults/client.rs"]
mod client;
#[path = "faults/ending.rs"]
mod ending;
#[path = "faults/fault.rs"]
mod fault;
#[path = "faults/killed.rs"]
mod killed;
#[path = "faults/outage.rs"]
mod outage;
#[path = "faults/place.rs"]
mod place;
#[path = "faults/probe.rs"]
mod probe;
#[path = "faults/proxy.rs"]
mod proxy;
#[path = "faults/replies.rs"]
mod replies;
#[cfg(feature = "postgres")]
#[path = "faults/server.rs"]
mod server;
#[path = "faults/silence.rs"]
mod silence;
#[path = "faults/starved.rs"]
mod starved;

#[cfg(feature = "postgres")]
mod stopped {
    mod postgres {
        #[test]
        fn a_server_that_is_stopped_is_a_database_that_is_gone() {
            crate::server::test();
        }
    }
}

/// Makes tests of the cases for each engine, blocking and async.
macro_rules! faults {
    ($($feature:literal $module:ident $engine:ident;)+) => {$(
        #[cfg(feature = $feature)]
        mod $module {
            mod faults {
                mod blocking {
                    faults! { @both $engine Blocking }
                }
                mod asynchronous {
                    faults! { @both $engine Async }
                    faults! { @tasks $engine Async }
                }
                mod processes {
                    faults! { @cases $engine Both killed
                        killed_holders_are_taken_over_and_there_are_never_two,
                    }
                }
            }
        }
    )+};
    (@both $engine:ident $mode:ident) => {
        faults! { @cases $engine $mode outage
            a_guard_lives_through_a_short_outage,
            after_a_long_outage_the_work_is_told_at_the_deadline,
            a_pin_whose_session_has_died_is_not_trusted,
        }
        faults! { @cases $engine $mode replies
            a_lock_whose_acquisition_was_not_answered_is_given_back,
            an_agreed_token_finds_the_acquisition_that_was_not_answered,
            a_release_that_is_not_answered_frees_the_lock_in_the_end,
            an_answer_that_is_too_late_is_no_acquisition,
            an_extension_that_is_answered_too_late_changes_nothing,
            trust_counts_from_before_the_request_was_sent,
        }
        faults! { @cases $engine $mode silence
            connections_that_broke_are_not_used_again,
        }
        faults! { @cases $engine $mode starved
            a_process_that_was_stopped_is_told_on_waking,
        }
        faults! { @cases $engine $mode ending
            work_that_panics_gives_the_lock_back,
            a_transaction_that_panics_leaves_nothing,
        }
    };
    (@tasks $engine:ident $mode:ident) => {
        faults! { @cases $engine $mode replies
            a_slow_database_is_not_taken_for_one_that_is_gone,
        }
        faults! { @cases $engine $mode silence
            connections_that_hang_are_not_used_again,
        }
        faults! { @cases $engine $mode starved
            after_a_busy_time_of_the_runtime_the_lock_is_lost_at_the_first_look,
        }
        faults! { @cases $engine $mode ending
            locks_go_on_in_another_runtime,
            a_lease_is_kept_though_another_runtime_is_not_driven,
            a_guard_may_be_dropped_outside_of_its_runtime,
            what_was_left_to_a_dead_runtime_is_done_by_the_next,
            a_short_outage_on_a_runtime_of_one_thread,
        }
        faults! { @cases $engine $mode cancel
            a_cancelled_acquisition_leaves_nothing,
            a_cancelled_wait_leaves_the_line,
            cancelled_work_leaves_nothing,
            a_guard_survives_what_is_cancelled_under_it,
            a_storm_of_cancellations,
            others_who_drop_their_calls_cause_no_wrong_answer,
        }
    };
    (@cases $engine:ident $mode:ident $module:ident $($case:ident,)+) => {$(
        #[test]
        fn $case() {
            let path = concat!(module_path!(), "::", stringify!($case));
            let place = crate::place::Place::new(
                diesel_locks_tests::Engine::$engine,
                crate::place::Mode::$mode,
                path.trim_start_matches("faults::"),
            );
            crate::$module::$case(&place);
        }
    )+};
}

faults! {
    "postgres" postgres Postgres;
    "mysql" mariadb MariaDb;
    "mysql" mysql MySql;
    "sqlite" sqlite Sqlite;
}
