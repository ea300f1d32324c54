//! Tests of the crate in a host application: with the host's migrations, schema, connections and rights, on every
//! database.
//!
//! The host's own migrations, one older and one newer than this crate's, are in `embedding/migrations`.

mod embedding {
    pub mod connections;
    pub mod diesel_cli;
    pub mod embedded;
    pub mod host;
    pub mod joined;
    #[cfg(feature = "postgres")]
    pub mod notifications;
    pub mod rights;
    pub mod within;
}

use diesel_locks_tests::database;
use embedding::{connections, diesel_cli, embedded, host, joined, rights, within};

database::for_every_engine! {
    diesel_cli:
        the_hosts_commands_go_on_working,
        what_is_printed_is_what_is_compiled,
        the_filter_keeps_the_table_from_being_dropped;
    embedded:
        combined_sources_run_and_revert,
        equal_versions_are_an_error,
        two_tables_come_with_two_migrations,
        combined_sources_run_on_an_async_connection_and_one_thread,
        instances_that_start_at_once_migrate_in_turn,
        async_instances_that_start_at_once_migrate_in_turn,
        who_waits_in_vain_is_told_that_it_is_busy,
        a_migration_that_fails_frees_the_turn;
    joined:
        tables_of_the_host_are_joined_with_a_table_of_the_macro,
        tables_of_the_host_are_joined_with_the_table_that_was_printed;
    connections:
        a_host_with_several_databases_matches_its_connection;
    within:
        statements_take_part_in_the_hosts_transaction,
        a_connection_that_is_gone_or_broken_is_refused,
        a_locker_works_on_the_hosts_pool;
    rights:
        what_is_granted_is_enough,
        verifying_names_the_right_that_is_missing,
        who_may_only_look_sees_the_view,
        who_migrates_needs_no_more;
}

#[cfg(feature = "postgres")]
mod notifications {
    use crate::embedding::notifications;

    #[test]
    fn a_release_notifies_only_if_a_waiter_has_asked_and_only_once() {
        notifications::a_release_notifies_only_if_a_waiter_has_asked_and_only_once();
    }

    #[test]
    fn a_release_that_is_taken_back_notifies_nobody() {
        notifications::a_release_that_is_taken_back_notifies_nobody();
    }
}
