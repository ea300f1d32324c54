//! The conformance suite: what a lock must do, stamped for every world.
//!
//! A world is an engine, a kind of connection (blocking or async) and where it comes from (opened for the
//! test, or a pool). Each case is written once, as a function of a world; a difference between engines is
//! asked for by name ([`World`]'s methods), and no case is skipped anywhere.
//!
//! `cargo xtask test` starts the servers and runs all of it.

mod managed;
mod session;
mod suite;
mod world;

use world::{Engine, Mode, Source, World};

/// Every case in every world of one engine.
macro_rules! worlds {
    ($engine:ident, $variant:ident, $($module:ident: $($case:ident),+;)+) => {
        mod $engine {
            worlds! { @mode $variant, blocking, Blocking, $($module: $($case),+;)+ }
            worlds! { @mode $variant, asynchronous, Async, $($module: $($case),+;)+ }
        }
    };
    (@mode $engine:ident, $mode:ident, $variant:ident, $($cases:tt)+) => {
        mod $mode {
            worlds! { @source $engine, $variant, own, Own, $($cases)+ }
            worlds! { @source $engine, $variant, pool, Pool, $($cases)+ }
        }
    };
    (@source $engine:ident, $mode:ident, $source:ident, $variant:ident, $($module:ident: $($case:ident),+;)+) => {
        mod $source {
            $($(
                #[test]
                fn $case() {
                    use crate::{Engine, Mode, Source, World, suite};
                    let world = World::new(Engine::$engine, Mode::$mode, Source::$variant, stringify!($case));
                    world.run(|world| Box::pin(suite::$module::$case(world)));
                }
            )+)+
        }
    };
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
        t01_acquire_status_release_status,
        t02_a_second_acquirer_is_told_busy_and_by_whom,
        t06_the_same_token_again_is_the_same_acquisition,
        t06_the_same_token_never_shortens_the_lease,
        t07_a_token_that_is_like_another_is_another,
        t08_two_handles_in_one_process_are_two_holders,
        t09_who_releases_twice_is_told_that_it_was_not_held,
        t09_a_lease_can_be_handed_to_another_process,
        t22_in_a_test_transaction_locks_work_and_leave_nothing;
    race:
        t03_of_many_racers_one_wins_and_all_others_are_told_busy,
        t04_many_who_wait_hold_it_one_after_the_other,
        t05_different_names_do_not_wait_for_each_other;
    between:
        t03_whatever_another_does_between_the_steps_of_a_try_one_holds_it,
        t06_the_same_token_acquired_anew_in_between_is_not_the_same_acquisition,
        t11_whatever_another_does_in_between_an_answer_about_a_lease_is_right;
    expiry:
        t10_an_expired_lease_is_taken_over_by_a_plain_try,
        t11_a_lease_that_nobody_took_over_is_extended_and_released_late,
        t11_a_lease_that_was_taken_over_is_lost_and_stays_lost,
        t12_a_lease_that_is_extended_outlives_its_first_ttl,
        t12_extending_never_shortens_a_lease,
        t13_the_time_left_is_what_was_asked_and_zero_in_the_end,
        t14_a_holder_that_vanishes_keeps_the_lock_no_longer_than_its_ttl,
        t15_the_ttl_counts_from_the_try_that_wins,
        t16_a_ttl_is_exact_or_refused_and_no_lock_is_without_an_end,
        t16_a_ttl_too_short_for_the_way_to_the_database_says_so;
    clock:
        t17_the_times_in_the_row_are_the_databases,
        t18_acquired_late_in_a_transaction_a_lease_has_its_full_ttl,
        t19_sessions_in_different_time_zones_agree,
        t19_an_hour_has_sixty_minutes_even_when_the_clocks_change;
    tick:
        t20_a_lease_is_over_at_the_instant_at_which_it_ends,
        t20_extending_and_acquiring_again_within_one_tick_works;
    fence:
        t37_it_grows_whatever_happened_to_the_last_holder,
        t37_it_grows_over_a_transaction_that_was_rolled_back,
        t37_it_grows_by_one_where_the_databases_clock_was_set_back,
        t38_extending_and_the_same_token_leave_it_as_it_is,
        t38_a_lease_stays_lost_though_its_token_comes_back;
    trust:
        t15_trust_counts_from_before_the_request,
        t15_a_reply_that_comes_after_the_ttl_is_no_acquisition,
        t15_with_an_agreed_token_an_acquisition_is_not_given_back,
        t15_who_waits_tries_again_after_a_late_reply;
    waiting:
        t40_a_number_of_attempts_is_exact,
        t40_a_wait_ends_when_its_time_is_up,
        t40_who_waits_gets_the_lock_after_its_release;
    names:
        t51_names_that_an_engine_could_confuse_are_different_locks,
        t51_the_longest_name_is_not_cut,
        t52_group_and_name_cannot_be_confused;
    setup:
        t53_a_table_may_have_an_odd_name,
        t53_a_table_may_be_in_another_schema,
        t55_where_the_table_is_missing_the_error_says_what_creates_it,
        t55_another_error_is_not_taken_for_a_missing_table;
    embedding:
        t54_migrating_makes_the_table_once_and_an_upgrade_is_no_danger,
        t54_migrating_is_refused_inside_a_transaction,
        t54_a_table_that_others_made_is_left_alone,
        t54_a_run_that_was_cut_off_is_completed,
        t54_sixteen_that_migrate_at_once_all_succeed,
        t55_verifying_finds_what_will_not_do_and_names_the_remedy,
        t55_verifying_and_migrating_work_in_odd_places,
        t53_statements_on_another_table_are_prepared_once;
    schema:
        t54_schema_rs_is_what_the_database_has,
        t54_the_view_shows_who_holds_what_and_no_token;
    looking:
        t56_a_look_says_who_since_when_and_how_long_still,
        t56_lists_are_of_a_group_a_prefix_or_of_what_is_held,
        t56_a_list_comes_in_pages_without_a_gap;
    mending:
        t57_a_lock_that_is_taken_away_is_lost_to_its_holder,
        t57_a_pinned_lock_is_not_taken_away_under_its_transaction,
        t57_a_lock_that_is_being_taken_over_is_in_use,
        t58_purging_removes_what_nobody_held_for_so_long,
        t58_purging_leaves_nothing_to_a_next_page,
        t58_a_purged_lock_begins_anew;
    data:
        t59_data_comes_with_the_acquisition_and_stays_for_the_next_holder,
        t59_data_is_kept_as_it_is_or_refused,
        t59_data_is_as_transactional_as_everything_else;
    cost:
        t50_a_busy_try_writes_nothing,
        t50_each_operation_costs_what_is_promised,
        t50_each_operation_costs_what_is_promised_in_a_transaction;
    stress:
        t60_a_thousand_tasks_and_one_name_bring_no_error_and_never_two_holders;
    model:
        the_model_agrees_with_the_engine;
    transactions:
        t21_at_every_level_the_second_of_two_transactions_is_told_busy_at_once,
        t22_what_is_rolled_back_was_never_acquired,
        t23_a_lease_that_was_committed_is_anybodys_who_has_it,
        t24_a_release_takes_effect_with_the_commit,
        t25_two_names_in_opposite_order_are_busy_and_no_deadlock,
        t26_busy_leaves_the_transaction_usable,
        t27_who_first_uses_a_name_in_an_open_transaction_makes_others_busy,
        t36b_a_savepoint_takes_back_a_release_and_an_extension,
        t36f_waiting_where_the_release_cannot_be_seen_is_refused,
        a_test_transaction_is_a_transaction,
        a_lock_held_for_a_transaction_excludes_leases_and_others_until_its_end,
        a_held_lease_excludes_whoever_wants_the_lock_for_a_transaction,
        holding_for_a_transaction_needs_one,
        a_name_that_was_only_half_created_mends_itself;
    pin:
        t28_a_pinned_lease_that_runs_out_is_not_taken_over_before_the_commit,
        t29_taken_over_before_the_pin_is_lost_and_nothing_is_written,
        t29b_a_lease_that_has_run_out_wants_to_be_extended_first,
        t30_the_heartbeat_passes_the_pin_at_once,
        t31_many_pins_of_one_lease_stand_side_by_side,
        t33_once_taken_over_no_older_pin_can_commit,
        t34_a_snapshot_does_not_let_a_stale_holder_commit,
        t35_the_wrong_forms_let_a_stale_holder_commit,
        t36_a_deferred_transaction_that_has_read_gets_a_clear_answer,
        t36b_a_pin_in_a_savepoint_ends_with_its_rollback_and_a_read_only_transaction_cannot_pin,
        t36c_a_token_that_comes_back_does_not_revive_an_old_lease,
        t36d_overlapping_pins_of_a_dead_holders_workers_do_not_keep_its_lock,
        t36e_a_failed_try_in_an_open_transaction_is_in_nobodys_way,
        t36e_a_failed_try_for_what_is_pinned_and_run_out_stops_no_heartbeat,
        a_stale_release_is_in_nobodys_way;
    guarded:
        t28b_the_one_call_form_sees_what_the_last_holder_wrote,
        t32_a_guarded_transaction_longer_than_the_ttl_leaves_the_lease_held,
        the_work_s_own_error_rolls_back_and_comes_back_unchanged,
        a_guarded_transaction_in_a_transaction_is_a_savepoint,
        finishing_releases_with_the_commit,
        a_heartbeat_cannot_make_a_guarded_transaction_fail,
        the_one_call_form_costs_begin_pin_and_commit,
        a_busy_lock_is_an_answer_of_the_one_call_form,
        a_nested_guarded_transaction_never_loses_the_one_around_it,
        what_the_transaction_around_takes_back_is_not_trusted,
        the_work_may_release_by_itself;
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
        a_pin_that_is_a_write_keeps_the_lock_as_well;
    lines:
        t39_every_way_to_let_go_wakes_the_next_of_this_process,
        t39_who_waits_in_another_process_looks_as_often_as_it_says,
        t40_attempts_in_a_line_are_exact,
        t40_a_wait_in_a_line_ends_when_its_time_is_up,
        t41_who_leaves_the_line_is_in_nobodys_way,
        t41_when_the_first_has_left_the_next_looks_by_itself,
        t41_a_try_that_is_cancelled_anywhere_leaves_nothing_held,
        t41_a_set_that_is_cancelled_anywhere_leaves_nothing_held,
        t42_those_of_a_process_get_it_in_the_order_in_which_they_came,
        t42_who_comes_next_does_not_ask_at_once,
        t42_many_who_wait_cost_the_database_as_much_as_one,
        t42_waiting_for_what_is_run_out_but_pinned_costs_as_little,
        t42_nobody_in_a_line_is_forgotten,
        t43_who_listens_hears_of_a_release_elsewhere,
        t43_who_listens_hears_of_the_release_after_a_takeover,
        t43_a_release_of_which_nothing_was_heard_is_found_all_the_same,
        t43_those_who_listen_stand_in_line_and_cost_next_to_nothing;
    keeping:
        t44_work_longer_than_the_ttl_keeps_the_lock,
        t44_a_lease_that_ran_out_in_the_row_lives_on_if_nobody_took_it_over,
        t44_a_lease_that_is_extended_all_the_time_is_never_late,
        t47_a_guard_is_told_at_the_next_beat_that_it_is_lost,
        t47_lost_is_lost_even_if_the_row_is_mended,
        t47_what_was_lost_is_not_said_to_be_given_back,
        t47_a_callback_that_panics_is_in_nobodys_way,
        t47_an_observer_that_panics_does_not_stop_the_keeper,
        t47_a_pool_that_panics_once_does_not_stop_the_keeper,
        t48_a_release_that_races_a_heartbeat_frees_the_lock,
        t49_nothing_goes_on_before_a_lock_is_acquired_and_after_it_is_released,
        t49_a_guard_that_is_dropped_is_given_back,
        t49_a_guard_may_be_dropped_anywhere,
        t49_work_that_panics_gives_its_lock_back,
        t49_a_run_that_is_dropped_gives_its_lock_back;
    kept_many:
        t50_thousands_of_leases_cost_a_statement_for_each_thousand,
        t50_leases_of_different_times_share_their_beats,
        t50_leases_of_two_tables_are_kept_by_one_keeper,
        t50b_a_lease_that_somebody_has_locked_does_not_hold_up_the_others,
        t50b_a_guard_whose_transaction_locks_its_row_does_not_hold_up_the_others,
        t50c_with_one_connection_a_guarded_transaction_longer_than_the_ttl_keeps_its_lock,
        t50c_with_a_connection_for_the_keeper_all_locks_are_kept,
        t50c_no_connection_is_lost_to_the_pool;
    under_guard:
        what_is_written_under_a_guard_commits_or_not_at_all,
        a_lost_guard_writes_nothing,
        t28_a_rival_does_not_get_what_is_pinned_under_a_guard,
        t32_a_deadline_that_passes_in_a_transaction_loses_nothing,
        finishing_a_guard_releases_with_the_commit,
        finishing_with_an_error_gives_back_in_the_background,
        a_transaction_that_is_dropped_leaves_nothing,
        a_transaction_that_is_dropped_anywhere_leaves_nothing,
        t31_transactions_under_one_guard_run_side_by_side,
        t31_while_one_transaction_is_open_another_can_begin,
        a_transaction_may_outlast_the_longest_time,
        a_long_transaction_that_fails_loses_no_lock_that_is_still_ours,
        the_work_may_release_the_lock_of_its_guard;
    runs:
        work_that_is_done_brings_its_value_and_the_lock_is_free,
        work_is_not_begun_while_somebody_else_holds_the_lock,
        work_whose_lock_is_lost_is_told_or_dropped,
        work_that_takes_too_long_is_told_though_the_lock_is_kept_alive,
        work_that_is_done_early_keeps_its_lock_for_the_rest,
        who_waits_behind_a_rest_gets_the_lock_after_it,
        work_s_own_error_is_what_it_brought;
    purging:
        rows_are_purged_in_the_background_until_that_is_stopped,
        what_could_not_be_purged_is_tried_again_soon;
    handles:
        t01_a_guard_is_acquired_seen_and_released,
        a_set_is_acquired_and_kept_together_or_not_at_all,
        the_guards_of_a_set_come_in_the_order_of_their_keys,
        a_set_is_waited_for,
        any_one_of_a_set_is_a_permit,
        a_lease_is_handed_from_one_locks_to_another_as_text,
        a_lease_of_a_connection_is_adopted,
        each_handle_holds_in_its_own_way,
        locks_of_two_tables_do_not_share_a_line,
        a_guard_extends_and_leaves_data,
        what_was_extended_to_is_kept_alive_in_its_own_rhythm,
        a_longest_time_bounds_trust,
        giving_back_waits_for_the_disk_if_it_is_to,
        giving_back_takes_no_longer_than_it_may,
        the_observer_is_told_what_happens_in_its_order,
        debug_shows_no_token_and_no_secret_of_the_pool,
        t61_what_only_holders_raise_is_exact;
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
