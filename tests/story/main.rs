//! The story of the README, word for word, with the real binaries, a real node and a real push service.
//!
//! Once as it stands, and once with a `kill -9` of the server after every step; with the embedded
//! log, and with the log on a server of the EventStoreDB protocol.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test at the edge reads the clock and the environment"
)]

mod cluster;
mod quiet_logs;
mod readme;
mod stage;
mod verbs;

use readme::story;
use stage::Stage;

#[test]
fn the_story_of_the_readme_happens() {
    play(Stage::set());
}

#[test]
fn the_story_happens_with_a_kill_after_every_step() {
    play_with_kills(Stage::set());
}

#[test]
fn the_story_happens_with_the_log_on_a_cluster() {
    play(Stage::set_with_a_cluster());
}

#[test]
fn the_story_happens_with_the_log_on_a_cluster_and_a_kill_after_every_step() {
    play_with_kills(Stage::set_with_a_cluster());
}

fn play(mut stage: Stage) {
    for step in story() {
        stage.play(&step);
    }
    stage.the_message_came_once();
    stage.stop_the_server();
    stage.no_words_are_left_behind();
}

fn play_with_kills(mut stage: Stage) {
    for step in story() {
        stage.play(&step);
        stage.kill_and_start_the_server();
    }
    stage.the_message_came_once();
    stage.stop_the_server();
    stage.rebuilt_projections_equal_the_live_ones();
    stage.no_words_are_left_behind();
}
