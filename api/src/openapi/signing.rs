//! The security schemes, and the headers of every signed operation.

use satpost_api_types::header;
use utoipa::Modify;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, Required};

/// What the scheme of the subject's signature is called in the description.
const SIGNATURE: &str = "signature";
/// What the scheme of the second signature is called.
const PROOF: &str = "proof";

const SIGNATURE_DESCRIPTION: &str = "HTTP Message Signatures (RFC 9421), one profile: the label `sig1` covers `\"@method\" \"@authority\" \"@path\" \"@query\"`, then `\"content-digest\"` when there is a body, then `\"idempotency-key\"` on a command, in this order; the parameters are `created`, `expires` (at most 120 s later), `nonce` (32 hexadecimal characters), `keyid` (the Ed25519 public key, 64 hexadecimal characters), `alg=\"ed25519\"` and `tag=\"satpost/1\"`. `created` is within 60 s of the server's clock.";
const PROOF_DESCRIPTION: &str = "A second signature over the same components under the label `sig2`, by the messaging key that is named in the body.";

/// Adds the schemes and headers.
pub(super) struct Signing;

impl Modify for Signing {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(SIGNATURE, scheme(SIGNATURE_DESCRIPTION));
        components.add_security_scheme(PROOF, scheme(PROOF_DESCRIPTION));
        for item in document.paths.paths.values_mut() {
            for (method, operation) in super::operations(item) {
                if operation.security.is_some() {
                    add_headers(operation, method != "GET");
                }
            }
        }
    }
}

fn scheme(description: &str) -> SecurityScheme {
    SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
        "Signature",
        description,
    )))
}

/// True when a request may also come unsigned.
fn is_optional(operation: &Operation) -> bool {
    let schemes = operation.security.as_deref().unwrap_or_default();
    schemes.contains(&SecurityRequirement::default())
}

fn add_headers(operation: &mut Operation, is_command: bool) {
    let has_body = operation.request_body.is_some();
    let of_signature = if is_optional(operation) {
        Required::False
    } else {
        Required::True
    };
    let parameters = operation.parameters.get_or_insert_default();
    parameters.push(text(
        "Signature-Input",
        "What is signed (RFC 9421, 4.1)",
        of_signature.clone(),
    ));
    if has_body {
        parameters.push(text(
            "Content-Digest",
            "`sha-256=:…:` of the body (RFC 9530)",
            of_signature,
        ));
    }
    if is_command {
        parameters.push(text(
            header::IDEMPOTENCY_KEY,
            "Names the command: a UUID, or 32 hexadecimal characters. A repeat gives the first answer",
            Required::True,
        ));
    }
    parameters.push(text(
        header::MIN_POSITION,
        "Wait until everything up to this position is seen",
        Required::False,
    ));
}

fn text(name: &str, description: &str, required: Required) -> RefOr<Parameter> {
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .build();
    RefOr::T(parameter)
}
