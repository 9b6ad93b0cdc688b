//! Exit codes, so that a script can tell failures apart.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | anything else: files, arguments that fit no wallet |
//! | 2 | the command line does not parse (clap) |
//! | 3 | the server or push service refused |
//! | 4 | the server or push service could not be reached; running it again is safe |
//! | 5 | something does not verify: a receipt, a mailbox, a proof, the server's key |
//! | 6 | nothing came in time |

use std::process::ExitCode;

use satpost_client::http::CallError;
use satpost_client::push_service::PushServiceError;
use satpost_client::wallet::WalletError;

/// Nothing came in time.
pub(crate) const NOTHING: u8 = 6;
/// Anything that no other code is for.
pub(crate) const OTHER: u8 = 1;
/// The server or push service refused.
pub(crate) const REFUSED: u8 = 3;
const UNREACHABLE: u8 = 4;
/// Something does not verify.
pub(crate) const NOT_VERIFIED: u8 = 5;

/// The exit code of a failure.
pub(crate) fn code_of(error: &anyhow::Error) -> ExitCode {
    let code = error.chain().find_map(|cause| {
        cause
            .downcast_ref::<WalletError>()
            .map(of_wallet)
            .or_else(|| cause.downcast_ref::<CallError>().map(of_call))
    });
    ExitCode::from(code.unwrap_or(OTHER))
}

fn of_wallet(error: &WalletError) -> u8 {
    match error {
        WalletError::Call(error) => of_call(error),
        WalletError::PushService(PushServiceError::Unreachable(_)) => UNREACHABLE,
        WalletError::PushService(_)
        | WalletError::Push(_)
        | WalletError::NoVapidKey
        | WalletError::TooMuchWork { .. }
        | WalletError::ForeignMessagingKey { .. } => REFUSED,
        WalletError::Mailbox { .. }
        | WalletError::Halted { .. }
        | WalletError::ServerKeyChanged { .. }
        | WalletError::BadReceipt
        | WalletError::Proof(_)
        | WalletError::BadInfo { .. }
        | WalletError::NetworkMismatch { .. } => NOT_VERIFIED,
        WalletError::NoPush { .. } => NOTHING,
        WalletError::BaseUrl(_)
        | WalletError::HttpSetup(_)
        | WalletError::Store(_)
        | WalletError::SeedFile(_)
        | WalletError::Card(_)
        | WalletError::Seal(_)
        | WalletError::Input(_)
        | WalletError::Descriptor(_)
        | WalletError::AddressIndex(_)
        | WalletError::NetworkUnknown
        | WalletError::NotRegistered
        | WalletError::UnknownContact { .. }
        | WalletError::ContactNameTaken { .. }
        | WalletError::NotAccepted { .. }
        | WalletError::TooManyContacts
        | WalletError::TooLongForStranger { .. }
        | WalletError::Backup(_)
        | WalletError::FileExists { .. }
        | WalletError::NotFresh
        | WalletError::OwnCard
        | WalletError::NoTransactionId { .. }
        | WalletError::OutboxFull { .. }
        | WalletError::NoPushTarget => OTHER,
    }
}

fn of_call(error: &CallError) -> u8 {
    match error {
        CallError::Unreachable { .. } => UNREACHABLE,
        CallError::Refused(_) | CallError::UnexpectedAnswer { .. } => REFUSED,
    }
}
