//! The phone's side of Web Push, written apart from the SDK so that each checks the other:
//! subscribes at a push service, waits there, and opens what arrives (RFC 8291).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::{PublicKey, SecretKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use satpost_domain::push::PushTarget;

use crate::push_service::{DeliveredMessage, SubscribeRequest, SubscribeResponse};

/// A phone with a subscription.
pub struct PushReceiver {
    http: reqwest::Client,
    key: SecretKey,
    auth: [u8; 16],
    places: SubscribeResponse,
}

impl PushReceiver {
    /// Subscribes at the push service at `url` for the pushes of `vapid`, a key in base64url.
    /// `seed` makes the phone's keys, so that two phones of a test differ.
    pub async fn subscribe(url: &str, vapid: &str, seed: u8) -> Self {
        // Another part of the process may have chosen the same one before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("the system has certificates");
        let places = http
            .post(format!("{url}/subscribe"))
            .json(&SubscribeRequest {
                vapid: Some(vapid.to_owned()),
            })
            .send()
            .await
            .expect("the push service answers")
            .json()
            .await
            .expect("the answer is a subscription");
        Self {
            http,
            key: SecretKey::from_slice(&[seed; 32]).expect("a small number is a key of P-256"),
            auth: [seed; 16],
            places,
        }
    }

    /// A phone whose push service is another one: it has told the phone where to push to.
    #[must_use]
    pub fn at(endpoint: String, seed: u8) -> Self {
        // Another part of the process may have chosen the same one before.
        drop(rustls::crypto::ring::default_provider().install_default());
        Self {
            http: reqwest::Client::new(),
            key: SecretKey::from_slice(&[seed; 32]).expect("a small number is a key of P-256"),
            auth: [seed; 16],
            places: SubscribeResponse {
                endpoint,
                subscription: String::new(),
            },
        }
    }

    /// What the phone registers with Satpost.
    #[must_use]
    pub fn target(&self) -> PushTarget {
        PushTarget::web_push(self.places.endpoint.clone(), self.public_key(), self.auth)
            .expect("the push service gives a short URL")
    }

    /// Where the server pushes to.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.places.endpoint
    }

    /// Waits up to `wait` for messages, and opens them.
    pub async fn receive(&self, wait: Duration) -> Vec<Vec<u8>> {
        self.receive_sealed(wait)
            .await
            .iter()
            .map(|body| self.open(body))
            .collect()
    }

    /// Waits up to `wait` for messages, and gives them as they came.
    pub async fn receive_sealed(&self, wait: Duration) -> Vec<Vec<u8>> {
        let response = self
            .http
            .get(&self.places.subscription)
            .header("prefer", format!("wait={}", wait.as_secs()))
            .send()
            .await
            .expect("the push service answers");
        if response.status() == reqwest::StatusCode::NO_CONTENT {
            return Vec::new();
        }
        let messages: Vec<DeliveredMessage> = response
            .json()
            .await
            .expect("the answer is a list of messages");
        messages
            .iter()
            .map(|message| {
                URL_SAFE_NO_PAD
                    .decode(&message.body)
                    .expect("a body is base64url")
            })
            .collect()
    }

    /// Ends the subscription.
    pub async fn unsubscribe(&self) {
        let response = self.http.delete(&self.places.subscription).send().await;
        response
            .and_then(reqwest::Response::error_for_status)
            .expect("the push service ends the subscription");
    }

    fn public_key(&self) -> [u8; 65] {
        let bytes = self.key.public_key().to_sec1_bytes();
        bytes
            .as_ref()
            .try_into()
            .expect("an uncompressed point has 65 bytes")
    }

    /// Opens one message.
    ///
    /// # Panics
    /// When it was not sealed for this phone. Its form: salt (16), record size (4), length of the key (1), key (65), content.
    #[must_use]
    pub fn open(&self, body: &[u8]) -> Vec<u8> {
        let (header, content) = body.split_at(86);
        let (salt, sender) = (&header[..16], &header[21..]);
        let sender_key = PublicKey::from_sec1_bytes(sender).expect("the header carries a point");
        let shared = self.key.diffie_hellman(&sender_key);
        let prk = Salt::new(HKDF_SHA256, &self.auth).extract(shared.raw_secret_bytes().as_slice());
        let input: [u8; 32] = expand(&prk, &[b"WebPush: info\0", &self.public_key(), sender]);
        let prk = Salt::new(HKDF_SHA256, salt).extract(&input);
        let key: [u8; 16] = expand(&prk, &[b"Content-Encoding: aes128gcm\0"]);
        let nonce = expand(&prk, &[b"Content-Encoding: nonce\0"]);

        let key = UnboundKey::new(&AES_128_GCM, &key).expect("an AES-128 key has 16 bytes");
        let mut content = content.to_vec();
        let opened = LessSafeKey::new(key)
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut content,
            )
            .expect("the message was sealed for this phone");
        let end = opened
            .iter()
            .rposition(|byte| *byte != 0)
            .expect("a record has a delimiter");
        assert_eq!(opened[end], 2, "the delimiter of a last record");
        opened[..end].to_vec()
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(prk: &Prk, info: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    prk.expand(info, Length(N))
        .and_then(|okm| okm.fill(&mut out))
        .expect("HKDF gives up to 255 times 32 bytes");
    out
}
