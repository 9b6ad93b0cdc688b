//! Answers that are successes.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use satpost_api_types::header::{IDEMPOTENT_REPLAYED, POSITION};
use satpost_domain::Position;
use serde::Serialize;

use crate::form::Form;

/// The answer to a command, with the position at which its effect is seen.
pub(crate) fn done(status: StatusCode, position: Position) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((POSITION, position.to_string()));
    response
}

/// The answer to a command that has nothing to say.
pub(crate) fn done_without_content(position: Position) -> HttpResponse {
    done(StatusCode::NO_CONTENT, position).finish()
}

/// Says that this is the first answer again.
pub(crate) fn replayed(mut response: HttpResponseBuilder, repeated: bool) -> HttpResponseBuilder {
    if repeated {
        response.insert_header((IDEMPOTENT_REPLAYED, "true"));
    }
    response
}

/// An answer in the form that the client likes better.
pub(crate) fn in_form(
    mut response: HttpResponseBuilder,
    request: &HttpRequest,
    body: &impl Serialize,
) -> HttpResponse {
    let form = Form::of_success(request.headers());
    response
        .insert_header((header::CONTENT_TYPE, form.media_type()))
        .insert_header((header::VARY, "accept"))
        .body(form.write(body))
}

/// The answer to a query.
pub(crate) fn found(body: impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(body)
}
