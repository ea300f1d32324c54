//! The program `diesel-locks`: the binary itself is run, on every database.

mod cli {
    pub mod files;
    #[cfg(unix)]
    pub mod job;
    pub mod looking;
    pub mod mending;
    pub mod program;
    #[cfg(unix)]
    pub mod running;
    pub mod setup;
    #[cfg(unix)]
    pub mod stopping;
}
mod database;

use cli::{files, looking, mending, program, setup};
#[cfg(unix)]
use cli::{job, running, stopping};

database::for_every_engine! {
    setup:
        a_table_is_made_and_verified,
        what_will_not_do_is_said_with_its_remedy,
        sixteen_processes_migrate_at_once,
        a_database_that_is_not_there_is_an_error;
    files:
        files_are_written_once_and_never_changed,
        sql_is_printed_for_other_tools;
    looking:
        who_holds_what_is_listed,
        json_is_for_other_programs,
        a_list_can_be_watched,
        one_lock_is_shown;
    mending:
        taking_a_lock_away_asks_first,
        a_pinned_lock_is_in_use,
        a_lock_in_another_table_is_another,
        old_rows_are_purged;
}

#[cfg(unix)]
mod on_unix {
    crate::database::for_every_engine! {
        running:
            a_command_knows_its_lock_and_says_how_it_went,
            a_command_is_not_run_while_others_hold_its_lock,
            a_command_waits_for_its_lock,
            a_lock_is_kept_for_as_long_as_the_command_runs,
            a_lock_can_be_kept_longer_than_the_command,
            what_cannot_be_started_holds_no_lock,
            what_goes_wrong_is_told_from_what_the_command_says,
            what_a_command_leaves_in_the_background_goes_on;
        stopping:
            a_command_that_lost_its_lock_is_asked_to_stop,
            nothing_of_a_command_outlives_its_lock,
            a_command_is_stopped_when_its_time_is_over,
            signals_are_passed_on,
            what_was_ignored_before_is_ignored_by_the_command,
            nothing_of_a_command_outlives_its_keeper,
            a_command_has_the_terminal;
    }
}

#[test]
fn the_help_says_what_the_exit_codes_mean() {
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
fn wrong_arguments_are_told_apart() {
    for words in [
        &["release", "x"][..],
        &["purge"],
        &["purge", "--older-than", "7"],
        &["list", "--json", "--watch"],
        &["dance"],
        &[],
    ] {
        assert_eq!(program::run(words).code, 2, "{words:?}");
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
