//! Which problems an operation can have. The HTTP tests compare every problem they meet with this.

use std::collections::BTreeMap;

use satpost_api_types::problem::ProblemCode::{self as Code};
use utoipa::Modify;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Schema,
};

/// What anybody can meet anywhere.
const EVERYWHERE: &[Code] = &[
    Code::Malformed,
    Code::HeadTooLarge,
    Code::RateLimited,
    Code::TooManyConnections,
    Code::Internal,
];

/// What a signed request can meet.
const SIGNED: &[Code] = &[
    Code::SignatureMalformed,
    Code::InvalidKey,
    Code::SignatureMissing,
    Code::SignatureInvalid,
    Code::SignatureReplayed,
    Code::ClockSkew,
    Code::WrongAuthority,
    Code::BodyTimeout,
    Code::TooLarge,
    Code::Behind,
    Code::Unavailable,
];

/// What a command can meet.
const COMMAND: &[Code] = &[
    Code::IdempotencyKeyMissing,
    Code::IdempotencyMismatch,
    Code::Conflict,
    Code::StorageFull,
];

/// What only this operation can meet.
fn own(operation: &str) -> &'static [Code] {
    match operation {
        "register_client" => &[
            Code::AlreadyRegistered,
            Code::KeyInUse,
            Code::Retired,
            Code::UnsupportedMediaType,
        ],
        "rotate_messaging_key" => &[
            Code::NotRegistered,
            Code::Retired,
            Code::KeyInUse,
            Code::UnsupportedMediaType,
        ],
        "retire_client" | "remove_push_target" => &[Code::NotRegistered, Code::Retired],
        "watch_addresses" => &[
            Code::NotRegistered,
            Code::InvalidAddress,
            Code::InvalidDepths,
            Code::InvalidBirthday,
            Code::LimitExceeded,
            Code::NodeUnavailable,
            Code::UnsupportedMediaType,
        ],
        "import_addresses" => &[
            Code::NotRegistered,
            Code::LimitExceeded,
            Code::NodeUnavailable,
            Code::UnsupportedMediaType,
        ],
        "unwatch_addresses" => &[
            Code::NotRegistered,
            Code::NotWatched,
            Code::InvalidAddress,
            Code::LimitExceeded,
            Code::UnsupportedMediaType,
        ],
        "list_addresses" => &[Code::NotRegistered, Code::InvalidAddress],
        "rescan_addresses" => &[
            Code::NotRegistered,
            Code::NotWatched,
            Code::InvalidAddress,
            Code::InvalidBirthday,
            Code::LimitExceeded,
            Code::NodeUnavailable,
            Code::UnsupportedMediaType,
        ],
        "get_balance" | "list_utxos" => &[Code::NotRegistered, Code::NotWatched],
        "send_message" => &[
            Code::NotRegistered,
            Code::DeliveryRefused,
            Code::NotPadded,
            Code::TtlOutOfBounds,
            Code::QueueFull,
            Code::UnsupportedMediaType,
        ],
        "send_messages" => &[
            Code::NotRegistered,
            Code::LimitExceeded,
            Code::UnsupportedMediaType,
        ],
        "set_stranger_policy" => &[Code::NotRegistered, Code::UnsupportedMediaType],
        "add_delivery_tokens" | "revoke_delivery_tokens" => &[
            Code::NotRegistered,
            Code::LimitExceeded,
            Code::UnsupportedMediaType,
        ],
        "acknowledge_messages" => &[
            Code::NotRegistered,
            Code::AckAheadOfDelivery,
            Code::ChainMismatch,
            Code::UnknownMessage,
            Code::LimitExceeded,
            Code::UnsupportedMediaType,
        ],
        "set_push_target" => &[
            Code::NotRegistered,
            Code::Retired,
            Code::InvalidPushTarget,
            Code::PushKindUnavailable,
            Code::UnsupportedMediaType,
        ],
        "verify_push_target" => &[
            Code::NotRegistered,
            Code::Retired,
            Code::NothingPending,
            Code::WrongPushCode,
            Code::UnsupportedMediaType,
        ],
        "get_client" | "list_transactions" | "fetch_messages" | "get_queue" | "wipe_queue" => {
            &[Code::NotRegistered]
        }
        "listen" | "stream_messages" => &[Code::NotRegistered, Code::TooManyStreams],
        "open_socket" => &[
            Code::NotRegistered,
            Code::TooManyStreams,
            Code::UpgradeRequired,
        ],
        "get_transaction_proof" => &[
            Code::NotRegistered,
            Code::UnknownTransaction,
            Code::NotConfirmed,
            Code::BlockPruned,
            Code::NodeUnavailable,
        ],
        "get_price" => &[Code::UnknownCurrency, Code::PriceUnavailable],
        _ => &[],
    }
}

/// Adds a response for every status a problem of the operation has, naming the codes.
pub(super) struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut OpenApi) {
        for item in document.paths.paths.values_mut() {
            for (method, operation) in super::operations(item) {
                describe(operation, method != "GET");
            }
        }
        if let Some(components) = &mut document.components
            && let Some(RefOr::T(Schema::Object(problem))) = components.schemas.get_mut("Problem")
            && let Some(RefOr::T(Schema::Object(code))) = problem.properties.get_mut("code")
        {
            let codes = Code::ALL.iter().map(|code| code.as_str().into());
            code.enum_values = Some(codes.collect());
        }
    }
}

fn describe(operation: &mut Operation, is_command: bool) {
    let name = operation.operation_id.clone().unwrap_or_default();
    let mut codes = vec![EVERYWHERE, own(&name)];
    if operation.security.is_some() {
        codes.push(SIGNED);
        if is_command {
            codes.push(COMMAND);
        }
    }
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in codes.concat() {
        by_status
            .entry(code.status())
            .or_default()
            .push(code.as_str());
    }
    for (status, codes) in by_status {
        // `get_ready` answers 503 with its own shape.
        let described = operation
            .responses
            .responses
            .contains_key(&status.to_string());
        if !described {
            let response = response(status, &codes);
            let responses = &mut operation.responses.responses;
            responses.insert(status.to_string(), RefOr::T(response));
        }
    }
}

fn response(status: u16, codes: &[&str]) -> utoipa::openapi::Response {
    let problem = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let mut response = ResponseBuilder::new()
        .description(format!("`{}`", codes.join("`, `")))
        .content("application/problem+json", problem.clone())
        .content("application/cbor", problem);
    if matches!(status, 409 | 429 | 503 | 507) {
        let seconds = HeaderBuilder::new()
            .description(Some("Seconds after which a repeat makes sense"))
            .build();
        response = response.header("Retry-After", seconds);
    }
    response.build()
}
