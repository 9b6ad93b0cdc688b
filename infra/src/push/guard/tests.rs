//! The ways to point a server at itself, each of which must be refused.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn address(text: &str) -> SocketAddr {
    SocketAddr::new(text.parse().unwrap(), 0)
}

#[test]
fn refuses_every_spelling_of_an_address_that_is_not_global() {
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "0",
        "10.0.0.7",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "127.0.0.1.",
        "127.0x1",
        "017700000001",
        "0x7f.1",
        "%31%32%37.0.0.1",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        "127\u{3002}0\u{3002}0\u{3002}1",
        "0xa9fea9fe",
        "240.0.0.1",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[::ffff:169.254.169.254]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b::10.0.0.7]",
        "[64:ff9b:1::1]",
        "[0:0:0:0:0:0:0:1]",
        "[5f00::1]",
        "[ff0e::1]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd12:3456:789a::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[100::1]",
        "[2001::1]",
        "[2001:db8::1]",
        "[2002:7f00:1::1]",
        "[3fff::1]",
    ] {
        let endpoint = format!("https://{host}/push");
        assert_eq!(
            Guard::default().check(&endpoint),
            Err(EndpointError::Address),
            "{endpoint}"
        );
    }
}

#[test]
fn takes_global_addresses_beside_the_reserved_ones() {
    for host in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "128.0.0.1",
        "169.253.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "192.167.0.1",
        "192.169.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "[2606:4700:4700::1111]",
        "[2001:4860:4860::8888]",
        "[64:ff9b::101:101]",
        "[::ffff:1.1.1.1]",
    ] {
        let endpoint = format!("https://{host}/push");
        assert!(Guard::default().check(&endpoint).is_ok(), "{endpoint}");
    }
}

#[test]
fn refuses_plain_http_other_schemes_and_other_ports() {
    for endpoint in [
        "http://push.example/x",
        "ftp://push.example/x",
        "https://push.example:22/x",
        "https://push.example:8443/x",
        "wss://push.example/x",
    ] {
        assert_eq!(
            Guard::default().check(endpoint),
            Err(EndpointError::Scheme),
            "{endpoint}"
        );
    }
}

#[test]
fn refuses_what_is_no_url_with_a_host() {
    for endpoint in [
        "",
        "push",
        "/push",
        "file:///etc/passwd",
        "data:,x",
        "https://",
    ] {
        assert!(Guard::default().check(endpoint).is_err(), "{endpoint}");
    }
}

#[test]
fn refuses_credentials_even_for_an_allowed_host() {
    let guard = Guard::allowing(["push.example"]);
    assert_eq!(
        guard.check("https://user:secret@push.example/x"),
        Err(EndpointError::Credentials)
    );
}

#[test]
fn takes_an_allowed_host_over_http_on_any_port_and_no_other() {
    let guard = Guard::allowing(["127.0.0.1", "[::1]", "Push.Internal"]);
    for endpoint in [
        "http://127.0.0.1:8422/push/1",
        "http://[::1]:8422/push/1",
        "http://push.internal/1",
        "https://PUSH.internal:8443/1",
    ] {
        assert!(guard.check(endpoint).is_ok(), "{endpoint}");
    }
    assert!(guard.check("http://127.0.0.2:8422/push/1").is_err());
    assert!(guard.check("ftp://127.0.0.1/").is_err());
}

#[test]
fn keeps_only_the_global_addresses_of_a_name() {
    let found = vec![address("127.0.0.1"), address("1.1.1.1"), address("::1")];
    assert_eq!(
        Guard::default().filter("push.example", found),
        Ok(vec![address("1.1.1.1")])
    );
}

#[test]
fn refuses_a_name_with_local_addresses_only_unless_it_is_allowed() {
    let found = vec![address("10.0.0.7")];
    assert_eq!(
        Guard::default().filter("push.internal", found.clone()),
        Err(NoGlobalAddress)
    );
    assert_eq!(
        Guard::allowing(["push.internal"]).filter("push.internal", found.clone()),
        Ok(found)
    );
}

/// Answers in turn, and counts the questions.
struct Changing {
    answers: Mutex<VecDeque<SocketAddr>>,
    asked: AtomicUsize,
}

impl Changing {
    fn new(answers: &[&str]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| address(answer)).collect();
        Arc::new(Self {
            answers: Mutex::new(answers),
            asked: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl Lookup for Changing {
    async fn lookup(&self, _name: &str) -> io::Result<Vec<SocketAddr>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.lock().unwrap().pop_front();
        Ok(answer.into_iter().collect())
    }
}

#[tokio::test]
async fn each_answer_of_the_resolver_is_judged_by_itself() {
    let lookup = Changing::new(&["1.1.1.1", "127.0.0.1", "::ffff:10.0.0.1"]);
    let resolver = GuardedResolver::new(Arc::default(), lookup.clone());
    let name = || "rebinding.example".parse::<Name>().unwrap();
    let first: Vec<_> = resolver.resolve(name()).await.unwrap().collect();
    assert_eq!(first, [address("1.1.1.1")]);
    for _ in 0..3 {
        let refused = resolver.resolve(name()).await.err().unwrap();
        assert!(refused.is::<NoGlobalAddress>(), "{refused}");
    }
    assert_eq!(lookup.asked.load(Ordering::Relaxed), 4);
}

/// What the client connects to is what was judged: between the two nothing asks again.
#[tokio::test]
async fn a_name_that_changes_its_answer_is_not_asked_a_second_time() {
    let inside = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = inside.local_addr().unwrap().port();
    // 2000::/3 has no route here, so the attempt fails at once; the next answer points inside.
    let lookup = Changing::new(&["2606:4700::1", "127.0.0.1", "127.0.0.1"]);
    // Another test of this process may have been faster.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .dns_resolver(GuardedResolver::new(Arc::default(), lookup.clone()))
        .no_proxy()
        .connect_timeout(std::time::Duration::from_secs(2))
        .build()
        .unwrap();
    let url = format!("http://rebinding.example:{port}/");
    assert!(client.get(&url).send().await.is_err());
    assert_eq!(lookup.asked.load(Ordering::Relaxed), 1);
    assert!(
        client.get(&url).send().await.is_err(),
        "the second push is judged anew"
    );
    assert_eq!(lookup.asked.load(Ordering::Relaxed), 2);
    let reached = tokio::time::timeout(std::time::Duration::from_millis(200), inside.accept());
    assert!(reached.await.is_err(), "something connected to loopback");
}
