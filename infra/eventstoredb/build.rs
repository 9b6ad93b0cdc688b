//! Compiles the protocol of EventStoreDB (`proto/`) without a `protoc` on the machine.

use std::error::Error;

/// The services, by their files below `proto/`; what they import is found from there.
const SERVICES: [&str; 3] = [
    "event_store/client/streams.proto",
    "event_store/client/gossip.proto",
    "event_store/client/serverfeatures.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(SERVICES, ["proto"])?;
    tonic_build::configure()
        // The unit tests speak to the server in raw messages; nobody else needs this client.
        .client_mod_attribute(".", "#[cfg(test)]")
        .compile_fds(descriptors)?;
    Ok(())
}
