//! Whose a token is, and whether a session is still good: as the API judges it.

use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};

use crate::access::session::{Session, SessionKey};
use crate::access::{Caller, TokenHash};
use crate::config::AuthConfig;
use crate::serve::Serve;
use crate::time::TimestampMs;

/// So long a page of whom a proxy names is told of changes before its browser asks again, with the token of then.
const PROXIED_MS: i64 = 10 * 60 * 1000;

/// Who everybody is that reaches this server with these headers, where nobody signs in.
pub(crate) async fn everybody(serve: &Arc<Serve>, headers: &HeaderMap) -> Option<Caller> {
    let is_open = matches!(serve.config().api.auth, AuthConfig::Nobody);
    if is_open { serve.admit(headers).await.ok().map(|(caller, _)| caller) } else { None }
}

/// Whom the proxy before this server names: it sends the token of who signed in there with each request. None where it sends none;
/// what does not count lets nobody in, whatever the cookie says.
pub(crate) async fn proxied(serve: &Arc<Serve>, key: &SessionKey, headers: &HeaderMap, now: TimestampMs) -> Option<Option<Session>> {
    if !brings_token(headers) {
        return None;
    }
    let caller = serve.admit(headers).await.ok().map(|(caller, _)| caller);
    // The browser sends the proxy's cookie by itself, so that forms of others must not be good: the nonce is no less secret here.
    let session = |caller: Caller| Session { nonce: key.nonce_of(&caller), caller, holder: None, expires: TimestampMs(now.0 + PROXIED_MS) };
    Some(caller.map(session))
}

/// Whether a token is sent, good or not. What a proxy asks for itself, a password (`Basic`) or a ticket (`Negotiate`), is the proxy's
/// affair: the browser sends it on, and the cookie says who acts.
fn brings_token(headers: &HeaderMap) -> bool {
    let scheme = |value: &HeaderValue| value.as_bytes().split(|byte| *byte == b' ').next().map(<[u8]>::to_ascii_lowercase);
    headers.get_all(AUTHORIZATION).iter().any(|value| scheme(value).is_some_and(|scheme| scheme == b"bearer"))
}

/// Who brings this token.
pub(crate) async fn who(serve: &Arc<Serve>, token: &str) -> Option<(Caller, Option<TokenHash>)> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).ok()?);
    let (caller, _) = serve.admit(&headers).await.ok()?;
    let hash = TokenHash::of(token);
    // Of a token that an identity provider signed there is no list in which it could be looked up again.
    let holder = serve.holder(&hash).map(|_| hash);
    Some((caller, holder))
}

/// A session ends with its token, and when its holder may do other things.
pub(crate) fn is_still_good(serve: &Arc<Serve>, session: &Session) -> bool {
    session.holder.as_ref().is_none_or(|holder| serve.holder(holder).as_ref() == Some(&session.caller))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_of_the_proxy_is_no_token() {
        let brings = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            brings_token(&headers)
        };
        for token in ["Bearer abc", "bearer abc", "BEARER", "Bearer "] {
            assert!(brings(&[token]), "{token}");
            assert!(brings(&["Basic YTpi", token]), "after another one: {token}");
        }
        for other in ["", "Basic YTpi", "Negotiate YII", "Bearerabc", "Digest username=\"Bearer a\""] {
            assert!(!brings(&[other]), "{other}");
        }
        assert!(!brings(&[]));
    }
}
