//! What an operator may look into. On its own listener, which is loopback only: there is no other
//! access control here.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use satpost_api_types::service::ProjectionsResponse;

use crate::extract::State;
use crate::metrics;
use crate::problem::ApiError;
use crate::respond::found;

/// The media type of the Prometheus text format, version 0.0.4.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of the process.
pub(crate) async fn get_metrics(state: State) -> Result<HttpResponse, ApiError> {
    let text = metrics::encode(&state.registry).map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, PROMETHEUS_TEXT))
        .body(text))
}

/// Every projection with its position and a digest of its state.
pub(crate) async fn list_projections(state: State) -> Result<HttpResponse, ApiError> {
    let projections = web::block(move || state.operator.projections())
        .await
        .map_err(ApiError::internal)?;
    Ok(found(ProjectionsResponse { projections }))
}
