//! Who may write to the double's mailboxes, by the rules of the server's mailboxes.

use std::collections::{BTreeMap, BTreeSet};

use satpost_api_types::header;
use satpost_api_types::mailboxes::{
    AddDeliveryTokensRequest, DeliveryTokenUse, RevokeDeliveryTokensRequest,
    SetStrangerPolicyRequest, StrangerPolicy,
};
use satpost_api_types::problem::ProblemCode;
use satpost_domain::Timestamp;
use satpost_domain::hash::sha256;
use satpost_domain::ids::parse_hex;
use satpost_domain::limits::KNOCK_BYTES_MAX;
use satpost_domain::mailbox::{WorkProof, WorkSubject, token_hash};
use serde_json::{Value, json};

use crate::testing::listener::Request;

/// Work that takes no time.
pub(super) const WORK_BITS: u32 = 4;
/// What a full mailbox tells its senders, in seconds.
pub(super) const RETRY_AFTER: u64 = 300;

/// What lets people in, by mailbox.
#[derive(Default)]
pub(crate) struct Doors {
    policies: BTreeMap<String, StrangerPolicy>,
    pub(crate) tokens: BTreeMap<String, BTreeMap<String, DeliveryTokenUse>>,
    /// Mailboxes that have no room now.
    pub(crate) full: BTreeSet<String>,
    /// Since when, once a contact's message found none.
    full_since: BTreeMap<String, u64>,
}

impl Doors {
    /// True when it comes in as a knock.
    pub(super) fn admit(
        &mut self,
        mailbox: &str,
        request: &Request,
        is_signed: bool,
        now: u64,
    ) -> Result<bool, ProblemCode> {
        let policy = self.policies.get(mailbox).copied();
        let policy = policy.unwrap_or(StrangerPolicy::Knock);
        let token = request
            .header(header::DELIVERY_TOKEN)
            .map(|token| token_hash(&parse_hex(token).unwrap()).to_string());
        let tokens = self.tokens.entry(mailbox.to_owned()).or_default();
        let known = token.as_ref().and_then(|token| tokens.get(token).copied());
        let has_worked = has_worked(mailbox, request, now);
        let knock = match (known, policy) {
            (Some(DeliveryTokenUse::Lasting), _) => false,
            (Some(DeliveryTokenUse::Once), policy) => policy != StrangerPolicy::Open,
            (None, StrangerPolicy::Knock) if has_worked => true,
            (None, StrangerPolicy::Open) if has_worked || is_signed => false,
            (None, _) => return Err(ProblemCode::DeliveryRefused),
        };
        let is_full = self.full.contains(mailbox);
        if knock && (is_full || request.body.len() > KNOCK_BYTES_MAX) {
            return Err(ProblemCode::DeliveryRefused);
        }
        if is_full {
            self.full_since.entry(mailbox.to_owned()).or_insert(now);
            return Err(ProblemCode::QueueFull);
        }
        if known == Some(DeliveryTokenUse::Once) {
            tokens.remove(&token.unwrap());
        }
        Ok(knock)
    }

    pub(super) fn full_since(&self, mailbox: &str) -> Option<u64> {
        self.full_since.get(mailbox).copied()
    }

    pub(super) fn make_room(&mut self, mailbox: &str) {
        self.full.remove(mailbox);
        self.full_since.remove(mailbox);
    }

    pub(super) fn set_policy(&mut self, mailbox: &str, body: &[u8]) -> Result<Value, ProblemCode> {
        let request: SetStrangerPolicyRequest = serde_json::from_slice(body).unwrap();
        self.policies.insert(mailbox.to_owned(), request.strangers);
        Ok(json!({}))
    }

    pub(super) fn add_tokens(&mut self, mailbox: &str, body: &[u8]) -> Result<Value, ProblemCode> {
        let request: AddDeliveryTokensRequest = serde_json::from_slice(body).unwrap();
        let tokens = self.tokens.entry(mailbox.to_owned()).or_default();
        for token in request.tokens {
            tokens.entry(token.hash).or_insert(token.uses);
        }
        Ok(json!({}))
    }

    pub(super) fn revoke_tokens(
        &mut self,
        mailbox: &str,
        body: &[u8],
    ) -> Result<Value, ProblemCode> {
        let tokens = self.tokens.entry(mailbox.to_owned()).or_default();
        match serde_json::from_slice(body).unwrap() {
            RevokeDeliveryTokensRequest::All(_) => tokens.clear(),
            RevokeDeliveryTokensRequest::Some(some) => {
                tokens.retain(|hash, _| !some.hashes.contains(hash));
            }
        }
        Ok(json!({}))
    }

    /// The mailbox of a new key takes over from the former one's.
    pub(super) fn inherit(&mut self, former: &str, key: &str) {
        if let Some(policy) = self.policies.get(former).copied() {
            self.policies.insert(key.to_owned(), policy);
        }
        let tokens = self.tokens.get(former).cloned().unwrap_or_default();
        self.tokens
            .entry(key.to_owned())
            .or_default()
            .extend(tokens);
    }
}

fn has_worked(mailbox: &str, request: &Request, now: u64) -> bool {
    let Some(proof) = request.header(header::PROOF_OF_WORK) else {
        return false;
    };
    let proof: WorkProof = proof.parse().unwrap();
    let subject = WorkSubject {
        recipient: mailbox.parse().unwrap(),
        digest: sha256(&request.body),
        command_id: request.header("idempotency-key").unwrap().parse().unwrap(),
    };
    proof.holds(&subject, WORK_BITS, Timestamp::from_millis(now))
}
