//! Who is answered.
//!
//! A page of the internet can send requests to this computer, and a name of the internet can be made to lead here. So a
//! request has to name the server by its own address, may come from no other page, and has to know the token.

use core::net::SocketAddr;

use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{StatusCode, Uri};

use crate::token::Token;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It does not name this server.
    Host,
    /// It comes from another page.
    Origin,
    /// It does not know the token.
    Token,
}

impl Refusal {
    /// The status and a sentence for who asked.
    pub const fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::Host => (StatusCode::MISDIRECTED_REQUEST, "this server answers to its own address alone"),
            Self::Origin => (StatusCode::FORBIDDEN, "this server answers to its own page alone"),
            Self::Token => (
                StatusCode::UNAUTHORIZED,
                "the token is missing or wrong: open the address that `irqlab serve` printed",
            ),
        }
    }
}

/// What a request is compared with.
#[derive(Debug)]
pub struct Guard {
    hosts: [String; 2],
    cookie: String,
    token: Token,
}

/// How a request came by the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// From the address: it is to be exchanged for a cookie.
    Address,
    /// From the cookie or a header.
    Already,
}

impl Guard {
    /// For a server that listens at an address.
    pub fn new(address: SocketAddr, token: Token) -> Self {
        let port = address.port();
        Self {
            hosts: [address.to_string(), format!("localhost:{port}")],
            // Cookies know no ports, and there may be several servers.
            cookie: format!("irqlab-{port}"),
            token,
        }
    }

    /// The address to open.
    pub fn address(&self) -> String {
        format!("http://{}/?token={}", self.hosts[0], self.token.as_str())
    }

    /// The cookie that stands for the token. No script can read it, and it goes with no request of another page.
    pub fn cookie(&self) -> String {
        format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, self.token.as_str())
    }

    fn is_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// Whether a request is answered.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Known, Refusal> {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Refusal::Host) };
        let named = host.to_str().is_ok_and(|host| self.is_host(host));
        let authority = uri.authority().is_none_or(|authority| self.is_host(authority.as_str()));
        if !named || !authority {
            return Err(Refusal::Host);
        }
        let own = |origin: &str| origin.strip_prefix("http://").is_some_and(|host| self.is_host(host));
        if !headers.get_all(ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(own)) {
            return Err(Refusal::Origin);
        }
        // A browser says whether the page is another's; `none` is an address that somebody typed.
        let site = |site: &str| matches!(site, "same-origin" | "none");
        if !headers.get_all(FETCH_SITE).iter().all(|value| value.to_str().is_ok_and(site)) {
            return Err(Refusal::Origin);
        }
        if let Some(token) = uri.query().and_then(token_of_query) {
            return if self.token.is(token) { Ok(Known::Address) } else { Err(Refusal::Token) };
        }
        if self.knows(headers) { Ok(Known::Already) } else { Err(Refusal::Token) }
    }

    /// The right token is among the headers.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let bearer =
            headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut values = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, _)| *name == self.cookie)
            .map(|(_, value)| value);
        bearer.is_some_and(|token| self.token.is(token)) || values.any(|token| self.token.is(token))
    }
}

fn token_of_query(query: &str) -> Option<&str> {
    query.split('&').find_map(|part| part.strip_prefix("token="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new("127.0.0.1:7000".parse().unwrap(), Token::new().unwrap())
    }

    fn check(guard: &Guard, uri: &str, headers: &[(&'static str, &str)]) -> Result<Known, Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        guard.check(&uri.parse().unwrap(), &map)
    }

    #[test]
    fn only_the_own_address_is_a_host() {
        let guard = guard();
        let bearer = format!("Bearer {}", guard.token.as_str());
        let with = |host: &str| check(&guard, "/", &[("host", host), ("authorization", &bearer)]);
        assert_eq!(with("127.0.0.1:7000"), Ok(Known::Already));
        assert_eq!(with("LocalHost:7000"), Ok(Known::Already));
        for host in [
            "127.0.0.1",
            "127.0.0.1:7001",
            "127.0.0.2:7000",
            "example.com",
            "[::1]:7000",
            "localhost:7000.example.com",
            "",
        ] {
            assert_eq!(with(host), Err(Refusal::Host), "{host}");
        }
        assert_eq!(check(&guard, "/", &[("authorization", &bearer)]), Err(Refusal::Host));
        let two = [("host", "127.0.0.1:7000"), ("host", "127.0.0.1:7000"), ("authorization", &*bearer)];
        assert_eq!(check(&guard, "/", &two), Err(Refusal::Host));
        let absolute = check(&guard, "http://example.com/", &two[1..]);
        assert_eq!(absolute, Err(Refusal::Host));
    }

    #[test]
    fn only_the_own_page_may_ask() {
        let guard = guard();
        let bearer = format!("Bearer {}", guard.token.as_str());
        let with = |name: &'static str, value: &str| {
            check(&guard, "/", &[("host", "127.0.0.1:7000"), ("authorization", &bearer), (name, value)])
        };
        assert_eq!(with("origin", "http://127.0.0.1:7000"), Ok(Known::Already));
        for origin in ["https://127.0.0.1:7000", "http://example.com", "null", "http://127.0.0.1:7001", ""] {
            assert_eq!(with("origin", origin), Err(Refusal::Origin), "{origin}");
        }
        assert_eq!(with("sec-fetch-site", "same-origin"), Ok(Known::Already));
        assert_eq!(with("sec-fetch-site", "cross-site"), Err(Refusal::Origin));
        assert_eq!(with("sec-fetch-site", "same-site"), Err(Refusal::Origin));
    }

    #[test]
    fn the_token_comes_by_address_cookie_or_header() {
        let guard = guard();
        let token = guard.token.as_str().to_owned();
        let with = |uri: &str, headers: &[(&'static str, &str)]| {
            let mut all = vec![("host", "127.0.0.1:7000")];
            all.extend(headers);
            check(&guard, uri, &all)
        };
        assert_eq!(with(&format!("/?token={token}"), &[]), Ok(Known::Address));
        assert_eq!(with(&format!("/?a=b&token={token}"), &[]), Ok(Known::Address));
        assert_eq!(with("/", &[("cookie", &format!("a=b; irqlab-7000={token}"))]), Ok(Known::Already));
        assert_eq!(with("/", &[("authorization", &format!("Bearer {token}"))]), Ok(Known::Already));
        for (uri, headers) in [
            ("/", vec![]),
            ("/?token=", vec![]),
            ("/?token=0", vec![("cookie", format!("irqlab-7000={token}"))]),
            ("/", vec![("cookie", format!("irqlab-7001={token}"))]),
            ("/", vec![("cookie", format!("irqlab-7000={}", &token[1..]))]),
            ("/", vec![("authorization", token.clone())]),
            ("/", vec![("authorization", "Bearer ".to_owned())]),
        ] {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(with(uri, &headers), Err(Refusal::Token), "{uri} {headers:?}");
        }
    }
}
