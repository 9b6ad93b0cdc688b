//! What FastAPI answers when a parameter is not valid: status 422 and where the fault lies.

use actix_web::HttpResponse;
use serde_json::{Value, json};

use super::answer;

/// A value that is none of a closed set.
pub(super) fn not_in_the_set(place: &str, name: &str, permitted: &[String]) -> HttpResponse {
    let listed: Vec<String> = permitted.iter().map(|value| format!("'{value}'")).collect();
    let listed = listed.join(", ");
    invalid(&json!({
        "loc": [place, name],
        "msg": format!("value is not a valid enumeration member; permitted: {listed}"),
        "type": "type_error.enum",
        "ctx": { "enum_values": permitted },
    }))
}

/// A parameter or body that is not there.
pub(super) fn missing(place: &[&str]) -> HttpResponse {
    invalid(&json!({ "loc": place, "msg": "field required", "type": "value_error.missing" }))
}

/// Something that is no date.
pub(super) fn not_a_date(place: &Value) -> HttpResponse {
    invalid(&json!({
        "loc": place,
        "msg": "invalid datetime format",
        "type": "value_error.datetime",
    }))
}

/// A body that is no list.
pub(super) fn not_a_list() -> HttpResponse {
    invalid(&json!({
        "loc": ["body"],
        "msg": "value is not a valid list",
        "type": "type_error.list",
    }))
}

/// More than is answered at once.
pub(super) fn too_many(place: &[&str], most: usize) -> HttpResponse {
    invalid(&json!({
        "loc": place,
        "msg": format!("ensure this value has at most {most} items"),
        "type": "value_error.list.max_items",
        "ctx": { "limit_value": most },
    }))
}

fn invalid(fault: &Value) -> HttpResponse {
    answer(422, &json!({ "detail": [fault] }))
}
