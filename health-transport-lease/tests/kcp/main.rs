//! What an API server does, and what the transports make of it: each case on the model, and on a
//! real KCP or any other API server that one may write to.
//!
//! What is said on kcp is the truth; the model is held to it. `cargo xtask integration` runs the
//! cases on kcp: `SYNCER_HEALTH_TEST_KUBECONFIG` names a kubeconfig whose current context may
//! create workspaces in `root`, and the server must know the users of `xtask/src/kcp.rs`.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod answer;
mod hub;
mod lease;
mod place;
mod review;
mod rights;
mod stream;
mod target;
mod transports;
mod watch;
mod watcher;
mod workspace;

/// The list of cases: each is run twice, in a place of its own.
macro_rules! cases {
    ($($module:ident::$case:ident)*) => {
        mod on_the_model {
            $(
                #[tokio::test(start_paused = true)]
                async fn $case() {
                    crate::$module::$case(&crate::place::Place::on_the_model()).await;
                }
            )*
        }

        mod on_kcp {
            $(
                #[tokio::test]
                #[ignore = "needs kcp: cargo xtask integration"]
                async fn $case() {
                    crate::$module::$case(&crate::place::Place::on_kcp().await).await;
                }
            )*
        }
    };
}

cases! {
    lease::what_is_written_is_read_and_what_is_deleted_is_gone
    lease::what_is_there_is_not_created_again
    lease::what_is_to_be_created_has_no_resource_version_and_no_uid
    lease::a_stale_resource_version_conflicts
    lease::a_write_says_which_resource_version_it_is_about
    lease::another_uid_conflicts
    lease::a_recreated_lease_is_another_one
    lease::a_write_that_changes_nothing_moves_no_resource_version
    lease::a_lease_that_is_gone_is_created_by_a_write_that_names_no_uid
    lease::a_missing_namespace_is_told_from_a_missing_lease
    lease::a_lease_has_a_name_and_it_is_that_of_its_path
    lease::every_value_of_a_field_has_its_answer
    lease::a_field_that_nobody_knows_is_dropped_or_refused
    lease::a_dry_run_leaves_nothing
    lease::a_list_has_what_is_there
    lease::pitfall_47_what_a_target_owns_goes_with_it
    target::without_its_definition_there_is_a_page_that_says_404
    target::each_dialect_has_its_own_fields
    target::the_status_and_the_rest_are_written_apart
    target::conditions_are_kept_as_they_are
    target::every_status_has_its_answer
    target::a_status_is_written_at_its_resource_version_and_uid
    target::a_status_that_changes_nothing_moves_no_resource_version
    target::a_missing_target_is_not_created_by_a_write
    target::a_recreated_target_is_another_one
    target::a_dry_run_leaves_nothing_of_a_status
    review::a_token_is_somebodys_or_nobodys
    review::a_question_without_a_subject_is_refused
    review::who_may_do_one_thing_may_do_no_other
    review::who_may_not_ask_is_told_the_rule_that_is_missing
    rights::what_is_forbidden_names_the_rule_that_is_missing
    rights::what_is_forbidden_is_forbidden_before_anything_else
    rights::a_stranger_is_told_so
    rights::the_manifests_grant_what_the_transports_need
    transports::a_lease_is_created_renewed_taken_over_and_released
    transports::pitfall_16_a_lease_that_was_deleted_is_created_again
    transports::pitfall_16_a_recreated_target_and_its_lease_are_found_again
    transports::pitfall_19_whatever_stands_in_a_lease_is_taken_over_in_time
    transports::a_synctarget_of_each_dialect_is_written
    hub::a_verdict_of_each_kind_is_written_in_each_dialect
    hub::pitfall_15_a_rival_is_left_to_it
    hub::pitfall_16_a_recreated_target_has_no_verdict_of_the_old_one
    hub::whose_a_token_is_decides_what_it_may
    hub::hubs_lead_in_turn
    hub::the_manifests_grant_what_a_hub_needs
    watch::a_list_has_what_its_selector_takes
    watch::a_list_comes_in_pages_that_are_all_as_of_the_first
    watch::a_token_that_is_none_is_refused
    watch::a_watch_tells_what_changed_since
    watch::a_watch_without_a_version_tells_what_there_is_first
    watch::a_watch_ends_after_its_time
    watch::a_quiet_watch_of_leases_has_a_bookmark_before_its_end
    watch::a_version_that_is_too_old_is_an_event_that_says_410
    watch::a_version_that_is_to_come_is_waited_for_in_silence
    watch::a_version_that_is_none_is_refused
    watch::a_watch_of_what_is_not_defined_is_a_page_that_says_404
    watch::who_may_not_watch_is_told_the_rule_that_is_missing
    watcher::leases_are_told_as_they_change
    watcher::each_dialects_heartbeat_is_told
    watcher::pitfall_16_a_recreated_target_is_told_as_another_one
    watcher::pitfall_19_whatever_a_server_keeps_is_told
    watcher::pitfall_47_a_lease_that_went_with_its_target_is_told_as_gone
    watcher::a_live_read_has_what_stands_there
    watcher::who_may_list_and_watch_may_be_a_hub
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn kubectl_shows_the_verdict() {
    hub::kubectl_shows_the_verdict(&place::Place::on_kcp().await).await;
}
