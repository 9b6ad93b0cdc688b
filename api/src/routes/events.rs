//! The live feed of what happens to the transactions of a client.

use actix_web::{HttpRequest, HttpResponse};
use satpost_api_types::transactions::TransactionChange;
use satpost_domain::Position;
use serde::Deserialize;

use crate::event_source;
use crate::events::Feed;
use crate::extract::{Query, Registered, State};
use crate::problem::ApiError;

/// `after`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListenParameters {
    /// The id of the last event that was seen, or a cursor of `GET /v1/transactions`; from the
    /// beginning when it is absent.
    after: Option<String>,
}

/// Tells every step of the transactions that touch watched addresses, as it happens.
///
/// Server-Sent Events, signed by the identity key of a registered client when the stream begins.
/// `event` is `seen`, `confirmed`, `depth`, `final`, `matured`, `unconfirmed`, `replaced` or `evicted`;
/// `id` is the position of the step, from which a later stream goes on without a loss or a repeat;
/// `data` is one line of JSON. `event: bye` says why the server ends the stream. A reader that comes
/// so late that steps of a transaction are kept no longer gets the first and the latest ones.
#[utoipa::path(
    get, path = "/v1/events", tag = "transactions", security(("signature" = [])),
    params(
        ListenParameters,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen; stands above `after`"),
    ),
    responses((status = 200, description = "Events until either side ends it", body = TransactionChange, content_type = "text/event-stream"))
)]
pub(crate) async fn listen(
    state: State,
    request: HttpRequest,
    query: Query<Registered, ListenParameters>,
) -> Result<HttpResponse, ApiError> {
    let last = event_source::last_event_id(&request)?;
    let after = last.or(query.parameters.after.as_deref());
    let after = after.map(str::parse::<Position>).transpose();
    let after = after.map_err(ApiError::malformed)?.unwrap_or_default();
    // Events that the projections have not seen yet would be passed over in silence.
    if !state.read_model.is_live() {
        return Err(ApiError::behind());
    }
    state.wait_until_visible(after).await?;
    let feed = Feed::open(&state, query.subject.0, after)?;
    Ok(event_source::answer(feed))
}
