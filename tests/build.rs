//! Whether the contract suite runs on a real server of EventStoreDB is decided here, so that its
//! tests are not there, rather than green, when there is none.

#[expect(
    clippy::disallowed_methods,
    reason = "a build script is told by the environment"
)]
fn main() {
    println!("cargo::rerun-if-env-changed=SATPOST_TEST_EVENTSTORE");
    println!("cargo::rustc-check-cfg=cfg(real_eventstore)");
    if std::env::var_os("SATPOST_TEST_EVENTSTORE").is_some() {
        println!("cargo::rustc-cfg=real_eventstore");
    }
}
