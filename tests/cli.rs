//! The program `diesel-locks`: these tests run the binary itself, on every database.

mod cli {
    #[cfg(unix)]
    pub mod job;
    pub mod lease;
    pub mod list;
    pub mod looking;
    pub mod manual;
    pub mod migrations;
    #[cfg(all(unix, feature = "postgres"))]
    pub mod pooler;
    pub mod program;
    pub mod release;
    #[cfg(unix)]
    pub mod run;
    pub mod setup;
    #[cfg(unix)]
    pub mod silence;
    #[cfg(unix)]
    pub mod stopping;
}
mod database;
#[cfg(unix)]
#[expect(dead_code, reason = "the tests of faults use more of it")]
#[path = "faults/proxy.rs"]
mod proxy;

#[cfg(unix)]
use cli::{job, run, silence, stopping};
use cli::{lease, list, looking, migrations, program, release, setup};

database::for_every_engine! {
    setup:
        a_table_is_created_and_verified,
        a_failed_check_names_its_remedy,
        sixteen_processes_migrate_at_once,
        a_missing_database_is_an_error,
        a_url_may_name_mariadb_and_sqlite;
    migrations:
        files_are_written_once_and_never_changed,
        sql_is_printed_for_other_tools;
    list:
        held_locks_are_listed_with_their_owners,
        json_is_for_other_programs,
        a_list_can_be_watched,
        a_list_of_json_can_be_watched,
        one_lock_is_shown;
    looking:
        the_view_is_enough_for_held_locks;
    lease:
        a_script_holds_a_lock_across_its_steps,
        a_lease_comes_in_the_environment_on_standard_input_or_as_an_argument,
        a_lease_names_its_lock_and_its_table,
        a_lease_that_has_expired_is_taken_over,
        what_is_no_lease_is_refused,
        a_lease_that_cannot_be_printed_is_given_back;
    release:
        a_lock_is_released_by_force,
        a_pinned_lock_is_in_use,
        a_lock_in_another_table_is_another_lock,
        old_rows_are_purged;
}

#[cfg(unix)]
mod on_unix {
    crate::database::for_every_engine! {
        run:
            a_command_knows_its_lock_and_its_exit_code_is_kept,
            a_command_needs_no_dashes,
            a_command_is_not_run_while_its_lock_is_held,
            a_command_waits_for_its_lock,
            a_lock_is_kept_for_as_long_as_the_command_runs,
            a_lock_can_be_kept_longer_than_the_command,
            a_command_that_cannot_start_holds_no_lock,
            own_exit_codes_differ_from_those_of_the_command,
            processes_left_in_the_background_go_on;
        stopping:
            a_command_that_lost_its_lock_is_asked_to_stop,
            no_process_of_a_command_outlives_its_lock,
            a_command_is_stopped_after_its_longest_time,
            signals_are_passed_on,
            ignored_signals_stay_ignored_by_the_command,
            no_process_of_a_command_outlives_a_killed_run,
            a_command_has_the_terminal;
        silence:
            every_command_ends_without_an_answer,
            a_wait_outlives_a_silence,
            a_command_keeps_its_exit_code_if_the_lock_cannot_be_given_back,
            a_command_is_stopped_when_the_silence_has_cost_its_lock;
    }
}

#[cfg(all(unix, feature = "postgres"))]
mod pooler {
    mod postgres {
        #[test]
        fn commands_share_the_connections_of_a_pooler() {
            crate::cli::pooler::commands_share_the_connections_of_a_pooler();
        }
    }
}

#[test]
fn wrong_arguments_have_their_own_exit_code() {
    for words in [
        &["release", "--force"][..],
        &["purge"],
        &["purge", "--older-than", "7"],
        &["list", "--database-url", "postgress://u:hunter2@h/d"],
        &["dance"],
        &[],
    ] {
        let wrong = program::run(words);
        assert_eq!(wrong.code, 2, "{words:?}: {wrong:?}");
        assert!(!wrong.err.contains("hunter2"), "{wrong:?}");
    }
    #[cfg(feature = "sqlite")]
    {
        let long = "x".repeat(60);
        let invalid = program::run(&["list", "--table", &long, "--database-url", ":memory:"]);
        assert_eq!(invalid.code, 2, "{invalid:?}");
    }
    let nowhere = program::run(&["list"]);
    assert_eq!(nowhere.code, 3);
    assert!(nowhere.err.contains("DATABASE_URL"), "{}", nowhere.err);
}
