//! Where a push may go. A phone chooses the endpoint, so without a guard it could make the server
//! call itself or its neighbours (server-side request forgery). Names are resolved first, and
//! only addresses that passed are connected to.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The rules: HTTPS on port 443 to globally routable addresses, and the hosts that the operator
/// allowed by name or address, which may be anything.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: BTreeSet<String>,
}

/// Why an endpoint is not connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL with a host.
    #[error("the push endpoint is no URL with a host")]
    NotAUrl,
    /// It carries a user name or a password, which no push service needs.
    #[error("the push endpoint carries credentials")]
    Credentials,
    /// It is not HTTPS on port 443, and the operator has not allowed its host.
    #[error("a push endpoint is https on port 443, unless its host is allowed")]
    Scheme,
    /// Its host is an address that is not globally routable.
    #[error("the push endpoint is on an address that is not globally routable")]
    Address,
}

/// A name has addresses, but none that may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name resolves to no globally routable address")]
pub struct NoGlobalAddress;

impl Guard {
    /// Allows these hosts (names or addresses) whatever they resolve to, on any port, and over
    /// plain HTTP: push services of the operator's own, and tests.
    #[must_use]
    pub fn allowing(hosts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let allowed = hosts
            .into_iter()
            .map(|host| host.as_ref().trim_matches(['[', ']']).to_ascii_lowercase())
            .collect();
        Self { allowed }
    }

    /// Checks everything that is known before the name is resolved.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn check(&self, endpoint: &str) -> Result<Url, EndpointError> {
        let url = Url::parse(endpoint).map_err(|_| EndpointError::NotAUrl)?;
        // Parsing has turned every spelling of an IPv4 address (decimal, octal, short) into one.
        let host = url.host().ok_or(EndpointError::NotAUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        let (name, address) = match host {
            Host::Domain(name) => (name.to_owned(), None),
            Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
            Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
        };
        if self.allows(&name) && matches!(url.scheme(), "http" | "https") {
            return Ok(url);
        }
        if url.scheme() != "https" || url.port_or_known_default() != Some(443) {
            return Err(EndpointError::Scheme);
        }
        if address.is_some_and(|address| !is_global(address)) {
            return Err(EndpointError::Address);
        }
        Ok(url)
    }

    /// Keeps of the addresses that `name` resolved to those that may be connected to.
    ///
    /// # Errors
    /// [`NoGlobalAddress`] when none is left.
    pub fn filter(
        &self,
        name: &str,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, NoGlobalAddress> {
        if self.allows(name) {
            return Ok(addresses);
        }
        let kept: Vec<SocketAddr> = addresses
            .into_iter()
            .filter(|address| is_global(address.ip()))
            .collect();
        if kept.is_empty() {
            return Err(NoGlobalAddress);
        }
        Ok(kept)
    }

    fn allows(&self, name: &str) -> bool {
        self.allowed.contains(name)
    }
}

/// Finds the addresses of a name.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// The addresses; their ports mean nothing.
    ///
    /// # Errors
    /// Whatever the resolver says.
    async fn lookup(&self, name: &str) -> io::Result<Vec<SocketAddr>>;
}

/// Asks the system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// The resolver of the HTTP client: it can connect to nothing that this does not return, so there
/// is no second lookup that could answer differently.
#[derive(Clone)]
pub struct GuardedResolver {
    guard: Arc<Guard>,
    lookup: Arc<dyn Lookup>,
}

impl GuardedResolver {
    /// Filters what `lookup` finds through `guard`.
    pub fn new(guard: Arc<Guard>, lookup: Arc<dyn Lookup>) -> Self {
        Self { guard, lookup }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { guard, lookup } = self.clone();
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await?;
            let kept = guard.filter(name.as_str(), found)?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// True for an address that anyone on the Internet can be reached at. What the IANA registries of
/// special-purpose addresses reserve is not; `IpAddr::is_global` is not stable yet.
#[must_use]
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = match a {
        // "This network", private, loopback, multicast and everything above it.
        0 | 10 | 127 | 224..=255 => true,
        // Shared between carriers and their customers (RFC 6598).
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        // Protocol assignments, documentation, the retired 6to4 relay, private.
        192 => matches!((b, c), (0, 0 | 2) | (88, 99) | (168, _)),
        // Benchmarks, documentation.
        198 => matches!((b, c), (18 | 19, _) | (51, 100)),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    !reserved
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_global_v4(v4);
    }
    let segments = address.segments();
    // NAT64 (RFC 6052): the IPv4 address at the end is the one that is reached.
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., a, b, c, d] = address.octets();
        return is_global_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Only 2000::/3 is assigned as global unicast.
    let unicast = segments[0] & 0xe000 == 0x2000;
    let reserved = match segments[0] {
        // Protocol assignments (Teredo, benchmarks, ORCHID), documentation.
        0x2001 => segments[1] < 0x200 || segments[1] == 0xdb8,
        // 6to4 carries an IPv4 address that nobody checked.
        0x2002 => true,
        // Documentation (RFC 9637).
        0x3fff => segments[1] < 0x1000,
        _ => false,
    };
    unicast && !reserved
}

#[cfg(test)]
mod tests;
