//! The conformance suite: what a lock must do, stamped for every world.
//!
//! A world is an engine, a kind of connection (blocking or async) and where it comes from (opened for the
//! test, or a pool). Each case is written once, as a function of a world; a difference between engines is
//! asked for by name ([`World`]'s methods), and no case is skipped anywhere.
//!
//! `cargo xtask test` starts the servers and runs all of it.

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
}
