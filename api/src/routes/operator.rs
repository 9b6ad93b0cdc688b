//! What an operator may look into. On its own listener, which is loopback only: there is no other
//! access control here.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use satpost_api_types::service::{ProjectionState, ProjectionsResponse};
use satpost_domain::hash::sha256;
use satpost_projections::ReadModel;

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
    let projections = web::block(move || projections(&state.read_model))
        .await
        .map_err(ApiError::internal)?;
    Ok(found(ProjectionsResponse { projections }))
}

/// Slow: every projection is encoded to be digested.
fn projections(read_model: &ReadModel) -> Vec<ProjectionState> {
    let snapshots = read_model.snapshots().into_iter();
    let states = snapshots.map(|projection| ProjectionState {
        name: projection.name,
        version: projection.version,
        position: projection.position.to_string(),
        digest: sha256(&projection.bytes).to_string(),
    });
    states.collect()
}
