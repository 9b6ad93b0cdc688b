//! The address of a server: scheme, host and port, nothing else.

use std::fmt;

use url::{Host, Url};

/// A server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Text that is no server's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// No URL at all.
    #[error("{text:?} is not a URL")]
    Malformed {
        /// The text given.
        text: String,
    },
    /// Neither http nor https.
    #[error("a server is reached by https or http, not by {scheme}")]
    Scheme {
        /// The scheme given.
        scheme: String,
    },
    /// A path, query, fragment, user or password. Signatures cover the path as the server sees it,
    /// so nothing may be put in front of it on the way.
    #[error("a server's address is a scheme, a host and a port, without anything behind them")]
    Surplus,
}

/// Reads the address of a server.
///
/// # Errors
/// [`BaseUrlError`].
pub fn parse(text: &str) -> Result<BaseUrl, BaseUrlError> {
    let url = Url::parse(text).map_err(|_| BaseUrlError::Malformed {
        text: text.to_owned(),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(BaseUrlError::Scheme {
            scheme: url.scheme().to_owned(),
        });
    }
    let surplus = url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some();
    if surplus {
        return Err(BaseUrlError::Surplus);
    }
    Ok(BaseUrl(url))
}

impl BaseUrl {
    /// What a request signature covers as `@authority`: the host, and the port unless it is the
    /// scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// True when nobody on the way can read along: TLS, an onion service, or this machine.
    #[must_use]
    pub fn is_private(&self) -> bool {
        if self.is_tls() {
            return true;
        }
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".onion"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// True for https.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The URL of `path` with `query` (both as sent, the query without its question mark).
    #[must_use]
    pub fn join(&self, path: &str, query: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        url
    }
}

/// Without a slash at the end.
impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_leaves_out_the_default_port() {
        for (text, authority) in [
            ("https://Post.Example", "post.example"),
            ("https://post.example:443/", "post.example"),
            ("http://127.0.0.1:8420", "127.0.0.1:8420"),
            ("http://[::1]:8420", "[::1]:8420"),
        ] {
            assert_eq!(parse(text).unwrap().authority(), authority, "{text}");
        }
    }

    #[test]
    fn plain_http_is_private_on_this_machine_and_over_tor_only() {
        for (text, private) in [
            ("https://post.example", true),
            ("http://localhost:1", true),
            ("http://127.8.8.8:1", true),
            ("http://[::1]", true),
            ("http://abcdef.onion", true),
            ("http://post.example", false),
            ("http://192.168.0.2", false),
        ] {
            assert_eq!(parse(text).unwrap().is_private(), private, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_more_than_an_address() {
        for text in [
            "https://post.example/wallet",
            "https://post.example?x",
            "https://me@post.example",
            "https://post.example#x",
        ] {
            assert_eq!(parse(text), Err(BaseUrlError::Surplus), "{text}");
        }
        assert!(matches!(parse("post"), Err(BaseUrlError::Malformed { .. })));
        assert!(matches!(
            parse("ftp://post.example"),
            Err(BaseUrlError::Scheme { .. })
        ));
    }
}
