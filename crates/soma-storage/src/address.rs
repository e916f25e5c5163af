//! Which addresses a URL may lead to.
//!
//! URLs on the chain are written by strangers. Without a check, a URL could
//! make a verifier talk to a machine in its own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::{Error, Result};

/// Which addresses may be talked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressPolicy {
    /// Only `https`, only public addresses; the right choice for a URL that
    /// came from the chain.
    #[default]
    PublicHttps,
    /// Also `http`, loopback and private addresses: a local network, or a URL
    /// that the user typed.
    Any,
}

impl AddressPolicy {
    /// Checks what can be seen on the URL itself. Names are checked again
    /// whenever they are resolved, so that a name cannot change its mind.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::PrivateAddress`].
    pub fn check(self, url: &Url) -> Result<()> {
        let refuse = |reason| Err(Error::Url { url: redacted(url), reason });
        match url.scheme() {
            "https" => {}
            "http" if self == Self::Any => {}
            "http" => return refuse("plain http is for local networks only"),
            _ => return refuse("only http and https can be fetched"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it contains a user name or password");
        }
        let address = match url.host() {
            None => return refuse("it has no host"),
            Some(Host::Domain(name)) => {
                let local = name == "localhost" || name.ends_with(".localhost");
                return match self {
                    Self::PublicHttps if local => refuse("localhost is not a public host"),
                    _ => Ok(()),
                };
            }
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
        };
        match self {
            Self::PublicHttps if !is_public(address) => Err(Error::PrivateAddress {
                host: url.host_str().unwrap_or("?").to_owned(),
                address,
            }),
            _ => Ok(()),
        }
    }
}

/// Whether an address is reachable from everywhere: not loopback, private,
/// link-local, shared (RFC 6598), reserved, for documentation or multicast,
/// also when such a v4 address is wrapped into a v6 one.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// The URL without what may be secret: credentials, query, fragment.
pub fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for URLs that cannot have credentials.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    let had_query = shown.query().is_some();
    shown.set_query(None);
    shown.set_fragment(None);
    let mut text = String::from(shown);
    if had_query {
        text.push_str("?...");
    }
    text
}

/// Resolves names and refuses those that lead to a private address.
pub(crate) struct PublicOnly {
    /// Hosts of the proxies in use, which may well be private.
    pub(crate) proxies: Arc<[String]>,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let trusted = self.proxies.iter().any(|proxy| proxy == name.as_str());
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if let (false, Some(private)) = (trusted, found.iter().find(|a| !is_public(a.ip()))) {
                return Err(
                    Refused { host: name.as_str().to_owned(), address: private.ip() }.into()
                );
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// What the resolver says of a name that leads to a private address.
#[derive(Debug, thiserror::Error)]
#[error("{host} is at {address}")]
pub(crate) struct Refused {
    pub(crate) host: String,
    pub(crate) address: IpAddr,
}

/// The hosts named in the proxy variables of the environment.
pub(crate) fn proxies_from_env() -> Arc<[String]> {
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .filter_map(|text| {
            Url::parse(&text).or_else(|_| Url::parse(&format!("http://{text}"))).ok()
        })
        .filter_map(|url| url.host_str().map(str::to_owned))
        .collect()
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    match s {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) carry a v4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return is_public_v4(v4(high, low)),
        [0x2002, high, low, ..] => return is_public_v4(v4(high, low)),
        _ => {}
    }
    // Global unicast is 2000::/3; documentation is 2001:db8::/32.
    (s[0] & 0xe000) == 0x2000 && !(s[0] == 0x2001 && s[1] == 0x0db8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_and_private_addresses() {
        for text in [
            "1.1.1.1",
            "93.184.216.34",
            "100.63.255.255",
            "172.32.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_strict_policy_refuses_what_is_not_public_https() {
        let check = |text: &str| AddressPolicy::PublicHttps.check(&Url::parse(text).unwrap());
        assert!(check("https://weights.example.org/a?b=c").is_ok());
        for text in [
            "http://weights.example.org/a",
            "ftp://example.org/a",
            "file:///etc/passwd",
            "https://localhost/a",
            "https://127.0.0.1/a",
            "https://[::1]/a",
            "https://user:pass@example.org/a",
            "https://0x7f.1/a",
            "https://2130706433/",
            "data:text/plain,hello",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_open_policy_takes_loopback_but_no_other_scheme() {
        let check = |text: &str| AddressPolicy::Any.check(&Url::parse(text).unwrap());
        assert!(check("http://127.0.0.1:9200/weights").is_ok());
        assert!(check("file:///etc/passwd").is_err());
        assert!(check("http://user:pass@127.0.0.1/").is_err());
    }

    #[test]
    fn secrets_are_left_out_of_what_is_shown() {
        let url = Url::parse("https://me:pw@host.example/a/b?X-Signature=secret#f").unwrap();
        assert_eq!(redacted(&url), "https://host.example/a/b?...");
    }
}
