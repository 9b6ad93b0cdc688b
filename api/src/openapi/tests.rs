//! The description against the table of routes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::routes::public_operations;

fn document() -> Value {
    serde_json::from_str(&super::openapi_json().unwrap()).unwrap()
}

#[test]
fn describes_exactly_the_operations_that_are_routed() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            described.insert((name, method.to_uppercase(), path.clone()));
        }
    }
    let routed: BTreeSet<_> = public_operations()
        .into_iter()
        .map(|operation| {
            let (name, method) = (operation.name.to_owned(), operation.method.to_string());
            (name, method, operation.path.to_owned())
        })
        .collect();
    assert_eq!(described, routed);
}

#[test]
fn is_openapi_3_1_with_every_problem_code() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let codes = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    let all = satpost_api_types::problem::ProblemCode::ALL.len();
    assert_eq!(codes.as_array().unwrap().len(), all);
}

#[test]
fn asks_for_a_signature_and_an_idempotency_key_on_every_command() {
    let document = document();
    for operation in public_operations() {
        let method = operation.method.as_str().to_lowercase();
        let described = &document["paths"][operation.path][&method];
        let signed = described["security"].is_array();
        let is_service = matches!(described["tags"][0].as_str(), Some("prices" | "service"));
        assert_eq!(signed, !is_service, "{}", operation.name);
        let has_key = described["parameters"]
            .as_array()
            .is_some_and(|parameters| {
                let mut names = parameters.iter().map(|parameter| &parameter["name"]);
                names.any(|name| name == "idempotency-key")
            });
        assert_eq!(has_key, signed && method != "get", "{}", operation.name);
    }
}

#[test]
fn refers_only_to_schemas_that_exist() {
    let text = super::openapi_json().unwrap();
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is not described");
    }
}
