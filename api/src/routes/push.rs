//! Where a phone is woken.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use satpost_api_types::problem::ProblemCode;
use satpost_api_types::push::{
    ApnsEnvironment, SetPushTargetRequest, SetPushTargetResponse, VerifyPushTargetRequest,
};
use satpost_commands::verify_push_target as verify;
use satpost_commands::{remove_push_target as remove, set_push_target as set};
use satpost_domain::ClientId;
use satpost_domain::ids::parse_hex;
use satpost_domain::push::{self, PushTarget, VerificationCode};

use crate::config::PushCredentials;
use crate::extract::{Command, Json, State};
use crate::problem::ApiError;
use crate::respond::{done, done_without_content};

/// Names the place where the phone is woken.
///
/// Signed by the identity key. A code is sent through the target; until it came back through
/// `verify_push_target` nothing else is.
#[utoipa::path(
    put, path = "/v1/push", tag = "push", security(("signature" = [])),
    request_body = SetPushTargetRequest,
    responses((status = 202, description = "A code is on its way", body = SetPushTargetResponse))
)]
pub(crate) async fn set_push_target(
    state: State,
    command: Command<ClientId, Json<SetPushTargetRequest>>,
) -> Result<HttpResponse, ApiError> {
    let target = push_target(command.body.0, &state.config.push)?;
    let pending =
        set::set_push_target(&state.handler, command.context, command.subject, target).await?;
    Ok(
        done(StatusCode::ACCEPTED, pending.position).json(SetPushTargetResponse {
            code_expires_at: pending.code_expires_at.as_millis(),
        }),
    )
}

fn push_target(
    request: SetPushTargetRequest,
    credentials: &PushCredentials,
) -> Result<PushTarget, ApiError> {
    match request {
        SetPushTargetRequest::WebPush {
            endpoint,
            p256dh,
            auth,
        } => {
            if !url::Url::parse(&endpoint).is_ok_and(|url| url.has_host()) {
                return Err(unusable("the endpoint is no URL with a host"));
            }
            let p256dh = base64url(&p256dh)
                .ok_or_else(|| unusable("p256dh is 65 bytes, base64url without padding"))?;
            let auth = base64url(&auth)
                .ok_or_else(|| unusable("auth is 16 bytes, base64url without padding"))?;
            Ok(PushTarget::web_push(endpoint, p256dh, auth)?)
        }
        SetPushTargetRequest::Apns {
            token,
            topic,
            environment,
        } => {
            let token =
                hex::decode(token).map_err(|_| unusable("an APNs device token is hexadecimal"))?;
            let target = PushTarget::apns(token, topic.clone(), apns_environment(environment))?;
            if !credentials.apns_topics.contains(&topic) {
                return Err(unavailable(
                    "this server has no credentials for that app at Apple; see push_kinds in /v1/info",
                ));
            }
            Ok(target)
        }
        SetPushTargetRequest::Fcm { token } => {
            let target = PushTarget::fcm(token)?;
            if !credentials.fcm {
                return Err(unavailable(
                    "this server has no Firebase project; see push_kinds in /v1/info",
                ));
            }
            Ok(target)
        }
    }
}

const fn apns_environment(environment: ApnsEnvironment) -> push::ApnsEnvironment {
    match environment {
        ApnsEnvironment::Production => push::ApnsEnvironment::Production,
        ApnsEnvironment::Sandbox => push::ApnsEnvironment::Sandbox,
    }
}

fn unavailable(detail: &str) -> ApiError {
    ApiError::new(ProblemCode::PushKindUnavailable).with_detail(detail)
}

fn unusable(detail: &str) -> ApiError {
    ApiError::new(ProblemCode::InvalidPushTarget).with_detail(detail)
}

fn base64url<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Gives back the code that came through the push target.
///
/// Signed by the identity key.
#[utoipa::path(
    post, path = "/v1/push/verify", tag = "push", security(("signature" = [])),
    request_body = VerifyPushTargetRequest,
    responses((status = 204, description = "The target is in use"))
)]
pub(crate) async fn verify_push_target(
    state: State,
    command: Command<ClientId, Json<VerifyPushTargetRequest>>,
) -> Result<HttpResponse, ApiError> {
    let code = parse_hex(&command.body.0.code)
        .map_err(|error| ApiError::malformed(format_args!("a code has {error}")))?;
    let code = VerificationCode::new(code);
    let position =
        verify::verify_push_target(&state.handler, command.context, command.subject, code).await?;
    Ok(done_without_content(position))
}

/// Forgets the push target.
///
/// Signed by the identity key.
#[utoipa::path(
    delete, path = "/v1/push", tag = "push", security(("signature" = [])),
    responses((status = 204, description = "There is no push target"))
)]
pub(crate) async fn remove_push_target(
    state: State,
    command: Command<ClientId>,
) -> Result<HttpResponse, ApiError> {
    let position =
        remove::remove_push_target(&state.handler, command.context, command.subject).await?;
    Ok(done_without_content(position))
}
