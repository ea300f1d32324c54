//! The conformance suite: the properties of the locks, tested in every world.
//!
//! A world is an engine, a kind of connection (blocking or async) and a source of connections (opened for the test, or
//! a pool). Each case is written once, as a function of a world. A case asks the world for differences between engines
//! ([`World`]'s methods). Every case runs in every world, except where the list says `in`: see [`only`].
//!
//! The path of a test is `engine::mode::source::module::case`, for example
//! `postgres::asynchronous::pool::pin::the_heartbeat_passes_the_pin_at_once`. So `cargo xtask test -- pin::` runs one
//! file of cases in every world. A new case needs a function in `suite/` and one line in the list below.
//!
//! `cargo xtask test` starts the servers and runs all tests.

mod managed;
mod suite;
mod world;

use diesel_locks_tests::session;
use world::{Engine, Mode, Source, World};

/// Makes a test of every case in every world of one engine.
macro_rules! worlds {
    ($engine:ident, $variant:ident, $($cases:tt)+) => {
        mod $engine {
            worlds! { @mode $variant, blocking, Blocking, $($cases)+ }
            worlds! { @mode $variant, asynchronous, Async, $($cases)+ }
        }
    };
    (@mode $engine:ident, $mode:ident, $variant:ident, $($cases:tt)+) => {
        mod $mode {
            worlds! { @source $engine, $variant, own, Own, $($cases)+ }
            worlds! { @source $engine, $variant, pool, Pool, $($cases)+ }
        }
    };
    (@source $engine:ident, $mode:ident, $source:ident, $variant:ident,
     $($module:ident: $($case:ident $(in $($places:ident)+)?),+;)+) => {
        mod $source {
            $(mod $module {$(
                only! { $($($places)+)?; $engine $mode
                    #[test]
                    fn $case() {
                        use crate::{Engine, Mode, Source, World, suite};
                        let name = concat!(stringify!($module), " ", stringify!($case));
                        let world = World::new(Engine::$engine, Mode::$mode, Source::$variant, name);
                        world.run(|world| Box::pin(suite::$module::$case(world)));
                    }
                }
            )+})+
        }
    };
}

/// The test, if the world is in all of these places: where a caller is a task, or where the engine is one of these.
macro_rules! only {
    (; $engine:ident $mode:ident $test:item) => { $test };
    (tasks $($places:ident)*; $engine:ident Async $test:item) => {
        only! { $($places)*; $engine Async $test }
    };
    (tasks $($places:ident)*; $engine:ident Blocking $test:item) => {};
    (postgres; Postgres $mode:ident $test:item) => { $test };
    (mysql; MySql $mode:ident $test:item) => { $test };
    (mysql; MariaDb $mode:ident $test:item) => { $test };
    (servers; Sqlite $mode:ident $test:item) => {};
    (servers; $engine:ident $mode:ident $test:item) => { $test };
    (postgres; $engine:ident $mode:ident $test:item) => {};
    (mysql; $engine:ident $mode:ident $test:item) => {};
}

macro_rules! conformance {
    ($($cases:tt)+) => {
        #[cfg(feature = "postgres")]
        worlds! { postgres, Postgres, $($cases)+ }
        #[cfg(feature = "mysql")]
        worlds! { mariadb, MariaDb, $($cases)+ }
        #[cfg(feature = "mysql")]
        worlds! { mysql, MySql, $($cases)+ }
        #[cfg(feature = "sqlite")]
        worlds! { sqlite, Sqlite, $($cases)+ }
    };
}

conformance! {
    core:
        acquire_status_release_status,
        a_second_acquirer_is_told_busy_and_by_whom,
        the_same_token_again_is_the_same_acquisition,
        the_same_token_never_shortens_the_lease,
        a_token_that_is_like_another_is_another,
        two_handles_in_one_process_are_two_holders,
        a_second_release_says_that_the_lock_was_not_held,
        a_lease_can_be_handed_to_another_process,
        in_a_test_transaction_locks_work_and_leave_nothing;
    race:
        of_many_racers_one_wins_and_all_others_are_told_busy,
        many_waiters_hold_the_lock_one_after_the_other,
        different_names_do_not_wait_for_each_other;
    between:
        whatever_happens_between_the_steps_of_a_try_only_one_holds_the_lock,
        the_same_token_acquired_anew_in_between_is_not_the_same_acquisition,
        an_answer_about_a_lease_is_right_whatever_happens_between_its_steps,
        a_lease_that_its_holder_extends_between_the_steps_of_a_try_is_not_taken_over,
        a_try_does_not_wait_for_a_row_that_is_created_between_its_steps,
        an_agreed_token_that_acquires_between_the_steps_of_a_try_is_the_same_acquisition,
        the_fence_grows_over_what_was_rolled_back_between_the_steps_of_a_try,
        a_refused_pin_says_why_whatever_happens_between_its_steps,
        what_is_used_between_the_steps_of_a_purge_stays;
    cancelling:
        after_a_dropped_call_no_answer_is_wrong,
        a_pin_is_not_answered_by_the_pin_before_it,
        after_a_dropped_transaction_the_connection_is_refused,
        after_work_that_panics_the_connection_is_refused in tasks servers,
        a_transaction_that_is_dropped_anywhere_swallows_nothing,
        a_migration_that_is_dropped_anywhere_is_completed_by_the_next;
    expiry:
        an_expired_lease_is_taken_over_by_a_plain_try,
        a_lease_that_nobody_took_over_is_extended_and_released_late,
        a_lease_that_was_taken_over_is_lost_and_stays_lost,
        a_lease_that_is_extended_outlives_its_first_ttl,
        a_lease_that_outlives_its_first_end_is_held_for_everybody,
        extending_never_shortens_a_lease,
        the_time_left_is_what_was_asked_and_zero_in_the_end,
        a_holder_that_vanishes_keeps_the_lock_no_longer_than_its_ttl,
        the_ttl_counts_from_the_try_that_wins,
        a_ttl_is_kept_or_refused_and_no_lock_is_without_an_end,
        a_ttl_too_short_for_the_way_to_the_database_says_so;
    clock:
        the_times_in_the_row_come_from_the_database,
        acquired_late_in_a_transaction_a_lease_has_its_full_ttl,
        sessions_in_different_time_zones_agree,
        an_hour_has_sixty_minutes_even_when_the_clocks_change;
    tick:
        a_lease_is_over_at_the_instant_at_which_it_ends,
        extending_and_acquiring_again_within_one_tick_works;
    fence:
        the_fence_grows_whatever_happened_to_the_last_holder,
        the_fence_grows_over_a_transaction_that_was_rolled_back,
        the_fence_grows_by_one_where_the_databases_clock_was_set_back,
        a_wrong_clock_of_a_client_is_not_a_fence,
        extending_and_the_same_token_leave_the_fence_unchanged,
        a_lease_stays_lost_though_its_token_comes_back;
    trust:
        trust_counts_from_before_the_request,
        a_reply_that_comes_after_the_ttl_is_no_acquisition,
        with_an_agreed_token_an_acquisition_is_not_given_back,
        a_waiter_tries_again_after_a_late_reply;
    waiting:
        a_number_of_attempts_is_exact,
        a_wait_ends_when_its_time_is_up,
        a_waiter_gets_the_lock_after_its_release;
    names:
        names_that_an_engine_could_confuse_are_different_locks,
        the_longest_name_is_not_cut,
        group_and_name_cannot_be_confused;
    setup:
        a_table_may_have_an_odd_name,
        a_table_may_be_in_another_schema,
        where_the_table_is_missing_the_error_says_what_creates_it,
        another_error_is_not_taken_for_a_missing_table;
    embedding:
        migrating_makes_the_table_once_and_an_upgrade_is_no_danger,
        migrating_is_refused_inside_a_transaction,
        a_table_that_others_made_is_left_alone,
        a_run_that_was_cut_off_is_completed,
        sixteen_connections_that_migrate_at_once_all_succeed,
        verifying_finds_what_is_wrong_and_names_the_remedy,
        verifying_and_migrating_work_in_odd_places,
        statements_on_another_table_are_prepared_once;
    schema:
        schema_rs_is_what_the_database_has,
        the_view_shows_the_holders_and_no_token;
    looking:
        inspecting_shows_the_owner_the_begin_and_the_time_left,
        a_list_is_of_a_group_a_prefix_or_of_the_held_locks,
        a_list_comes_in_pages_without_a_gap;
    mending:
        a_lock_that_is_taken_away_is_lost_to_its_holder,
        a_pinned_lock_is_not_taken_away_under_its_transaction,
        a_lock_that_is_being_taken_over_is_in_use,
        purging_removes_locks_that_were_unused_for_the_given_time,
        purging_leaves_nothing_to_a_next_page,
        a_purged_lock_begins_anew;
    data:
        data_comes_with_the_acquisition_and_stays_for_the_next_holder,
        data_is_kept_as_it_is_or_refused,
        data_is_as_transactional_as_everything_else;
    cost:
        what_is_kept_beside_the_row_costs_what_is_promised,
        a_busy_try_writes_nothing,
        each_operation_costs_what_is_promised,
        each_operation_costs_what_is_promised_in_a_transaction,
        a_lock_of_another_process_costs_what_is_promised,
        a_set_costs_what_is_promised,
        a_set_of_locks_in_different_states_costs_what_is_promised;
    stress:
        a_thousand_tasks_and_one_name_bring_no_error_and_never_two_holders,
        a_storm_of_tries_costs_no_holder_its_lease;
    model:
        the_model_agrees_with_the_engine;
    transactions:
        at_every_level_the_second_of_two_transactions_is_told_busy_at_once,
        what_is_rolled_back_was_never_acquired,
        a_lease_that_was_committed_works_on_every_connection,
        a_release_takes_effect_with_the_commit,
        two_names_in_opposite_order_are_busy_and_no_deadlock,
        busy_leaves_the_transaction_usable,
        the_first_use_of_a_name_in_an_open_transaction_is_busy_for_others,
        a_savepoint_takes_back_a_release_and_an_extension,
        waiting_where_the_release_cannot_be_seen_is_refused,
        a_test_transaction_is_a_transaction,
        a_lock_held_for_a_transaction_excludes_leases_and_others_until_its_end,
        a_held_lease_excludes_whoever_wants_the_lock_for_a_transaction,
        holding_for_a_transaction_needs_one,
        a_try_in_a_transaction_that_diesel_does_not_know_stops_no_pin,
        a_look_in_a_transaction_that_diesel_does_not_know_stops_no_heartbeat,
        a_busy_set_in_a_transaction_stops_no_heartbeat,
        a_try_with_an_old_snapshot_stops_no_extension,
        a_name_that_was_only_half_created_mends_itself;
    pin:
        a_pinned_lease_that_runs_out_is_not_taken_over_before_the_commit,
        taken_over_before_the_pin_is_lost_and_nothing_is_written,
        a_lease_that_has_run_out_must_be_extended_before_a_pin,
        the_heartbeat_passes_the_pin_at_once,
        a_try_for_a_pinned_lock_does_not_wait,
        many_pins_of_one_lease_stand_side_by_side,
        once_taken_over_no_older_pin_can_commit,
        a_snapshot_does_not_let_a_stale_holder_commit,
        a_snapshot_that_is_older_than_the_lease_does_not_make_it_lost,
        the_wrong_forms_let_a_stale_holder_commit,
        a_deferred_transaction_that_has_read_gets_a_clear_answer,
        a_pin_in_a_savepoint_ends_with_its_rollback_and_a_read_only_transaction_cannot_pin,
        a_token_that_comes_back_does_not_revive_an_old_lease,
        overlapping_pins_of_a_dead_holders_workers_do_not_keep_its_lock,
        a_failed_try_in_an_open_transaction_blocks_nobody,
        a_failed_try_for_a_pinned_lease_that_ran_out_stops_no_heartbeat,
        a_stale_release_is_in_nobodys_way;
    guarded:
        the_one_call_form_sees_what_the_last_holder_wrote,
        a_guarded_transaction_longer_than_the_ttl_leaves_the_lease_held,
        the_work_s_own_error_rolls_back_and_comes_back_unchanged,
        a_guarded_transaction_in_a_transaction_is_a_savepoint,
        finishing_releases_with_the_commit,
        a_heartbeat_cannot_make_a_guarded_transaction_fail,
        the_one_call_form_costs_begin_pin_and_commit,
        a_busy_lock_is_an_answer_of_the_one_call_form,
        a_nested_guarded_transaction_never_loses_the_one_around_it,
        what_the_transaction_around_takes_back_is_not_trusted,
        the_work_may_release_by_itself;
    sessions:
        a_connection_inside_a_transaction_is_refused,
        a_connection_without_autocommit_is_refused,
        a_crowd_without_autocommit_is_refused in mysql,
        what_a_keeper_without_autocommit_extends_is_not_trusted in mysql;
    sets:
        all_locks_of_a_set_or_none,
        a_set_is_taken_over_and_comes_with_the_transaction,
        sets_that_share_names_do_not_deadlock,
        thousands_of_names_at_once,
        any_free_one_of_a_set_is_a_semaphore,
        a_permit_that_is_being_taken_is_passed_over,
        racers_for_permits_get_each_once,
        the_same_token_finds_its_set_again,
        an_agreed_token_keeps_what_it_had_and_gets_no_more,
        permits_that_were_never_used_go_to_all_who_race_for_them;
    terms:
        the_jobs_whose_lock_is_free_and_those_whose_lock_is_held,
        a_fenced_write_refuses_who_comes_too_late,
        a_pin_that_is_a_write_keeps_the_lock_as_well,
        a_guard_that_pins_by_writing_is_not_extended_meanwhile;
    languages:
        the_server_speaks_the_language_of_this_run,
        an_error_is_understood_in_every_language;
    lines:
        every_way_to_release_wakes_the_next_waiter_of_this_process,
        a_waiter_in_another_process_polls_as_often_as_its_wait_says,
        attempts_in_a_line_are_exact,
        a_wait_in_a_line_ends_when_its_time_is_up,
        a_waiter_that_leaves_the_line_blocks_nobody,
        when_the_first_waiter_has_left_the_next_one_polls,
        a_try_that_is_cancelled_anywhere_leaves_nothing_held,
        a_try_that_nobody_polls_holds_up_nobody_else,
        a_set_that_is_cancelled_anywhere_leaves_nothing_held,
        the_waiters_of_a_process_get_the_lock_in_the_order_in_which_they_came,
        the_next_waiter_does_not_poll_at_once,
        many_waiters_cost_the_database_as_much_as_one,
        waiting_for_a_pinned_lease_that_ran_out_costs_few_statements,
        no_waiter_in_a_line_is_forgotten,
        a_listener_hears_of_a_release_in_another_process,
        a_listener_hears_of_the_release_after_a_takeover,
        a_release_without_a_notification_is_found_by_polling,
        listeners_stand_in_line_and_cost_next_to_nothing;
    turns:
        no_process_keeps_the_lock_within_itself,
        no_process_keeps_the_lock_within_its_transactions,
        a_process_that_contends_with_itself_makes_no_marks,
        who_waits_for_one_holder_makes_no_mark,
        who_came_later_leaves_the_lock_to_who_has_waited_longer,
        a_single_try_leaves_the_lock_to_nobody,
        the_last_try_of_a_wait_leaves_the_lock_to_nobody,
        whose_time_is_over_acquires_a_free_lock_before_the_first_of_its_queue,
        a_turn_lasts_a_second,
        a_process_that_is_passed_over_marks_the_row_once_for_each_holder;
    keeping:
        work_longer_than_the_ttl_keeps_the_lock,
        a_lease_that_ran_out_in_the_row_lives_on_if_nobody_took_it_over,
        a_lease_that_is_extended_all_the_time_is_never_late,
        a_guard_is_told_at_the_next_beat_that_it_is_lost,
        a_guard_is_lost_though_its_token_comes_back,
        lost_is_lost_even_if_the_row_is_mended,
        what_was_lost_is_not_said_to_be_given_back,
        a_callback_that_panics_stops_nothing,
        an_observer_that_panics_does_not_stop_the_keeper,
        a_pool_that_panics_once_does_not_stop_the_keeper,
        a_release_that_races_a_heartbeat_frees_the_lock,
        nothing_goes_on_before_a_lock_is_acquired_and_after_it_is_released,
        a_guard_that_is_dropped_is_given_back,
        a_guard_may_be_dropped_anywhere,
        work_that_panics_gives_its_lock_back,
        a_run_that_is_dropped_gives_its_lock_back;
    kept_many:
        thousands_of_leases_cost_a_statement_for_each_thousand,
        leases_of_different_times_share_their_beats,
        copies_of_a_lease_are_extended_as_one,
        a_lease_that_is_lost_makes_no_other_late,
        leases_of_two_tables_are_kept_by_one_keeper,
        a_lease_whose_row_is_locked_does_not_hold_up_the_others,
        a_locked_row_of_the_holder_stops_no_heartbeat,
        a_heartbeat_that_passes_a_locked_row_extends_no_lease_that_is_lost,
        a_locked_row_that_says_more_than_the_ttl_is_trusted_for_the_ttl,
        a_guard_whose_transaction_locks_its_row_does_not_hold_up_the_others,
        with_one_connection_a_guarded_transaction_longer_than_the_ttl_commits,
        with_a_connection_for_the_keeper_all_locks_are_kept,
        no_connection_is_lost_to_the_pool;
    under_guard:
        what_is_written_under_a_guard_commits_or_not_at_all,
        one_transaction_pins_the_leases_of_several_guards,
        a_lost_guard_writes_nothing,
        a_rival_does_not_get_what_is_pinned_under_a_guard,
        a_deadline_that_passes_in_a_transaction_is_told_and_the_commit_decides,
        finishing_after_the_deadline_keeps_the_lock_for_the_rest,
        finishing_a_guard_releases_with_the_commit,
        finishing_with_an_error_gives_back_in_the_background,
        a_transaction_that_is_dropped_leaves_nothing,
        a_transaction_that_is_dropped_anywhere_leaves_nothing,
        transactions_under_one_guard_run_side_by_side,
        while_one_transaction_is_open_another_can_begin,
        a_transaction_may_outlast_the_longest_time,
        a_long_transaction_that_fails_loses_no_lock_that_is_still_ours,
        the_work_may_release_the_lock_of_its_guard;
    runs:
        work_that_is_done_brings_its_value_and_the_lock_is_free,
        work_is_not_begun_while_somebody_else_holds_the_lock,
        work_whose_lock_is_lost_is_told_or_dropped,
        work_that_takes_too_long_is_told_though_the_lock_is_kept_alive,
        work_that_is_done_early_keeps_its_lock_for_the_rest,
        every_way_of_giving_back_keeps_the_lock_for_the_rest,
        after_the_closing_a_lock_is_held_for_the_rest_nevertheless,
        a_heartbeat_that_was_on_its_way_does_not_prolong_the_rest,
        a_lost_lock_is_not_held_for_the_rest,
        who_waits_behind_a_rest_gets_the_lock_after_it,
        after_the_rest_no_copy_of_the_lease_can_be_pinned,
        work_s_own_error_is_what_it_brought;
    purging:
        rows_are_purged_in_the_background_until_that_is_stopped,
        a_list_without_a_table_is_of_the_table_of_the_locker,
        what_could_not_be_purged_is_tried_again_soon;
    handles:
        a_guard_is_acquired_seen_and_released,
        a_set_is_acquired_and_kept_together_or_not_at_all,
        the_guards_of_a_set_come_in_the_order_of_their_keys,
        a_set_is_waited_for,
        any_one_of_a_set_is_a_permit,
        a_lease_is_handed_from_one_locks_to_another_as_text,
        a_lease_of_a_connection_is_adopted,
        each_handle_holds_in_its_own_way,
        locks_of_two_tables_do_not_share_a_line,
        a_guard_extends_and_leaves_data,
        a_guard_adds_time_to_its_lease,
        a_guard_says_what_has_become_of_its_lease,
        a_guard_of_the_same_process_is_told_at_once_that_its_lock_was_taken_away,
        what_was_extended_to_is_kept_alive_in_its_own_rhythm,
        a_longest_time_bounds_trust,
        giving_back_waits_for_the_disk_if_it_is_to,
        giving_back_takes_no_longer_than_it_may,
        the_observer_is_told_what_happens_in_its_order,
        debug_shows_no_token_and_no_secret_of_the_pool;
    counters:
        a_counter_that_only_holders_raise_is_exact;
    crowd:
        in_a_crowd_each_gets_its_own_answer,
        in_a_crowd_a_lost_lease_is_lost,
        in_a_crowd_an_expired_lease_is_released_late;
    flights:
        a_crowd_shares_its_statements in servers,
        a_durable_release_waits_for_the_disk_in_a_crowd in postgres,
        a_crowd_waits_for_no_row in servers,
        a_release_in_a_crowd_takes_a_mark_along in mysql,
        one_who_is_refused_is_refused_alone in servers,
        a_shared_answer_that_comes_after_the_ttl_is_no_acquisition in servers;
    giving_up:
        who_gives_up_in_a_crowd_leaves_nothing_held in tasks,
        a_release_that_gives_up_in_a_crowd_goes_on in tasks,
        a_crowd_passes_by_those_whom_nobody_polls in tasks,
        who_has_given_up_before_the_connection_gets_no_lock in tasks,
        a_runtime_may_end_in_a_crowd in tasks;
    closing:
        closing_gives_all_back_and_acquires_nothing_more,
        closing_waits_for_the_beat_that_is_under_way,
        work_under_a_guard_is_told_of_the_closing,
        what_closing_gave_back_is_given_back_once,
        closing_takes_nothing_from_whoever_holds_a_lease_that_is_adopted_too_late,
        what_is_acquired_while_it_is_closed_is_given_back,
        closing_ends_every_wait,
        closing_waits_for_the_guarded_transaction_or_lets_it_commit;
    telling:
        what_happens_is_recorded_at_the_level_it_deserves;
}
