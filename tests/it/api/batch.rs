//! Several messages in one request: each stands for itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use satpost_api_types::batch::{
    BatchMessage, SendMessageResult, SendMessagesRequest, SendMessagesResponse,
};
use satpost_api_types::mailboxes::{DeliveryTokenUse, StrangerPolicy};
use satpost_api_types::messages::SendMessageResponse;
use satpost_api_types::problem::ProblemCode as Code;
use satpost_domain::hash;
use satpost_domain::ids::parse_hex;
use satpost_domain::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX};
use satpost_domain::mailbox::WorkSubject;
use satpost_domain::{CommandId, MessagingKey};
use satpost_tests::http_server::{HttpServer, KNOCK_WORK_BITS};
use satpost_tests::signed_request::{Request, fresh};

use super::strangers::{token, token_text};
use super::wallet::Wallet;

fn message(recipient: &Wallet, body: &[u8]) -> BatchMessage {
    BatchMessage {
        recipient: recipient.messaging.hex(),
        body: STANDARD.encode(body),
        ttl: None,
        idempotency_key: fresh(),
        delivery_token: None,
        proof_of_work: None,
    }
}

fn contact(recipient: &Wallet, byte: u8) -> BatchMessage {
    BatchMessage {
        delivery_token: Some(token_text(1)),
        ..message(recipient, &[byte; 512])
    }
}

fn batch<'k>(messages: &[BatchMessage], sender: &'k Wallet) -> Request<'k> {
    let request = SendMessagesRequest {
        messages: messages.to_vec(),
    };
    Request::command(Method::POST, "/v1/messages:batch", &sender.identity).json(&request)
}

async fn results(request: Request<'_>, server: &HttpServer) -> Vec<SendMessageResult> {
    let response: SendMessagesResponse = request.send(server).await.expect(200);
    response.results
}

fn code(result: &SendMessageResult) -> &str {
    match result {
        SendMessageResult::Message(_) => "ok",
        SendMessageResult::Problem(problem) => &problem.code,
    }
}

fn taken(result: &SendMessageResult) -> &SendMessageResponse {
    match result {
        SendMessageResult::Message(message) => message,
        SendMessageResult::Problem(problem) => panic!("{problem:?}"),
    }
}

async fn friend(number: u64, server: &HttpServer) -> Wallet {
    let wallet = Wallet::registered(number, server).await;
    wallet.set_policy(StrangerPolicy::Knock, server).await;
    let tokens = [(token(1), DeliveryTokenUse::Lasting)];
    wallet.add_tokens(&tokens, server).await;
    wallet
}

#[tokio::test]
async fn every_message_of_a_full_batch_stands_for_itself() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let (bob, carol) = (friend(2, &server).await, friend(3, &server).await);
    let mut messages: Vec<_> = (0..60)
        .map(|number| contact(if number % 2 == 0 { &bob } else { &carol }, number))
        .collect();
    messages.push(message(&bob, &[7; 512]));
    messages.push(contact(&Wallet::new(9), 7));
    messages.push(BatchMessage {
        ttl: Some(1),
        ..contact(&bob, 7)
    });
    messages.push(BatchMessage {
        body: STANDARD.encode([7; 513]),
        ..contact(&bob, 7)
    });
    assert_eq!(messages.len(), BATCH_MESSAGES_MAX);
    let request = batch(&messages, &alice).unsigned();
    let answer = request.send(&server).await;
    let first: SendMessagesResponse = answer.expect(200);
    let first = first.results;
    for result in &first[..60] {
        taken(result);
    }
    let codes: Vec<_> = first[60..].iter().map(code).collect();
    let refused = [
        Code::DeliveryRefused,
        Code::DeliveryRefused,
        Code::TtlOutOfBounds,
        Code::NotPadded,
    ]
    .map(Code::as_str);
    assert_eq!(codes, refused);

    // The position of the answer is the last one: all are seen there.
    let seen = super::wallet::then(&answer, bob.query("/v1/messages"), &server).await;
    let seen: satpost_api_types::messages::FetchMessagesResponse = seen.expect(200);
    assert_eq!(seen.messages.len(), 30);

    let again = results(batch(&messages, &alice).unsigned(), &server).await;
    assert_eq!(again[..60], first[..60]);
    assert_eq!(bob.fetch(&server).await.messages.len(), 30);
    server.stop().await;
}

#[tokio::test]
async fn a_message_is_the_same_command_alone_and_in_a_batch() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let bob = friend(2, &server).await;
    let message = contact(&bob, 7);
    let in_batch = results(batch(std::slice::from_ref(&message), &alice), &server).await;
    let alone = alice
        .message(&bob, 7)
        .idempotency_key(&message.idempotency_key)
        .header("delivery-token", token_text(1));
    let alone = alone.send(&server).await;
    assert_eq!(alone.header("idempotent-replayed"), Some("true"));
    assert_eq!(
        &alone.expect::<SendMessageResponse>(201),
        taken(&in_batch[0])
    );

    // The same key for another message is a mistake in both.
    let other = BatchMessage {
        body: STANDARD.encode([8; 512]),
        ..message
    };
    let other = results(batch(&[other], &alice), &server).await;
    assert_eq!(code(&other[0]), Code::IdempotencyMismatch.as_str());
    server.stop().await;
}

#[tokio::test]
async fn strangers_do_work_for_each_message_of_a_batch() {
    let server = HttpServer::start().await;
    let bob = friend(2, &server).await;
    let mut messages: Vec<_> = (0..3).map(|byte| message(&bob, &[byte; 512])).collect();
    for message in &mut messages[..2] {
        let body = STANDARD.decode(&message.body).unwrap();
        let subject = WorkSubject {
            recipient: MessagingKey::from_stored(bob.messaging.bytes()),
            digest: hash::sha256(&body),
            command_id: CommandId::new(parse_hex(&message.idempotency_key).unwrap()),
        };
        let proof = subject.work(server.now().as_secs(), KNOCK_WORK_BITS);
        message.proof_of_work = Some(proof.to_string());
    }
    let sender = Wallet::new(1);
    let sent = results(batch(&messages, &sender).unsigned(), &server).await;
    let codes: Vec<_> = sent.iter().map(code).collect();
    assert_eq!(codes, ["ok", "ok", Code::DeliveryRefused.as_str()]);
    server.stop().await;
}

#[tokio::test]
async fn tells_contacts_that_a_mailbox_is_full_and_strangers_not() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let bob = friend(2, &server).await;
    let large = BatchMessage {
        body: STANDARD.encode(vec![7; 16 * 1024]),
        ..contact(&bob, 7)
    };
    let mut refused = 0;
    // 512 messages of 16 KiB are the 8 MiB that fit.
    for _ in 0..9 {
        let messages: Vec<_> = (0..BATCH_MESSAGES_MAX)
            .map(|_| BatchMessage {
                idempotency_key: fresh(),
                ..large.clone()
            })
            .collect();
        let results = results(batch(&messages, &alice), &server).await;
        for problem in results.iter().filter_map(|result| match result {
            SendMessageResult::Message(_) => None,
            SendMessageResult::Problem(problem) => Some(problem),
        }) {
            assert_eq!(problem.code, Code::QueueFull.as_str());
            assert!(problem.retry_after.is_some(), "{problem:?}");
            refused += 1;
        }
    }
    assert_eq!(refused, BATCH_MESSAGES_MAX);
    let contact = alice
        .unnamed(&bob, 1)
        .header("delivery-token", token_text(1));
    let contact = contact.send(&server).await;
    contact.expect_problem(Code::QueueFull);
    assert!(contact.header("retry-after").is_some());
    let knock = alice.unnamed(&bob, 1);
    let proof = super::strangers::subject(&knock).work(server.now().as_secs(), KNOCK_WORK_BITS);
    let knock = knock.header("proof-of-work", proof).send(&server).await;
    knock.expect_problem(Code::DeliveryRefused);
    let seen: satpost_api_types::messages::QueueResponse =
        bob.query("/v1/queue").send(&server).await.expect(200);
    assert!(seen.full_since.is_some());
    server.stop().await;
}

#[tokio::test]
async fn a_batch_has_its_bounds() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let bob = friend(2, &server).await;
    for count in [0, BATCH_MESSAGES_MAX + 1] {
        let messages = vec![contact(&bob, 7); count];
        let answer = batch(&messages, &alice).send(&server).await;
        let limit = answer.expect_problem(Code::LimitExceeded).limit;
        assert_eq!(limit, Some(BATCH_MESSAGES_MAX as u64));
    }
    let too_large = Request {
        body: Some(("application/json", vec![b' '; BATCH_BYTES_MAX + 1])),
        ..batch(&[], &alice)
    };
    let too_large = too_large.send(&server).await;
    too_large.expect_problem(Code::TooLarge);
    // The largest of everything fits.
    let largest = BatchMessage {
        body: STANDARD.encode(vec![7; 16 * 1024]),
        ttl: Some(30 * 24 * 3600),
        idempotency_key: "0191f2a0-7c1b-7c3f-8a55-0123456789ab".to_owned(),
        proof_of_work: Some(format!("{}:{}", u64::MAX, "0".repeat(16))),
        ..contact(&bob, 7)
    };
    let largest = results(batch(&vec![largest; BATCH_MESSAGES_MAX], &alice), &server).await;
    assert!(largest.iter().all(|result| result == &largest[0]));
    taken(&largest[0]);

    let unregistered = batch(&[contact(&bob, 7)], &Wallet::new(8))
        .send(&server)
        .await;
    unregistered.expect_problem(Code::NotRegistered);
    let octets = Request {
        body: Some(("application/octet-stream", vec![7; 512])),
        ..batch(&[], &alice)
    };
    let octets = octets.send(&server).await;
    octets.expect_problem(Code::UnsupportedMediaType);
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_does_not_parse_fails_alone() {
    let server = HttpServer::start().await;
    let alice = Wallet::registered(1, &server).await;
    let bob = friend(2, &server).await;
    let good = || contact(&bob, 7);
    let messages = [
        good(),
        BatchMessage {
            recipient: "00".repeat(32),
            ..good()
        },
        BatchMessage {
            body: "no base64!".to_owned(),
            ..good()
        },
        BatchMessage {
            body: STANDARD.encode(vec![7; 16 * 1024 + 1]),
            ..good()
        },
        BatchMessage {
            idempotency_key: "1".to_owned(),
            ..good()
        },
        BatchMessage {
            delivery_token: Some("ab".to_owned()),
            ..good()
        },
        BatchMessage {
            proof_of_work: Some("now".to_owned()),
            ..good()
        },
        good(),
    ];
    let answer = batch(&messages, &alice).header("x-request-id", "the-batch");
    let results = results(answer, &server).await;
    let codes: Vec<_> = results.iter().map(code).collect();
    let malformed = Code::Malformed.as_str();
    assert_eq!(
        codes,
        [
            "ok",
            Code::InvalidKey.as_str(),
            malformed,
            Code::TooLarge.as_str(),
            malformed,
            malformed,
            malformed,
            "ok"
        ]
    );
    let SendMessageResult::Problem(problem) = &results[1] else {
        panic!("{results:?}");
    };
    assert_eq!(
        (problem.status, problem.request_id.as_str()),
        (400, "the-batch")
    );
    server.stop().await;
}
