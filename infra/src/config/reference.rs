//! The configuration reference, rendered from one table; `docs/config.md` is its output.

use std::fmt::Write as _;

use crate::config::{Config, ENV_PREFIX};

/// Every key: its name, its flag of `satpostd serve` if it has one, and what it is for.
const KEYS: &[(&str, Option<&str>, &str)] = &[
    (
        "data_dir",
        Some("--data-dir"),
        "Where the log, the payloads, the snapshots and the server's keys lie. Created if missing; one process at a time.",
    ),
    (
        "network",
        Some("--network"),
        "The Bitcoin network: `mainnet`, `testnet`, `testnet4`, `signet` or `regtest`. A node on another network is refused.",
    ),
    (
        "log",
        Some("--log"),
        "The event log: `embedded` in the data folder, or on EventStoreDB/KurrentDB: `esdb://user:password@host:2113,host:2113?tls=true`, with `%40` for `@` and so on in user and password. Give a password in the environment or the file, since other users of the machine see flags.",
    ),
    (
        "server.listen",
        Some("--listen"),
        "Where the API listens. Beyond loopback only with `server.behind_tls_proxy`.",
    ),
    (
        "server.operator_listen",
        Some("--operator-listen"),
        "Where metrics and operator routes listen. Loopback only: they have no authentication.",
    ),
    (
        "server.authorities",
        Some("--authority"),
        "Names a request signature may be made for, `host` or `host:port`. When empty: the listen address, and `localhost` with its port.",
    ),
    (
        "server.behind_tls_proxy",
        None,
        "True when a proxy in front ends TLS; only then may the API listen beyond loopback.",
    ),
    (
        "server.requests_per_second",
        None,
        "Requests a second that one client may send on average.",
    ),
    (
        "server.requests_burst",
        None,
        "Requests that one client may send at once after a pause.",
    ),
    (
        "server.limit_peers",
        None,
        "Also limit requests and registrations by network address. `false` where all requests come from one proxy or Tor process.",
    ),
    (
        "server.connections_max",
        None,
        "How many connections clients may have open together. One more is answered 503 `too-many-connections`; each event stream is one, and so is each waiting fetch.",
    ),
    (
        "server.connections_per_peer_max",
        None,
        "How many of them may come from one network address (an IPv4 address or an IPv6 /64), when `server.limit_peers` is on.",
    ),
    (
        "node.rpc_url",
        Some("--node-rpc-url"),
        "The node's RPC, like `http://127.0.0.1:8332`. Empty: no node, so nothing is watched; messaging works.",
    ),
    (
        "node.rpc_cookie",
        Some("--node-rpc-cookie"),
        "The node's cookie file; read again when the node has restarted.",
    ),
    (
        "node.rpc_user",
        None,
        "The node's RPC user, when no cookie file is used.",
    ),
    (
        "node.rpc_password_file",
        None,
        "A file with the password of `node.rpc_user`.",
    ),
    (
        "node.zmq_sequence",
        Some("--node-zmq-sequence"),
        "The node's `zmqpubsequence` address. The node needs `zmqpubsequencehwm=0`. Empty, with `node.zmq_rawtx`: the node is asked once a second instead, and what comes and goes in between is not seen.",
    ),
    (
        "node.zmq_rawtx",
        Some("--node-zmq-rawtx"),
        "The node's `zmqpubrawtx` address, not the one of `node.zmq_sequence`. The node needs `zmqpubrawtxhwm=0`.",
    ),
    (
        "node.final_depth",
        None,
        "How many blocks deep a transaction is when it is reported as final, 6 to 288. A final transaction that is taken back is an alarm.",
    ),
    (
        "watching.addresses_max",
        None,
        "How many addresses one client may watch, up to 1,000,000. The server takes about 200 bytes of memory for each while a client changes its list, and about 60 always.",
    ),
    (
        "messages.knock_work_bits",
        None,
        "How many leading zero bits the work for a stranger's message has, 0 to 32; `GET /v1/info` tells it. Every bit doubles the work: 20 are about a million hashes.",
    ),
    (
        "push.allow",
        Some("--push-allow"),
        "Hosts or addresses that may be pushed to although they are not globally routable, also without TLS.",
    ),
    (
        "push.contact",
        None,
        "How push services reach the operator (RFC 8292): a `mailto:` or `https:` URL.",
    ),
    (
        "price.currencies",
        None,
        "The currencies a price is known in, like `[\"USD\", \"EUR\"]`.",
    ),
    (
        "price.feeds",
        None,
        "The exchanges that are asked, a table each, like `[{ name = \"kraken\" }, { name = \"coinbaseexchange\" }]`. No exchange is called unless it stands here. `name` in paths and answers; `parser` (default: the name) one of `binance`, `bitfinex`, `bitstamp`, `coinbaseexchange`, `gemini`, `kraken`, `okx`; `url` with `{CUR}` or `{cur}` for the currency (default: the exchange's public interface; `https`, or `http` on loopback); `currencies` (default: all); `interval_secs` (default: `price.interval_secs`).",
    ),
    (
        "price.interval_secs",
        None,
        "How often each exchange is asked. One that fails is asked less often, at least every ten minutes.",
    ),
    (
        "price.max_age_secs",
        None,
        "How old a quote may be; an older one does not count.",
    ),
    (
        "price.deviation_basis_points",
        None,
        "How far a quote may be from the median, in hundredths of a percent; one that is farther away does not count for the quorum.",
    ),
    (
        "price.quorum",
        None,
        "How many exchanges must agree; without that many the last good price is told as stale. 0: more than half of those asked for the currency.",
    ),
    (
        "price.keep_weeks",
        None,
        "How many weeks of history are kept in `price.redb` in the data folder; about 15 MB a week for seven feeds and one currency.",
    ),
    (
        "price.bounds",
        None,
        "The lowest and the highest price a currency can have, as decimals in text, like `{ USD = [\"1000\", \"10000000\"] }`.",
    ),
    (
        "push.heartbeat_seconds",
        None,
        "How often every phone is woken without a cause, at a moment left to chance, so that a push says less; 0 for never, else at least 60. iPhones show such a wake-up unless the app hides it.",
    ),
    (
        "push.apns.key_file",
        None,
        "The `.p8` file of the key at Apple. Without it no iPhone is woken.",
    ),
    (
        "push.apns.key_id",
        None,
        "The id of that key, 10 characters.",
    ),
    (
        "push.apns.team_id",
        None,
        "The id of the developer team, 10 characters.",
    ),
    (
        "push.apns.topics",
        None,
        "The bundle ids of the apps that may be woken.",
    ),
    (
        "push.apns.production_url",
        None,
        "Apple's service for apps from the store.",
    ),
    (
        "push.apns.sandbox_url",
        None,
        "Apple's service for apps that are being developed.",
    ),
    (
        "push.fcm.credentials_file",
        None,
        "The JSON file of a service account of the Firebase project. Without it nobody is woken through Google.",
    ),
    (
        "push.fcm.url",
        None,
        "Google's service. Where access tokens are given stands in the credentials file.",
    ),
    (
        "eventstoredb.listen",
        Some("--eventstoredb-listen"),
        "Where the log is served over the protocol of EventStoreDB (KurrentDB), like `127.0.0.1:2113`; nowhere unless given. Loopback only: there is no authentication. Payloads are never served.",
    ),
    (
        "eventstoredb.append",
        None,
        "Whether clients of that protocol may append events that this server can read. For tests: commands are not asked whether an event makes sense.",
    ),
    (
        "esplora.enabled",
        None,
        "Whether the Esplora API is served on the public listener, under `/esplora`. It is unsigned: whoever reaches the listener may then ask whether an address is watched here, and what it holds.",
    ),
    (
        "esplora.listen",
        Some("--esplora-listen"),
        "Where the Esplora API is served on a port of its own, at `/` and `/api`, like `127.0.0.1:3002`; nowhere unless given. Beyond loopback only with `server.behind_tls_proxy`.",
    ),
    (
        "esplora.index",
        Some("--esplora-index"),
        "`watched`: only scripts that some client watches, others are refused. `all`: every script, by an index in the data folder; for regtest, signet and testnets.",
    ),
    (
        "esplora.unspent_max",
        None,
        "How many unspent outputs of one script the Esplora API tells; a script with more is refused.",
    ),
    (
        "esplora.mining",
        None,
        "Whether `/block-template` may be asked.",
    ),
    (
        "esplora.allow_origin",
        None,
        "`Access-Control-Allow-Origin` of the Esplora API, for web sites that read it.",
    ),
    (
        "esplora.requests_per_second",
        None,
        "Requests a second that one peer of `esplora.listen` may send on average. `server.limit_peers = false` switches this limit off.",
    ),
    (
        "esplora.requests_burst",
        None,
        "Requests that one peer of `esplora.listen` may send at once after a pause.",
    ),
    (
        "logging.format",
        Some("--log-format"),
        "`text` for people, `json` for machines.",
    ),
    (
        "logging.filter",
        Some("--log-filter"),
        "What is logged, like `info` or `info,satpost_infra=debug`.",
    ),
];

/// The reference as Markdown.
#[must_use]
pub fn reference() -> String {
    let defaults = serde_json::to_value(Config::default()).expect("the defaults are plain values");
    let mut page = String::from(
        "# Configuration\n\n\
         <!-- Generated from infra/src/config/reference.rs; `make docs` writes it again. -->\n\n\
         `satpostd serve` reads built-in defaults, then the TOML file given by `--config`, then the\n\
         environment, then flags; the later one wins. An unknown key is an error.\n\n\
         | key | environment | flag | default | meaning |\n|---|---|---|---|---|\n",
    );
    for (key, flag, meaning) in KEYS {
        let default = defaults
            .pointer(&pointer(key))
            .expect("the table names existing keys");
        let flag = flag.map_or_else(String::new, |flag| format!("`{flag}`"));
        writeln!(
            page,
            "| `{key}` | `{ENV_PREFIX}{}` | {flag} | `{default}` | {meaning} |",
            key.replace('.', "__").to_uppercase()
        )
        .expect("writing to a String cannot fail");
    }
    page.push_str(
        "\nBounds of the protocol (sizes, quotas, times) are not configuration: they stand in\n\
         `domain/src/limits.rs` and are served at `GET /v1/limits`.\n",
    );
    page
}

fn pointer(key: &str) -> String {
    format!("/{}", key.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_keys(name: &str, value: &serde_json::Value, keys: &mut Vec<String>) {
        // A section has keys of its own; a table whose keys the operator chooses is one value.
        let section = value.as_object().filter(|section| !section.is_empty());
        let Some(section) = section else {
            keys.push(name.trim_start_matches('.').to_owned());
            return;
        };
        for (key, value) in section {
            name_keys(&format!("{name}.{key}"), value, keys);
        }
    }

    #[test]
    fn the_reference_names_every_key() {
        let defaults = serde_json::to_value(Config::default()).unwrap();
        let mut keys = Vec::new();
        name_keys("", &defaults, &mut keys);
        keys.sort();
        let mut documented: Vec<_> = KEYS.iter().map(|(key, ..)| (*key).to_owned()).collect();
        documented.sort();
        assert_eq!(documented, keys);
    }
}
