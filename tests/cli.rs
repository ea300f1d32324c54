//! The program `diesel-locks`: these tests run the binary itself, on every database.

mod cli {
    #[cfg(unix)]
    pub mod job;
    pub mod list;
    pub mod migrations;
    pub mod program;
    pub mod release;
    #[cfg(unix)]
    pub mod run;
    pub mod setup;
    #[cfg(unix)]
    pub mod stopping;
}
mod database;

#[cfg(unix)]
use cli::{job, run, stopping};
use cli::{list, migrations, program, release, setup};

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
        one_lock_is_shown;
    release:
        a_release_asks_first,
        a_pinned_lock_is_in_use,
        a_lock_in_another_table_is_another_lock,
        old_rows_are_purged;
}

#[cfg(unix)]
mod on_unix {
    crate::database::for_every_engine! {
        run:
            a_command_knows_its_lock_and_its_exit_code_is_kept,
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
    }
}

#[test]
fn the_help_explains_the_exit_codes() {
    let help = program::run(&["--help"]);
    assert_eq!(help.code, 0);
    for part in [
        "EXIT CODES",
        "DATABASE_URL",
        "diesel-locks purge --older-than 7d",
    ] {
        assert!(help.out.contains(part), "{part} in {}", help.out);
    }
}

#[test]
fn wrong_arguments_have_their_own_exit_code() {
    for words in [
        &["release", "x"][..],
        &["purge"],
        &["purge", "--older-than", "7"],
        &["list", "--json", "--watch"],
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
