//! Where the cluster is: `esdb://[user:password@]host[:port][,host[:port]…][?key=value&…]`, or
//! `esdb+discover://…` for a name that stands for the whole cluster.
//!
//! The crate's own parser takes user and password as they are written (percent signs and all),
//! loses ports of some host lists, and repeats the whole text in its errors. So the text is taken
//! apart here: the crate never sees a secret before it sends it, and an error never shows one.

use std::fmt;
use std::path::Path;

use eventstore::{ClientSettings, Credentials};

/// The port of EventStoreDB, for hosts without one.
const PORT: u16 = 2113;
/// How long the crate waits before every attempt to connect, also before the first one, unless the
/// text says otherwise. The adapter has a waiting time of its own between attempts.
const DISCOVERY_INTERVAL_MS: &str = "20";
/// The keys that the crate knows. Reads and appends always go to the leader, or a fold could start
/// from the past, so `nodePreference` is not among them; `defaultDeadline` has no effect on what
/// the adapter calls.
const KEYS: [&str; 11] = [
    "tls",
    "tlsVerifyCert",
    "tlsCaFile",
    "userCertFile",
    "userKeyFile",
    "maxDiscoverAttempts",
    "discoveryInterval",
    "gossipTimeout",
    "keepAliveInterval",
    "keepAliveTimeout",
    "connectionName",
];

/// A connection string that was checked. Shown without its user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    settings: ClientSettings,
    credentials: Option<Credentials>,
    /// Scheme and hosts, for messages.
    place: String,
}

/// The text is no connection string. Never shows what could be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// It begins otherwise.
    #[error("it must begin with esdb:// or esdb+discover://")]
    Scheme,
    /// A host is missing or malformed.
    #[error(
        "host {number} is not a name or an address with an optional port (IPv6 in brackets, and only alone)"
    )]
    Host {
        /// Which one, counting from 1.
        number: usize,
    },
    /// User and password cannot be read.
    #[error(
        "user and password must be user:password, with %40 for @, %3A for : and so on, and need TLS or a loopback address"
    )]
    Credentials,
    /// A key is not known.
    #[error("the key {key:?} is not known; known are {}", KEYS.join(", "))]
    Key {
        /// What was written.
        key: String,
    },
    /// The value of a key is refused.
    #[error("the value of {key} is refused")]
    Value {
        /// The key.
        key: String,
    },
    /// A file that is named cannot be read.
    #[error("the file of {key} cannot be read: {reason}")]
    File {
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },
}

/// Scheme and hosts only.
impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionString({})", self.place)
    }
}

/// Scheme and hosts only.
impl fmt::Display for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl ConnectionString {
    /// Whether `text` means a cluster at all.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        scheme_of(text).is_some()
    }

    /// Reads a connection string and looks whether the files it names can be read.
    ///
    /// # Errors
    /// [`ConnectionStringError`].
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let (scheme, rest) = scheme_of(text).ok_or(ConnectionStringError::Scheme)?;
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, query),
            None => (rest, ""),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (user_info, hosts) = match authority.rsplit_once('@') {
            Some((user_info, hosts)) => (Some(user_info), hosts),
            None => (None, authority),
        };
        let hosts = check_hosts(hosts)?;
        let query = check_query(query)?;
        let place = format!("{scheme}://{}", hosts.join(","));
        let settings: ClientSettings =
            format!("{place}?{query}")
                .parse()
                .map_err(|_| ConnectionStringError::Value {
                    key: "one of its keys".to_owned(),
                })?;
        let credentials = user_info.map(read_credentials).transpose()?;
        if credentials.is_some()
            && !settings.is_secure_mode_enabled()
            && !hosts.iter().all(|host| is_loopback(host))
        {
            return Err(ConnectionStringError::Credentials);
        }
        Ok(Self {
            settings,
            credentials,
            place,
        })
    }

    pub(super) fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

/// The text with `***` for its user and password, for showing a configuration. Works on any text.
#[must_use]
pub fn hide_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority_end = rest.find('?').unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => text.to_owned(),
    }
}

fn scheme_of(text: &str) -> Option<(&'static str, &str)> {
    [
        ("esdb+discover", "esdb+discover://"),
        ("esdb+discover", "kurrentdb+discover://"),
        ("esdb", "esdb://"),
        ("esdb", "kurrentdb://"),
    ]
    .into_iter()
    .find_map(|(scheme, start)| text.strip_prefix(start).map(|rest| (scheme, rest)))
}

/// Every host with its port written out.
fn check_hosts(hosts: &str) -> Result<Vec<String>, ConnectionStringError> {
    let count = hosts.split(',').count();
    (1..)
        .zip(hosts.split(','))
        .map(|(number, host)| {
            check_host(host, count == 1).ok_or(ConnectionStringError::Host { number })
        })
        .collect()
}

fn check_host(host: &str, alone: bool) -> Option<String> {
    if let Some(bracketed) = host.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if port.is_empty() => PORT,
            None => return None,
        };
        return alone.then(|| format!("[{address}]:{port}"));
    }
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (host, PORT),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    (!name.is_empty() && name.chars().all(fits)).then(|| format!("{name}:{port}"))
}

fn is_loopback(host: &str) -> bool {
    let (name, _) = host.rsplit_once(':').unwrap_or((host, ""));
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The query in the crate's spelling, with our own waiting time.
fn check_query(query: &str) -> Result<String, ConnectionStringError> {
    let mut pairs = vec!["nodePreference=leader".to_owned()];
    let mut waits = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let known = KEYS.iter().find(|known| known.eq_ignore_ascii_case(key));
        let key = *known.ok_or_else(|| ConnectionStringError::Key {
            key: key.to_owned(),
        })?;
        let refused = || ConnectionStringError::Value {
            key: key.to_owned(),
        };
        match key {
            "tls" | "tlsVerifyCert" => {
                value.parse::<bool>().map_err(|_| refused())?;
            }
            "tlsCaFile" | "userCertFile" | "userKeyFile" => {
                let path = decode(value).ok_or_else(refused)?;
                // The crate panics on a file that it cannot read.
                check_file(key, Path::new(&path))?;
            }
            "connectionName" => {}
            "keepAliveInterval" | "keepAliveTimeout" => {
                value.parse::<i64>().map_err(|_| refused())?;
            }
            _ => {
                value.parse::<u32>().map_err(|_| refused())?;
            }
        }
        waits |= key == "discoveryInterval";
        pairs.push(format!("{key}={value}"));
    }
    if !waits {
        pairs.push(format!("discoveryInterval={DISCOVERY_INTERVAL_MS}"));
    }
    Ok(pairs.join("&"))
}

fn check_file(key: &str, path: &Path) -> Result<(), ConnectionStringError> {
    let refused = |reason: String| ConnectionStringError::File {
        key: key.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    if text.contains("-----BEGIN ") {
        Ok(())
    } else {
        Err(refused("it is not PEM".to_owned()))
    }
}

fn read_credentials(user_info: &str) -> Result<Credentials, ConnectionStringError> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let decoded = decode(user).zip(decode(password));
    let (user, password) = decoded.ok_or(ConnectionStringError::Credentials)?;
    if user.is_empty() || user.contains(':') {
        return Err(ConnectionStringError::Credentials);
    }
    Ok(Credentials::new(user, password))
}

/// Undoes percent encoding.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_hosts_ports_and_credentials_apart() {
        let one = ConnectionString::parse("esdb://ad%40min:p%3Aw%25@127.0.0.1?tls=false").unwrap();
        assert_eq!(one.to_string(), "esdb://127.0.0.1:2113");
        assert_eq!(
            one.credentials(),
            Some(&Credentials::new("ad@min".to_owned(), "p:w%".to_owned()))
        );
        assert!(!one.settings().is_secure_mode_enabled());
        assert!(one.settings().default_authenticated_user().is_none());
        for text in ["esdb://a,b:9,c/", "kurrentdb://a:2113,b:9,c:2113?tls=true"] {
            let three = ConnectionString::parse(text).unwrap();
            let hosts = three.settings().hosts();
            let ports: Vec<_> = hosts.iter().map(|host| (&*host.host, host.port)).collect();
            assert_eq!(ports, [("a", 2113), ("b", 9), ("c", 2113)]);
            assert!(three.settings().is_secure_mode_enabled());
        }
        let found = ConnectionString::parse("esdb+discover://u:p@cluster.example:1").unwrap();
        assert!(found.settings().is_dns_discovery_enabled());
        assert_eq!(found.to_string(), "esdb+discover://cluster.example:1");
        let six = ConnectionString::parse("esdb://u:p@[::1]:7?TLS=false").unwrap();
        assert_eq!(six.settings().hosts()[0].port, 7);
    }

    #[test]
    fn refuses_what_is_malformed_and_shows_no_secret() {
        for text in [
            "http://a",
            "esdb://",
            "esdb://a:x",
            "esdb://a:99999",
            "esdb://a,[::1]:4",
            "esdb://secret:secret@",
            "esdb://:secret@a",
            "esdb://secret%4:secret@a",
            "esdb://secret:secret@a?tls=perhaps",
            "esdb://secret:secret@a?nodePreference=follower",
            "esdb://secret:secret@a?tlsCaFile=/nonexistent",
            "esdb://secret:secret@db.example?tls=false",
            "esdb://secret:secret@a?keepAliveInterval=-5",
        ] {
            let error = ConnectionString::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
        let parsed = ConnectionString::parse("esdb://secret:secret@a").unwrap();
        assert!(!format!("{parsed} {parsed:?}").contains("secret"));
    }

    #[test]
    fn hides_credentials_of_any_text() {
        for (text, shown) in [
            ("embedded", "embedded"),
            ("esdb://a:1?tls=false", "esdb://a:1?tls=false"),
            ("esdb://u:p@a?tls=false", "esdb://***@a?tls=false"),
            ("esdb://u:p@w@a,b", "esdb://***@a,b"),
            ("esdb://u:p@", "esdb://***@"),
        ] {
            assert_eq!(hide_credentials(text), shown);
        }
    }
}
