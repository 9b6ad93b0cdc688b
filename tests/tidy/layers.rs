//! The arrow between the crates: `domain ← commands, projections ← api ← infra`.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Which crates of the workspace each crate may use.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("satpost-domain", &[] as &[_]),
        ("satpost-commands", &["satpost-domain"]),
        ("satpost-projections", &["satpost-domain"]),
        ("satpost-api-types", &[]),
        (
            "satpost-api",
            &[
                "satpost-api-types",
                "satpost-commands",
                "satpost-domain",
                "satpost-projections",
            ],
        ),
        ("satpost-client", &["satpost-api-types", "satpost-domain"]),
        (
            "satpost-cli",
            &["satpost-api-types", "satpost-client", "satpost-domain"],
        ),
        (
            "satpost-event-store",
            &["satpost-commands", "satpost-domain"],
        ),
        (
            "satpost-eventstoredb",
            &["satpost-commands", "satpost-domain", "satpost-event-store"],
        ),
        (
            "satpost-infra",
            &[
                "satpost-api",
                "satpost-api-types",
                "satpost-commands",
                "satpost-domain",
                "satpost-event-store",
                "satpost-eventstoredb",
                "satpost-projections",
            ],
        ),
        (
            "satpost-tests",
            &[
                "satpost-api",
                "satpost-api-types",
                "satpost-client",
                "satpost-commands",
                "satpost-domain",
                "satpost-event-store",
                "satpost-eventstoredb",
                "satpost-infra",
                "satpost-projections",
            ],
        ),
        (
            "satpost-crashlab",
            &[
                "satpost-api-types",
                "satpost-client",
                "satpost-commands",
                "satpost-domain",
                "satpost-event-store",
                "satpost-tests",
            ],
        ),
    ])
}

#[test]
fn dependencies_point_inwards() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let allowed = allowed();
    let mut seen = Vec::new();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        seen.push(name.to_owned());
        let inner = allowed.get(name).unwrap_or_else(|| {
            panic!("crate {name} is not in the layer table of tests/tidy/layers.rs")
        });
        for dependency in &package.dependencies {
            let of_this_house = dependency.name.starts_with("satpost-");
            // A dev-dependency may point outwards only within tests, which is a crate of its own.
            if of_this_house && dependency.kind != DependencyKind::Build {
                assert!(
                    inner.contains(&dependency.name.as_str()),
                    "{name} must not depend on {}",
                    dependency.name
                );
            }
        }
    }
    assert_eq!(
        seen.len(),
        allowed.len(),
        "a crate of the table is gone: {seen:?}"
    );
}

/// Crates that bring I/O, clocks or randomness; the domain may not see them.
const IMPURE: [&str; 9] = [
    "tokio",
    "actix-web",
    "reqwest",
    "async-trait",
    "futures-util",
    "rand",
    "getrandom",
    "zmq",
    "tracing",
];

#[test]
fn the_domain_is_pure() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let domain = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name.as_str() == "satpost-domain")
        .expect("the domain crate is in the workspace");
    for dependency in &domain.dependencies {
        assert!(
            !IMPURE.contains(&dependency.name.as_str()),
            "the domain must not depend on {}",
            dependency.name
        );
    }
}
