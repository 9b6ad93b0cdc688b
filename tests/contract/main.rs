//! One suite over every event store: what `EventStore` promises, whatever keeps the bytes. Each
//! case runs in memory, on the embedded log, on the adapter for EventStoreDB over our facade, and with
//! everything closed and opened again between writing and looking; and on a real server when
//! `SATPOST_TEST_EVENTSTORE` names one.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test waits for files and ports of servers that end, and draws a name on a used one"
)]

mod appends;
mod cases;
mod clean_end;
mod concurrency;
mod damage;
mod data_folder;
mod follow;
mod harness;
mod index_files;
mod lost_answers;
mod model;
mod outcomes;
mod over_the_wire;
mod payloads;
mod reads;
mod relative;

/// Runs every case on every engine.
macro_rules! contract {
    ($($module:ident :: $case:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let engine = crate::harness::Engine::Memory;
                crate::$module::$case(crate::harness::Harness::new(engine)).await;
            })*
        }

        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let engine = crate::harness::Engine::Embedded;
                crate::$module::$case(crate::harness::Harness::new(engine)).await;
            })*
        }

        mod embedded_and_reopened {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let engine = crate::harness::Engine::Reopened;
                crate::$module::$case(crate::harness::Harness::new(engine)).await;
            })*
        }

        mod over_the_wire_in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let engine = crate::harness::Engine::OverTheWire;
                crate::$module::$case(crate::harness::Harness::new(engine)).await;
            })*
        }

        mod over_the_wire_and_reopened {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let engine = crate::harness::Engine::OverTheWireReopened;
                crate::$module::$case(crate::harness::Harness::new(engine)).await;
            })*
        }

        #[cfg(real_eventstore)]
        mod on_a_real_server {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let engine = crate::harness::Engine::RealServer;
                crate::$module::$case(crate::harness::Harness::new(engine)).await;
            })*
        }
    };
}

contract! {
    appends::appends_only_where_the_stream_is_expected_to_be,
    appends::answers_a_repeated_append_with_its_first_answer,
    appends::refuses_a_repeat_with_other_ids,
    appends::takes_repeated_ids_with_a_correct_expectation_as_new,
    appends::appends_all_events_of_one_append_or_none,
    appends::checks_the_expectation_of_an_append_without_events,
    appends::refuses_what_is_over_a_bound,
    appends::keeps_the_largest_event,
    appends::counts_positions_over_all_streams,
    reads::gives_back_every_field,
    reads::reads_pages_forwards,
    reads::reads_pages_backwards,
    reads::finds_nothing_in_an_absent_stream,
    reads::reads_all_streams_by_position,
    follow::follows_history_and_then_live,
    follow::follows_strictly_after_a_position,
    follow::follows_only_what_the_filter_accepts,
    follow::keeps_its_identity,
    follow::follows_without_gap_or_double_while_others_write,
    payloads::gives_a_payload_back_until_it_is_erased,
    payloads::erases_with_events_and_without,
    payloads::keeps_nothing_of_a_refused_append,
    payloads::replaces_a_payload_whose_id_is_used_again,
    payloads::keeps_many_payloads_apart,
    outcomes::settles_an_unknown_outcome_by_a_repeat,
    outcomes::settles_what_nobody_waited_for,
    outcomes::gives_the_first_answer_after_a_reconnect,
    concurrency::lets_exactly_one_of_two_racing_writers_win,
    concurrency::agrees_with_what_was_acknowledged_to_64_writers,
    model::agrees_with_the_naive_model,
}

/// Says so, because nothing else would.
#[cfg(not(real_eventstore))]
#[test]
fn the_real_server_is_not_part_of_this_run() {
    eprintln!(
        "SATPOST_TEST_EVENTSTORE was not set when the tests were built: the suite did not run on a real EventStoreDB"
    );
    assert!(option_env!("SATPOST_TEST_EVENTSTORE").is_none());
}
