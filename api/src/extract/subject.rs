//! Who a request speaks for: always a key that signed it, never an id in a path.
//!
//! The verifier has checked the form of the keys, so they are taken as they are.

use satpost_api_types::problem::ProblemCode;
use satpost_domain::{ClientId, MessagingKey};

use crate::problem::ApiError;
use crate::signature::{Labels, ProvenKeys};
use crate::state::ApiState;

/// What the keys of a request stand for on this route.
pub(crate) trait Subject: Sized + 'static {
    /// How many keys sign.
    const LABELS: Labels;

    /// Takes the proven keys.
    ///
    /// # Errors
    /// When the subject may not ask here.
    fn take(state: &ApiState, keys: ProvenKeys) -> Result<Self, ApiError>;
}

/// An identity key, registered or not: the command decides.
impl Subject for ClientId {
    const LABELS: Labels = Labels::Subject;

    fn take(_state: &ApiState, keys: ProvenKeys) -> Result<Self, ApiError> {
        Ok(Self::from_stored(keys.subject))
    }
}

/// The messaging key of a mailbox that exists: the one and only it can ask for.
pub(crate) struct OwnMailbox(pub(crate) MessagingKey);

impl Subject for OwnMailbox {
    const LABELS: Labels = Labels::Subject;

    fn take(state: &ApiState, keys: ProvenKeys) -> Result<Self, ApiError> {
        let mailbox = MessagingKey::from_stored(keys.subject);
        if !state.read_model.mailbox_queue().contains(&mailbox) {
            return Err(ApiError::new(ProblemCode::NotRegistered));
        }
        Ok(Self(mailbox))
    }
}

/// The identity key of a client that is registered and not retired.
pub(crate) struct Registered(pub(crate) ClientId);

impl Subject for Registered {
    const LABELS: Labels = Labels::Subject;

    fn take(state: &ApiState, keys: ProvenKeys) -> Result<Self, ApiError> {
        let client = ClientId::from_stored(keys.subject);
        if state
            .read_model
            .client_directory()
            .client(&client)
            .is_none()
        {
            return Err(ApiError::new(ProblemCode::NotRegistered));
        }
        Ok(Self(client))
    }
}

/// An identity key, and a messaging key whose possession is proven.
pub(crate) struct Proven {
    client: ClientId,
    messaging_key: MessagingKey,
}

impl Subject for Proven {
    const LABELS: Labels = Labels::SubjectAndProof;

    fn take(_state: &ApiState, keys: ProvenKeys) -> Result<Self, ApiError> {
        let proof = keys
            .proof
            .ok_or_else(|| ApiError::internal("a route with two labels verified one signature"))?;
        Ok(Self {
            client: ClientId::from_stored(keys.subject),
            messaging_key: MessagingKey::from_stored(proof),
        })
    }
}

impl Proven {
    /// The keys, once the body names the same ones. Because both keys sign the body, the messaging
    /// key's signature cannot be used for another client, nor the identity key's for another mailbox.
    ///
    /// # Errors
    /// `invalid-key` when a key of the body is none, `signature-invalid` when it is not the signing one.
    pub(crate) fn named_as(
        self,
        client_id: &str,
        messaging_key: &str,
    ) -> Result<(ClientId, MessagingKey), ApiError> {
        let named_client: ClientId = client_id.parse()?;
        let named_key: MessagingKey = messaging_key.parse()?;
        if (named_client, named_key) == (self.client, self.messaging_key) {
            Ok((self.client, self.messaging_key))
        } else {
            Err(ApiError::new(ProblemCode::SignatureInvalid).with_detail(
                "client_id must be the key of sig1, and messaging_key the key of sig2",
            ))
        }
    }
}
