//! Nobody sees or changes what belongs to another key: every pair of keys, every route.

use reqwest::Method;
use satpost_api_types::addresses::{ListAddressesResponse, WatchedAddress};
use satpost_api_types::clients::ClientResponse;
use satpost_api_types::messages::QueueResponse;
use satpost_api_types::problem::ProblemCode as Code;
use satpost_tests::http_server::HttpServer;
use satpost_tests::signed_request::Request;

use super::wallet::Wallet;

const ADDRESSES: [&str; 3] = [
    "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
    "2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc",
];

/// Three clients; the n-th watches the n-th address and has n + 1 messages of the byte n.
async fn people(server: &HttpServer) -> Vec<Wallet> {
    let mut people = Vec::new();
    for number in 0..3 {
        people.push(Wallet::registered(number + 1, server).await);
    }
    for (number, person) in people.iter().enumerate() {
        let watched = person.watch(&ADDRESSES[number..=number]).send(server).await;
        assert_eq!(watched.status.as_u16(), 200);
        for _ in 0..=number {
            let byte = u8::try_from(number).unwrap();
            people[0].send(person, byte, server).await;
        }
    }
    people
}

async fn assert_untouched(server: &HttpServer, people: &[Wallet]) {
    for (number, person) in people.iter().enumerate() {
        let client = Request::query("/v1/clients/self", &person.identity)
            .send(server)
            .await;
        let client: ClientResponse = client.expect(200);
        assert_eq!(client.client_id, person.identity.hex());
        assert_eq!(client.messaging_key, person.messaging.hex());
        let list = Request::query("/v1/addresses", &person.identity)
            .send(server)
            .await;
        let list: ListAddressesResponse = list.expect(200);
        let addresses: Vec<_> = list.addresses.iter().map(WatchedAddress::name).collect();
        assert_eq!(addresses, &ADDRESSES[number..=number]);
        let queue: QueueResponse = person.query("/v1/queue").send(server).await.expect(200);
        assert_eq!(queue.messages, number + 1);
        let fetched = person.fetch(server).await;
        assert_eq!(fetched.messages.len(), number + 1);
    }
}

#[tokio::test]
async fn shows_everybody_only_what_is_their_own() {
    let server = HttpServer::start().await;
    let people = people(&server).await;
    assert_untouched(&server, &people).await;

    // An identity key is no mailbox, and a messaging key is no client.
    for person in &people {
        for path in ["/v1/messages", "/v1/queue"] {
            let answer = Request::query(path, &person.identity).send(&server).await;
            answer.expect_problem(Code::NotRegistered);
        }
        for path in ["/v1/clients/self", "/v1/addresses", "/v1/transactions"] {
            let answer = Request::query(path, &person.messaging).send(&server).await;
            answer.expect_problem(Code::NotRegistered);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn lets_nobody_change_what_belongs_to_another() {
    let server = HttpServer::start().await;
    let people = people(&server).await;
    for (number, owner) in people.iter().enumerate() {
        let page = owner.fetch(&server).await;
        for other in people
            .iter()
            .filter(|other| other.identity.hex() != owner.identity.hex())
        {
            // With the owner's own chain in hand, the mailbox is still that of the key that signs.
            let stolen = other
                .acknowledge(page.head.seq, &page.head.chain)
                .send(&server)
                .await;
            assert_eq!(stolen.status.as_u16(), 409, "{}", stolen.text());
            let mut unwatch = other.watch(&ADDRESSES[number..=number]);
            unwatch.method = Method::DELETE;
            unwatch.send(&server).await.expect_problem(Code::NotWatched);
            // A signature of the other key under the owner's name.
            let mut headers = Request::query("/v1/messages", &other.messaging).sign(&server);
            for (name, value) in &mut headers {
                if *name == "signature-input" {
                    *value = value.replace(&other.messaging.hex(), &owner.messaging.hex());
                }
            }
            let query = Request::query("/v1/messages", &other.messaging);
            let answer = query.send_signed(&server, &headers).await;
            answer.expect_problem(Code::SignatureInvalid);
        }
    }
    let stranger = Wallet::new(77);
    for (method, path) in [
        (Method::DELETE, "/v1/queue"),
        (Method::DELETE, "/v1/clients/self"),
    ] {
        let key = if path == "/v1/queue" {
            &stranger.messaging
        } else {
            &stranger.identity
        };
        let answer = Request::command(method, path, key).send(&server).await;
        answer.expect_problem(Code::NotRegistered);
    }
    assert_untouched(&server, &people).await;
    server.stop().await;
}

#[tokio::test]
async fn keeps_the_command_ids_of_clients_apart() {
    let server = HttpServer::start().await;
    let people = people(&server).await;
    let key = "ab".repeat(16);
    let first = people[1]
        .message(&people[2], 1)
        .idempotency_key(&key)
        .send(&server)
        .await;
    let second = people[0]
        .message(&people[2], 2)
        .idempotency_key(&key)
        .send(&server)
        .await;
    assert_eq!(first.status.as_u16(), 201);
    assert_eq!(second.status.as_u16(), 201, "{}", second.text());
    assert_eq!(second.header("idempotent-replayed"), None);
    server.stop().await;
}
