//! Opens mailboxes to strangers, for tests whose senders are no contacts of their recipients.

use reqwest::Method;
use satpost_api_types::header::IDEMPOTENCY_KEY;
use satpost_api_types::mailboxes::{SetStrangerPolicyRequest, StrangerPolicy};
use satpost_api_types::signature::{CoveredRequest, content_digest};
use satpost_client::keys::RequestKey;
use satpost_client::ports::Clock as _;
use satpost_client::request_signer::{Signers, sign_request};
use satpost_client::system::{SystemClock, SystemEntropy};

use crate::signed_request::fresh;

const PATH: &str = "/v1/policy";

/// Lets every registered client write to the mailbox of `messaging` on the server at `url`.
///
/// # Panics
/// When the server does not do it.
pub async fn open_to_strangers(url: &str, messaging: &dyn RequestKey) {
    let request = SetStrangerPolicyRequest {
        strangers: StrangerPolicy::Open,
    };
    let body = serde_json::to_vec(&request).expect("a policy is JSON");
    let authority = url.trim_end_matches('/');
    let authority = authority.rsplit('/').next().unwrap_or_default();
    let (digest, key) = (content_digest(&body), fresh());
    let covered = CoveredRequest {
        method: Method::PUT.as_str(),
        authority,
        path: PATH,
        query: "",
        content_digest: Some(&digest),
        idempotency_key: Some(&key),
    };
    let entropy = SystemEntropy::default();
    let signers = Signers::one(messaging);
    let signed = sign_request(&covered, signers, SystemClock.now(), &entropy);
    let answer = crate::http_server::plain_http_client()
        .request(Method::PUT, format!("http://{authority}{PATH}"))
        .header("content-type", "application/json")
        .header("content-digest", &digest)
        .header(IDEMPOTENCY_KEY, &key)
        .header("signature-input", signed.signature_input)
        .header("signature", signed.signature)
        .body(body)
        .send()
        .await
        .expect("the server answers");
    assert_eq!(answer.status().as_u16(), 204, "the mailbox was not opened");
}
