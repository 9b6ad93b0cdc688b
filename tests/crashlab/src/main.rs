//! Breaks the event log and the server on purpose, and checks that nothing acknowledged is lost.

fn main() {}
