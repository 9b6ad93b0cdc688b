//! One method for each route.

use std::time::Duration;

use reqwest::Method;
use satpost_api_types::addresses::{
    ImportAddressesResponse, ListAddressesResponse, UnwatchAddressesRequest, WatchAddressesRequest,
    WatchAddressesResponse, WatchEntry,
};
use satpost_api_types::balance::{
    BalanceResponse, ListUtxosResponse, RescanAddressesRequest, RescanAddressesResponse,
};
use satpost_api_types::clients::{
    ClientResponse, RegisterClientRequest, RegisterClientResponse, RotateMessagingKeyRequest,
};
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, AcknowledgeMessagesResponse, FetchMessagesResponse, ParkMessages,
    ParkedMessage, QueueResponse, WipeQueueResponse,
};
use satpost_api_types::prices::PriceResponse;
use satpost_api_types::push::{
    SetPushTargetRequest, SetPushTargetResponse, VerifyPushTargetRequest,
};
use satpost_api_types::service::{InfoResponse, LimitsResponse};
use satpost_api_types::transactions::{ListTransactionsResponse, TransactionProof};
use satpost_domain::ids::Txid;
use satpost_domain::limits::ADDRESSES_PER_PAGE_MAX;

use super::call::{Body, Call};
use super::{CallError, HttpClient};
use crate::keys::{IdentitySecret, MessagingSecret};
use crate::ports::draw_command_id;
use crate::request_signer::Signers;

/// What part of a queue is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FetchMessages {
    /// Only messages behind this one.
    pub after: u64,
    /// How many at most; the server's default when not said.
    pub limit: Option<usize>,
    /// How long the server may wait for a message when there is none.
    pub wait: Duration,
    /// The messages that were set aside, instead of the line.
    pub parked: bool,
}

impl HttpClient {
    /// What the server is and which keys it signs with.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get_info(&self) -> Result<InfoResponse, CallError> {
        let call = Call::query("/v1/info", None);
        self.carry_out(&call).await?.json()
    }

    /// Every bound of the server.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get_limits(&self) -> Result<LimitsResponse, CallError> {
        let call = Call::query("/v1/limits", None);
        self.carry_out(&call).await?.json()
    }

    /// What a bitcoin costs in `currency`, like `USD`.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get_price(&self, currency: &str) -> Result<PriceResponse, CallError> {
        let currency: String = url::form_urlencoded::byte_serialize(currency.as_bytes()).collect();
        let call = Call::query(&format!("/v1/price/{currency}"), None);
        self.carry_out(&call).await?.json()
    }

    /// Registers the client of `identity` with its messaging key; both sign.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn register_client(
        &self,
        identity: &IdentitySecret,
        messaging: &MessagingSecret,
    ) -> Result<RegisterClientResponse, CallError> {
        let call = self
            .command(
                Method::POST,
                "/v1/clients",
                Signers::two(identity, messaging),
            )
            .json(&RegisterClientRequest {
                client_id: identity.client_id().to_string(),
                messaging_key: messaging.public().to_string(),
            });
        self.carry_out(&call).await?.json()
    }

    /// What the server knows about the client of `identity`.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get_client(&self, identity: &IdentitySecret) -> Result<ClientResponse, CallError> {
        let call = Call::query("/v1/clients/self", Some(Signers::one(identity)));
        self.carry_out(&call).await?.json()
    }

    /// Gives the client another messaging key; both keys sign.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn rotate_messaging_key(
        &self,
        identity: &IdentitySecret,
        messaging: &MessagingSecret,
    ) -> Result<(), CallError> {
        let signers = Signers::two(identity, messaging);
        let call = self
            .command(Method::PUT, "/v1/clients/self/messaging-key", signers)
            .json(&RotateMessagingKeyRequest {
                client_id: identity.client_id().to_string(),
                messaging_key: messaging.public().to_string(),
            });
        self.carry_out(&call).await.map(drop)
    }

    /// Ends the registration for good; everything the server keeps of the client is erased.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn retire_client(&self, identity: &IdentitySecret) -> Result<(), CallError> {
        let call = self.command(Method::DELETE, "/v1/clients/self", Signers::one(identity));
        self.carry_out(&call).await.map(drop)
    }

    /// Watches 1 to 100 addresses.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn watch_addresses(
        &self,
        identity: &IdentitySecret,
        request: &WatchAddressesRequest,
    ) -> Result<WatchAddressesResponse, CallError> {
        let call = self
            .command(Method::POST, "/v1/addresses", Signers::one(identity))
            .json(request);
        self.carry_out(&call).await?.json()
    }

    /// Watches many addresses: `lines` has one entry a line, as JSON.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn import_addresses(
        &self,
        identity: &IdentitySecret,
        lines: Vec<u8>,
    ) -> Result<ImportAddressesResponse, CallError> {
        let path = "/v1/addresses:import";
        let mut call = self.command(Method::POST, path, Signers::one(identity));
        call.body = Some(Body {
            content_type: "application/x-ndjson",
            bytes: lines,
        });
        self.carry_out(&call).await?.json()
    }

    /// Watches 1 to 100 addresses no longer.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn unwatch_addresses(
        &self,
        identity: &IdentitySecret,
        addresses: Vec<WatchEntry>,
    ) -> Result<(), CallError> {
        let call = self
            .command(Method::DELETE, "/v1/addresses", Signers::one(identity))
            .json(&UnwatchAddressesRequest { addresses });
        self.carry_out(&call).await.map(drop)
    }

    /// One page of the watched addresses, after a cursor.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_addresses(
        &self,
        identity: &IdentitySecret,
        after: Option<&str>,
    ) -> Result<ListAddressesResponse, CallError> {
        let mut call = Call::query("/v1/addresses", Some(Signers::one(identity)));
        let limit = ADDRESSES_PER_PAGE_MAX.to_string();
        call.query = query([("after", after.map(str::to_owned)), ("limit", Some(limit))]);
        self.carry_out(&call).await?.json()
    }

    /// One page of the transactions that changed after a cursor.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_transactions(
        &self,
        identity: &IdentitySecret,
        after: Option<&str>,
    ) -> Result<ListTransactionsResponse, CallError> {
        let mut call = Call::query("/v1/transactions", Some(Signers::one(identity)));
        call.query = query([("after", after.map(str::to_owned))]);
        self.carry_out(&call).await?.json()
    }

    /// The proof that a transaction is in its block; nothing of it is verified yet.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get_transaction_proof(
        &self,
        identity: &IdentitySecret,
        txid: &Txid,
    ) -> Result<TransactionProof, CallError> {
        let path = format!("/v1/transactions/{txid}/proof");
        let call = Call::query(&path, Some(Signers::one(identity)));
        self.carry_out(&call).await?.json()
    }

    /// What the watched addresses have.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get_balance(
        &self,
        identity: &IdentitySecret,
        script_hash: Option<&str>,
    ) -> Result<BalanceResponse, CallError> {
        let mut call = Call::query("/v1/balance", Some(Signers::one(identity)));
        call.query = query([("script_hash", script_hash.map(str::to_owned))]);
        self.carry_out(&call).await?.json()
    }

    /// Has the history of watched addresses read; the same again shows the progress.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn rescan_addresses(
        &self,
        identity: &IdentitySecret,
        request: &RescanAddressesRequest,
    ) -> Result<RescanAddressesResponse, CallError> {
        let path = "/v1/addresses/rescan";
        let call = self
            .command(Method::POST, path, Signers::one(identity))
            .json(request);
        self.carry_out(&call).await?.json()
    }

    /// A page of the coins that no block has spent.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list_utxos(
        &self,
        identity: &IdentitySecret,
        after: Option<&str>,
    ) -> Result<ListUtxosResponse, CallError> {
        let mut call = Call::query("/v1/utxos", Some(Signers::one(identity)));
        call.query = query([("after", after.map(str::to_owned))]);
        self.carry_out(&call).await?.json()
    }

    /// A part of the queue of `messaging`; nothing when the server has nothing to say.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn fetch_messages(
        &self,
        messaging: &MessagingSecret,
        fetch: FetchMessages,
    ) -> Result<Option<FetchMessagesResponse>, CallError> {
        let mut call = Call::query("/v1/messages", Some(Signers::one(messaging)));
        call.query = query([
            ("after", (fetch.after > 0).then(|| fetch.after.to_string())),
            ("limit", fetch.limit.map(|limit| limit.to_string())),
            ("parked", fetch.parked.then(|| "true".to_owned())),
        ]);
        call.wait = fetch.wait;
        if !fetch.wait.is_zero() {
            let preference = format!("wait={}", fetch.wait.as_secs());
            call.headers.push(("prefer", preference));
        }
        let answer = self.carry_out(&call).await?;
        if answer.is_empty() {
            return Ok(None);
        }
        answer.json().map(Some)
    }

    /// Lets go of messages that are stored, or of parked ones.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn acknowledge_messages(
        &self,
        messaging: &MessagingSecret,
        request: &AcknowledgeMessagesRequest,
    ) -> Result<AcknowledgeMessagesResponse, CallError> {
        let call = self
            .command(Method::POST, "/v1/messages/ack", Signers::one(messaging))
            .json(request);
        self.carry_out(&call).await?.json()
    }

    /// Sets up to 64 messages aside, so that they do not stand in the way of the rest.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn park_messages(
        &self,
        messaging: &MessagingSecret,
        park: Vec<ParkedMessage>,
    ) -> Result<(), CallError> {
        let request = AcknowledgeMessagesRequest::Park(ParkMessages { park });
        self.acknowledge_messages(messaging, &request)
            .await
            .map(drop)
    }

    /// Depth, bytes and age of the queue of `messaging`.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get_queue(&self, messaging: &MessagingSecret) -> Result<QueueResponse, CallError> {
        let call = Call::query("/v1/queue", Some(Signers::one(messaging)));
        self.carry_out(&call).await?.json()
    }

    /// Lets go of every message in the queue of `messaging`, read or not.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn wipe_queue(
        &self,
        messaging: &MessagingSecret,
    ) -> Result<WipeQueueResponse, CallError> {
        let call = self.command(Method::DELETE, "/v1/queue", Signers::one(messaging));
        self.carry_out(&call).await?.json()
    }

    /// Names the place where the client's phone is woken. A code goes there and must come back.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn set_push_target(
        &self,
        identity: &IdentitySecret,
        target: &SetPushTargetRequest,
    ) -> Result<SetPushTargetResponse, CallError> {
        let call = self
            .command(Method::PUT, "/v1/push", Signers::one(identity))
            .json(target);
        self.carry_out(&call).await?.json()
    }

    /// Sends the code back that came through the push target.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn verify_push_target(
        &self,
        identity: &IdentitySecret,
        code: &[u8; 16],
    ) -> Result<(), CallError> {
        let call = self
            .command(Method::POST, "/v1/push/verify", Signers::one(identity))
            .json(&VerifyPushTargetRequest {
                code: hex::encode(code),
            });
        self.carry_out(&call).await.map(drop)
    }

    /// Wakes the phone no longer.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn remove_push_target(&self, identity: &IdentitySecret) -> Result<(), CallError> {
        let call = self.command(Method::DELETE, "/v1/push", Signers::one(identity));
        self.carry_out(&call).await.map(drop)
    }

    pub(super) fn command<'k>(&self, method: Method, path: &str, signers: Signers<'k>) -> Call<'k> {
        Call::command(
            method,
            path,
            signers,
            draw_command_id(self.entropy.as_ref()),
        )
    }
}

/// A query string of the parts that have a value, percent-encoded.
fn query<const N: usize>(parts: [(&str, Option<String>); N]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parts {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    query.finish()
}
