//! What the OpenAPI description promises, tried by a tester that reads nothing else: every
//! operation with what the description allows, with what it forbids, and in sequences.

use satpost_tests::process::{ServerProcess, without_rate_limits};

use crate::script::Script;

/// How many requests are made up for each operation; by hand more, with this variable.
const EXAMPLES: (&str, &str) = ("SATPOST_API_EXAMPLES", "12");

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a switch of this test")]
async fn the_api_keeps_what_its_description_promises() {
    let folder = tempfile::tempdir().unwrap();
    let flags = without_rate_limits(folder.path());
    let mut server = ServerProcess::start(&folder.path().join("satpost"), &flags);
    let base = format!("http://{}", server.api);
    let examples = std::env::var(EXAMPLES.0).unwrap_or_else(|_| EXAMPLES.1.to_owned());
    let printed = Script::installed("schemathesis")
        .env("SATPOST_URL", &base)
        .env("SCHEMATHESIS_HOOKS", "description")
        .current_dir(folder.path())
        .run(&[
            "run",
            &format!("{base}/openapi.json"),
            "--no-color",
            "--checks=all",
            // Not every text of the right form is a key, an address or a position that exists.
            "--exclude-checks=positive_data_acceptance",
            // A stream does not end, and a socket is no request; they have tests of their own.
            "--exclude-operation-id=listen",
            "--exclude-operation-id=stream_messages",
            "--exclude-operation-id=open_socket",
            // Lines and items that are no good are no fault of the request: they are told one by one.
            "--exclude-operation-id=import_addresses",
            "--exclude-operation-id=send_messages",
            "--phases=examples,coverage,fuzzing,stateful",
            "--seed=1",
            "--max-examples",
            &examples,
        ])
        .await;
    assert!(printed.contains("Test cases:"), "{printed}");
    assert!(!printed.contains("Failures:"), "{printed}");
    assert_eq!(server.stop(), Some(0), "{}", server.log_tail());
}
