//! Who comes in: a bearer token of the file, one that an identity provider signed, or whoever reaches a loopback address.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};

use crate::access::jwt::JwtRefusal;
use crate::access::{Caller, Jwt, Party, Role, TokenHash, Tokens};
use crate::clock::{BootTime, Clock};
use crate::config::AuthConfig;
use crate::serve::problem::Problem;

/// How callers are known.
pub(crate) enum Admission {
    /// By the tokens of a file.
    Tokens(ArcSwap<Tokens>),
    /// By tokens that an identity provider signed.
    Signed(Arc<Jwt>),
    /// Everybody is the operator.
    Nobody,
}

/// Why nobody comes in with these headers.
pub(crate) enum NotAdmitted {
    /// For good.
    Refused(Problem),
    /// The signer's key is not known: it may be a new one.
    UnknownKey(Arc<Jwt>),
}

impl From<Problem> for NotAdmitted {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

/// Who asks, and by what they are counted.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    /// Who.
    pub(super) caller: Caller,
    /// Names the token, and is none.
    pub(super) counted_as: TokenHash,
}

impl Admission {
    /// By `api.auth`. Blocks until the signer's keys are there.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn open(auth: &AuthConfig, clock: Arc<dyn Clock>) -> Result<Self, String> {
        match auth {
            AuthConfig::Tokens(None) => {
                Err("`api.auth.tokens` is missing: name the file of the tokens, which `sharecast token new` writes".to_owned())
            }
            AuthConfig::Tokens(Some(path)) => Ok(Self::Tokens(ArcSwap::from_pointee(read_tokens(path)?))),
            AuthConfig::Jwt(jwt) => {
                let jwt = Jwt::open(jwt, clock).map_err(|error| format!("`api.auth.jwt.jwks`: {error}"))?;
                Ok(Self::Signed(Arc::new(jwt)))
            }
            AuthConfig::Nobody => Ok(Self::Nobody),
        }
    }

    /// From here on these tokens count.
    pub(super) fn take(&self, tokens: Tokens) {
        match self {
            Self::Tokens(known) => known.store(Arc::new(tokens)),
            Self::Signed(_) | Self::Nobody => {}
        }
    }

    /// Whether tokens are signed.
    pub(super) fn has_signers(&self) -> bool {
        match self {
            Self::Signed(_) => true,
            Self::Tokens(_) | Self::Nobody => false,
        }
    }

    /// Asks for the signer's keys again, if that is due. Blocks.
    pub(super) fn refresh(&self) {
        match self {
            Self::Signed(jwt) => drop(jwt.refresh(false)),
            Self::Tokens(_) | Self::Nobody => {}
        }
    }

    /// Who asks with these headers.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Admitted, NotAdmitted> {
        match self {
            Self::Tokens(tokens) => {
                let token = bearer(headers)?;
                let caller = tokens.load().caller(token).ok_or_else(|| unknown("the token is not known, or was revoked"))?;
                Ok(Admitted { caller, counted_as: TokenHash::of(token) })
            }
            Self::Signed(jwt) => {
                let token = bearer(headers)?;
                match jwt.caller(token) {
                    Ok(caller) => Ok(Admitted { counted_as: counted_as(&caller), caller }),
                    Err(JwtRefusal::UnknownKey) => Err(NotAdmitted::UnknownKey(Arc::clone(jwt))),
                    Err(refusal) => Err(unknown(&format!("the token does not count: {refusal}")).into()),
                }
            }
            Self::Nobody => {
                check_local(headers)?;
                Ok(Admitted { caller: everybody(), counted_as: TokenHash::of("") })
            }
        }
    }

    /// Who holds this token; the error is why nobody does.
    pub(super) fn holder_of(&self, token: &str) -> Result<Caller, String> {
        match self {
            Self::Tokens(tokens) => tokens.load().caller(token).ok_or_else(|| "the token is not known, or was revoked".to_owned()),
            Self::Signed(jwt) => jwt.caller(token).map_err(|refusal| format!("the token does not count: {refusal}")),
            Self::Nobody => Ok(everybody()),
        }
    }

    /// Whether who was let in by this token would be let in now. A signed token counts until it ends; a session or a stream that it began
    /// has its own end.
    pub(super) fn still_admits(&self, token: &TokenHash, caller: &Caller) -> bool {
        match self {
            Self::Tokens(tokens) => tokens.load().holder(token).as_ref() == Some(caller),
            Self::Signed(_) | Self::Nobody => true,
        }
    }

    /// Who holds a token of this hash; a session keeps no more. None where tokens are signed: a hash says nothing of them.
    pub(super) fn holder(&self, hash: &TokenHash) -> Option<Caller> {
        match self {
            Self::Tokens(tokens) => tokens.load().holder(hash),
            Self::Signed(_) | Self::Nobody => None,
        }
    }
}

/// The tokens of a file.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read_tokens(path: &Path) -> Result<Tokens, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("`api.auth.tokens`: {}: {error}", path.display()))?;
    Tokens::parse(&path.display().to_string(), &text).map_err(|errors| errors.to_string())
}

/// Whoever reaches the loopback address.
fn everybody() -> Caller {
    Caller { who: Party::Operator, role: Role::Admin, name: None }
}

/// A provider signs a new token again and again: it is the caller that is counted.
fn counted_as(caller: &Caller) -> TokenHash {
    let who = match &caller.who {
        Party::Tenant(tenant) => tenant.as_str(),
        Party::Operator => "/operator",
    };
    TokenHash::of(&format!("{who} {} {}", caller.role.word(), caller.name.as_deref().unwrap_or_default()))
}

fn unknown(detail: &str) -> Problem {
    Problem::new(401, detail)
}

/// The token of `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || unknown("who asks is not known: send `Authorization: Bearer TOKEN`");
    let value = headers.get(AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() { Ok(token.trim()) } else { Err(missing()) }
}

/// A page from elsewhere, open in a browser on this machine, reaches a loopback address too: it is told by the name that it reached it
/// under, or by where it comes from.
fn check_local(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_local = |authority: &str| {
        let host = if let Some(rest) = authority.strip_prefix('[') {
            rest.split(']').next()
        } else {
            authority.rsplit_once(':').map_or(Some(authority), |(host, _)| Some(host))
        };
        host.is_some_and(|host| host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()))
    };
    let host = text(HOST).unwrap_or_default();
    if !is_local(host) {
        return Err(Problem::new(403, "`api.auth.mode: none` is for this machine alone: ask for `localhost` or a loopback address"));
    }
    match text(ORIGIN) {
        Some(origin) if origin.split_once("://").is_none_or(|(_, authority)| !authority.eq_ignore_ascii_case(host)) => {
            Err(Problem::new(403, "the request comes from a page of another origin"))
        }
        Some(_) | None => Ok(()),
    }
}

/// How often each token asks.
#[derive(Debug, Default)]
pub(crate) struct RequestLimits(Mutex<HashMap<TokenHash, TokenBucket>>);

/// Requests that a token has left.
#[derive(Debug, Clone, Copy)]
struct TokenBucket {
    left: f64,
    at: BootTime,
}

/// With so many tokens, those that have not asked for a while are forgotten.
const BUCKETS: usize = 10_000;

impl RequestLimits {
    /// Counts a request at `now` of one who may make `a_second`; the error is in how many seconds there is another one.
    pub(super) fn take(&self, who: &TokenHash, a_second: u32, now: BootTime) -> Result<(), u32> {
        let most = f64::from(a_second);
        let mut buckets = self.0.lock().expect("it is only counted");
        if buckets.len() > BUCKETS {
            buckets.retain(|_, bucket| now.since(bucket.at).as_secs() < 2);
        }
        let bucket = buckets.entry(*who).or_insert(TokenBucket { left: most, at: now });
        bucket.left = (bucket.left + now.since(bucket.at).as_secs_f64() * most).min(most);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(((1.0 - bucket.left) / most).ceil().max(1.0) as u32);
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_page_from_elsewhere_is_not_the_operator() {
        for (host, origin, is_let_in) in [
            ("localhost:8080", None, true),
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080"), true),
            ("[::1]:8080", Some("http://[::1]:8080"), true),
            ("LOCALHOST", None, true),
            ("localhost:8080", Some("http://evil.example"), false),
            ("localhost:8080", Some("http://localhost:9999"), false),
            ("localhost:8080", Some("null"), false),
            ("rebound.example:8080", None, false),
            ("127.0.0.1.evil.example", None, false),
            ("10.0.0.1:8080", None, false),
        ] {
            let mut sent = headers(&[(HOST, host)]);
            if let Some(origin) = origin {
                sent.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
            }
            assert_eq!(check_local(&sent).is_ok(), is_let_in, "{host} {origin:?}");
        }
        assert!(check_local(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_token_is_a_bearers() {
        assert_eq!(bearer(&headers(&[(AUTHORIZATION, "Bearer abc")])).unwrap(), "abc");
        assert_eq!(bearer(&headers(&[(AUTHORIZATION, "bearer  abc ")])).unwrap(), "abc");
        for wrong in ["abc", "Basic abc", "Bearer ", ""] {
            assert_eq!(bearer(&headers(&[(AUTHORIZATION, wrong)])).unwrap_err().status, 401, "{wrong}");
        }
    }

    #[test]
    fn a_token_has_so_many_requests_a_second() {
        let (limits, token) = (RequestLimits::default(), TokenHash::of("t"));
        let at = |ms: u64| BootTime(Duration::from_millis(ms));
        let taken = (0..20).filter(|_| limits.take(&token, 10, at(0)).is_ok()).count();
        assert_eq!(taken, 10);
        assert_eq!(limits.take(&token, 10, at(50)), Err(1));
        assert!(limits.take(&token, 10, at(150)).is_ok());
        assert!(limits.take(&TokenHash::of("other"), 10, at(150)).is_ok(), "each by itself");
    }
}
