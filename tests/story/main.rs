//! The story of the README, word for word, with the real binaries, a real node and a real push service.
//!
//! Once as it stands, and once with a `kill -9` of the server after every step.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test at the edge reads the clock and the environment"
)]

mod readme;
mod stage;

use readme::story;
use stage::Stage;

#[test]
fn the_story_of_the_readme_happens() {
    let mut stage = Stage::set();
    for step in story() {
        stage.play(&step);
    }
    stage.nothing_is_left_behind();
}

#[test]
fn the_story_happens_with_a_kill_after_every_step() {
    let mut stage = Stage::set();
    for step in story() {
        stage.play(&step);
        stage.kill_and_start_the_server();
    }
    stage.nothing_is_left_behind();
    stage.rebuilt_projections_equal_the_live_ones();
}
