//! A server double with the parts that the wallet's promises depend on: it checks signatures,
//! remembers idempotency keys, lets in whom a mailbox lets in, chains and signs mailboxes, and fails
//! on demand.

mod admission;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use satpost_api_types::messages::{
    AcknowledgeMessagesRequest, DeletionScope, Delivery, FetchMessagesResponse,
    SendMessageResponse, SignedHead, deletion_receipt_bytes, head_bytes, receipt_bytes,
};
use satpost_api_types::problem::ProblemCode;
use satpost_api_types::signature::{CoveredRequest, content_digest};
use satpost_domain::hash::sha256;
use satpost_domain::ids::parse_hex;
use satpost_domain::mailbox::{chain_start, extend_chain};
use satpost_domain::{MessageId, MessagingKey};
use serde_json::{Value, json};

use admission::Doors;

use super::listener::{Request, Response, listen};
use crate::keys::{IdentitySecret, RequestKey as _};
use crate::seed::Seed;

/// Something that goes wrong with the next request to a path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The connection ends before the request is carried out.
    CutBefore,
    /// The connection ends after it was carried out.
    CutAfter,
    /// A problem with this code, and `Retry-After` in seconds.
    Problem(ProblemCode, Option<u64>),
}

/// A running double.
pub(crate) struct Double {
    pub(crate) url: String,
    world: Arc<Mutex<World>>,
}

/// What the double knows.
pub(crate) struct World {
    server_key: IdentitySecret,
    /// The server's clock, in milliseconds.
    pub(crate) now: u64,
    /// Client ids and their messaging keys.
    pub(crate) clients: BTreeMap<String, String>,
    /// Deliveries by mailbox, acknowledged ones removed.
    pub(crate) mailboxes: BTreeMap<String, Vec<Delivery>>,
    /// The end of each mailbox: seq and chain.
    heads: BTreeMap<String, (u64, String)>,
    /// The last acknowledged message by mailbox.
    pub(crate) acknowledged: BTreeMap<String, u64>,
    /// Who may write to each mailbox.
    pub(crate) doors: Doors,
    /// False for a server that keeps its receipts of deletion to itself.
    pub(crate) signs_deletions: bool,
    /// First answers by idempotency key.
    answers: BTreeMap<String, Value>,
    /// Every request, as it came.
    pub(crate) requests: Vec<Request>,
    faults: Vec<(&'static str, Fault)>,
    watched: Vec<String>,
}

impl Double {
    pub(crate) async fn start(now: u64) -> Self {
        let world = Arc::new(Mutex::new(World {
            server_key: IdentitySecret::derive(&Seed::from_entropy(&[99; 16]).unwrap()),
            now,
            clients: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            heads: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            doors: Doors::default(),
            signs_deletions: true,
            answers: BTreeMap::new(),
            requests: Vec::new(),
            faults: Vec::new(),
            watched: Vec::new(),
        }));
        let shared = Arc::clone(&world);
        let url = listen(move |request| shared.lock().unwrap().handle(&request)).await;
        Self { url, world }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Lets the next request to `path` fail.
    pub(crate) fn fail(&self, path: &'static str, fault: Fault) {
        self.world().faults.push((path, fault));
    }

    /// The requests to paths that begin with `path`.
    pub(crate) fn requests(&self, path: &str) -> Vec<Request> {
        let world = self.world();
        let all = world.requests.iter();
        all.filter(|request| request.path.starts_with(path))
            .cloned()
            .collect()
    }
}

impl World {
    fn handle(&mut self, request: &Request) -> Option<Response> {
        self.requests.push(request.clone());
        let fault = self
            .faults
            .iter()
            .position(|(path, _)| request.path.starts_with(path))
            .map(|place| self.faults.remove(place).1);
        match fault {
            Some(Fault::CutBefore) => return None,
            Some(Fault::Problem(code, after)) => {
                return Some(self.problem(code, after));
            }
            Some(Fault::CutAfter) | None => {}
        }
        let command = request.header("idempotency-key").map(str::to_owned);
        let repeated = command.as_ref().and_then(|key| self.answers.get(key));
        let answer = match repeated {
            Some(answer) => Ok(answer.clone()),
            None => self.answer(request),
        };
        if let (Some(command), Ok(answer)) = (command, &answer) {
            self.answers.insert(command, answer.clone());
        }
        if matches!(fault, Some(Fault::CutAfter)) {
            return None;
        }
        Some(match answer {
            Ok(body) => Response {
                status: 200,
                headers: vec![("satpost-position", "7".to_owned())],
                body: body.to_string().into_bytes(),
            },
            Err(code) => {
                let retry_after =
                    (code == ProblemCode::QueueFull).then_some(admission::RETRY_AFTER);
                self.problem(code, retry_after)
            }
        })
    }

    fn problem(&self, code: ProblemCode, retry_after: Option<u64>) -> Response {
        let problem = json!({
            "type": format!("urn:satpost:problem:{}", code.as_str()),
            "title": code.title(),
            "status": code.status(),
            "code": code.as_str(),
            "request_id": "r1",
            "server_time": self.now,
        });
        let mut headers = vec![("content-type", "application/problem+json".to_owned())];
        headers.extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
        Response {
            status: code.status(),
            headers,
            body: problem.to_string().into_bytes(),
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Value, ProblemCode> {
        if request.path == "/v1/info" {
            return Ok(json!({
                "name": "satpost", "version": "0", "network": "regtest", "authorities": [],
                "server_key": self.server_key.client_id().to_string(),
                "vapid_key": "", "now": self.now, "features": [],
                "knock_work_bits": admission::WORK_BITS,
            }));
        }
        if let Some(recipient) = request.path.strip_prefix("/v1/queues/") {
            let recipient = recipient.trim_end_matches("/messages");
            let is_signed = request.header("signature-input").is_some();
            if is_signed {
                self.verify(request)?;
            }
            let knock = self.doors.admit(recipient, request, is_signed, self.now)?;
            return self.take(recipient, &request.body, knock);
        }
        let keys = self.verify(request)?;
        let body = || -> Value { serde_json::from_slice(&request.body).unwrap_or_default() };
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/clients") | ("PUT", "/v1/clients/self/messaging-key") => {
                self.set_messaging_key(request, &keys, &body())
            }
            ("GET", "/v1/clients/self") => Ok(json!({
                "client_id": keys[0], "messaging_key": self.clients[&keys[0]],
                "registered_at": 1, "push": "none",
            })),
            ("GET", "/v1/addresses") => Ok(json!({
                "more": false, "cursor": null,
                "addresses": self.watched.iter().map(|address| json!({
                    "address": address, "script": null, "script_hash": "", "depths": [],
                    "birthday": null, "watched_at": 1,
                })).collect::<Vec<_>>(),
            })),
            ("POST", "/v1/addresses") => {
                let addresses: Vec<String> =
                    serde_json::from_value(body()["addresses"].clone()).unwrap();
                let added = addresses.len();
                self.watched.extend(addresses);
                Ok(json!({ "added": added, "changed": 0 }))
            }
            ("POST", "/v1/addresses:import") => {
                let lines: Vec<_> = request
                    .body
                    .split_inclusive(|byte| *byte == b'\n')
                    .collect();
                let good = lines
                    .iter()
                    .filter_map(|line| serde_json::from_slice(line).ok());
                let before = self.watched.len();
                self.watched.extend(good);
                let added = self.watched.len() - before;
                let bad = lines.len() - added;
                let error = json!({ "line": lines.len(), "code": "malformed", "detail": "" });
                Ok(json!({
                    "lines": lines.len(), "added": added, "changed": 0, "unchanged": 0,
                    "refused": bad, "errors": vec![error; bad.min(1)],
                }))
            }
            ("GET", "/v1/messages") => self.fetch(&keys[0], request),
            ("POST", "/v1/messages/ack") => self.acknowledge(&keys[0], &request.body),
            ("PUT", "/v1/policy") => self.doors.set_policy(&keys[0], &request.body),
            ("POST", "/v1/delivery-tokens") => self.doors.add_tokens(&keys[0], &request.body),
            ("DELETE", "/v1/delivery-tokens") => self.doors.revoke_tokens(&keys[0], &request.body),
            _ => Err(ProblemCode::NotFound),
        }
    }

    /// Verifies every signature as the server does; gives the keys.
    fn verify(&self, request: &Request) -> Result<Vec<String>, ProblemCode> {
        let inputs = request
            .header("signature-input")
            .ok_or(ProblemCode::SignatureMissing)?;
        let signatures = request.header("signature").unwrap_or_default();
        let digest = (!request.body.is_empty()).then(|| content_digest(&request.body));
        let covered = CoveredRequest {
            method: &request.method,
            authority: request.header("host").unwrap_or_default(),
            path: &request.path,
            query: &request.query,
            content_digest: digest.as_deref(),
            idempotency_key: request.header("idempotency-key"),
        };
        let mut keys = Vec::new();
        for (input, signature) in inputs.split(", ").zip(signatures.split(", ")) {
            let (label, parameters) = input.split_once('=').unwrap();
            let keyid = parameters.split("keyid=\"").nth(1).unwrap()[..64].to_owned();
            let created: u64 = parameters.split("created=").nth(1).unwrap()[..10]
                .parse()
                .unwrap();
            if created.abs_diff(self.now / 1000) > 60 {
                return Err(ProblemCode::ClockSkew);
            }
            let base =
                satpost_api_types::signature::signature_base(&covered.components(), parameters);
            let begin = format!("{label}=:");
            let signature = signature
                .strip_prefix(&begin)
                .unwrap()
                .trim_end_matches(':');
            let signature = STANDARD.decode(signature).unwrap().try_into().unwrap();
            let key: MessagingKey = keyid.parse().unwrap();
            key.verify(base.as_bytes(), &signature)
                .map_err(|_| ProblemCode::SignatureInvalid)?;
            keys.push(keyid);
        }
        Ok(keys)
    }

    fn set_messaging_key(
        &mut self,
        request: &Request,
        keys: &[String],
        body: &Value,
    ) -> Result<Value, ProblemCode> {
        let key = body["messaging_key"].as_str().unwrap().to_owned();
        assert_eq!(keys[1], key, "the messaging key proves its possession");
        let known = self.clients.get(&keys[0]);
        if request.method == "POST" && known.is_some_and(|known| *known != key) {
            return Err(ProblemCode::AlreadyRegistered);
        }
        if let Some(former) = self.clients.insert(keys[0].clone(), key.clone()) {
            self.doors.inherit(&former, &key);
        }
        let start = chain_start(&key.parse().unwrap()).to_string();
        self.heads.entry(key.clone()).or_insert((0, start));
        self.mailboxes.entry(key.clone()).or_default();
        Ok(json!({ "client_id": keys[0], "messaging_key": key, "registered_at": 1 }))
    }

    /// Takes a body without asking for its sender, as a stranger's or a mistaken one.
    pub(crate) fn send(&mut self, recipient: &str, body: &[u8]) -> Result<Value, ProblemCode> {
        self.take(recipient, body, false)
    }

    fn take(&mut self, recipient: &str, body: &[u8], knock: bool) -> Result<Value, ProblemCode> {
        let key: MessagingKey = recipient.parse().unwrap();
        let (seq, chain) = self
            .heads
            .get(recipient)
            .cloned()
            .ok_or(ProblemCode::DeliveryRefused)?;
        let seq = seq + 1;
        let (id, digest) = (
            MessageId::new(sha256(body).as_bytes()[..16].try_into().unwrap()),
            sha256(body),
        );
        let chain = extend_chain(chain.parse().unwrap(), seq, id, digest).to_string();
        self.heads
            .insert(recipient.to_owned(), (seq, chain.clone()));
        self.mailboxes.get_mut(recipient).unwrap().push(Delivery {
            seq,
            id: id.to_string(),
            chain,
            digest: digest.to_string(),
            accepted_at: self.now,
            expires_at: self.now + 1,
            knock,
            body: Some(body.to_vec().into()),
            gone: None,
            parked: None,
        });
        let signed = receipt_bytes(key.as_bytes(), digest.as_bytes(), self.now, self.now + 1);
        let answer = SendMessageResponse {
            id: id.to_string(),
            accepted_at: self.now,
            expires_at: self.now + 1,
            receipt: hex::encode(self.server_key.sign(&signed)),
        };
        Ok(serde_json::to_value(answer).unwrap())
    }

    /// Forgets everything a mailbox ever held, as a server that was set back to an old backup.
    pub(crate) fn set_back(&mut self, mailbox: &str) {
        let start = chain_start(&mailbox.parse().unwrap()).to_string();
        self.heads.insert(mailbox.to_owned(), (0, start));
        self.mailboxes.insert(mailbox.to_owned(), Vec::new());
        self.acknowledged.remove(mailbox);
    }

    /// Lets go of every message, told to nobody.
    pub(crate) fn empty_mailboxes(&mut self) {
        self.mailboxes.values_mut().for_each(Vec::clear);
    }

    fn fetch(&self, mailbox: &str, request: &Request) -> Result<Value, ProblemCode> {
        let key: MessagingKey = mailbox.parse().unwrap();
        let all = self
            .mailboxes
            .get(mailbox)
            .ok_or(ProblemCode::NotRegistered)?;
        let parked = request.query_value("parked").is_some();
        let after: u64 = request
            .query_value("after")
            .map_or(0, |after| after.parse().unwrap())
            .max(self.acknowledged.get(mailbox).copied().unwrap_or(0));
        let messages: Vec<Delivery> = all
            .iter()
            .filter(|delivery| delivery.parked.is_some() == parked)
            .filter(|delivery| parked || delivery.seq > after)
            .cloned()
            .collect();
        let (seq, chain) = messages
            .last()
            .map(|last| (last.seq, last.chain.clone()))
            .unwrap_or_else(|| self.heads[mailbox].clone());
        let chain_bytes = parse_hex(&chain).unwrap();
        let signature = self
            .server_key
            .sign(&head_bytes(key.as_bytes(), seq, &chain_bytes));
        let answer = FetchMessagesResponse {
            messages,
            more: false,
            cursor: seq,
            head: SignedHead {
                seq,
                chain,
                signature: hex::encode(signature),
            },
            full_since: self.doors.full_since(mailbox),
        };
        Ok(serde_json::to_value(answer).unwrap())
    }

    fn acknowledge(&mut self, mailbox: &str, body: &[u8]) -> Result<Value, ProblemCode> {
        let all = self.mailboxes.get_mut(mailbox).unwrap();
        let before = all.len();
        let request = serde_json::from_slice(body).unwrap();
        let scope = DeletionScope::of(&request);
        match request {
            AcknowledgeMessagesRequest::Through(through) => {
                let head = &self.heads[mailbox];
                if through.through > head.0 {
                    return Err(ProblemCode::AckAheadOfDelivery);
                }
                let fits = |delivery: &Delivery| {
                    delivery.seq != through.through || delivery.chain == through.chain
                };
                if !all.iter().all(fits) {
                    return Err(ProblemCode::ChainMismatch);
                }
                all.retain(|delivery| delivery.seq > through.through || delivery.parked.is_some());
                self.acknowledged
                    .insert(mailbox.to_owned(), through.through);
            }
            AcknowledgeMessagesRequest::Park(park) => {
                for parked in park.park {
                    let delivery = all.iter_mut().find(|delivery| delivery.id == parked.id);
                    delivery.ok_or(ProblemCode::UnknownMessage)?.parked = Some(parked.reason);
                }
            }
            AcknowledgeMessagesRequest::Parked(parked) => {
                all.retain(|delivery| !parked.parked.contains(&delivery.id));
            }
        }
        let deleted = before - all.len();
        if deleted > 0 {
            self.doors.make_room(mailbox);
        }
        let Some(scope) = scope.filter(|_| self.signs_deletions) else {
            return Ok(json!({ "deleted": deleted }));
        };
        let key: MessagingKey = mailbox.parse().unwrap();
        let signed = deletion_receipt_bytes(key.as_bytes(), &scope, deleted as u64, self.now);
        let receipt = hex::encode(self.server_key.sign(&signed));
        Ok(json!({ "deleted": deleted, "at": self.now, "receipt": receipt }))
    }
}
