//! The session of a browser: who signed in, until when, under a signature. It lives in a cookie, so no server keeps one, and any
//! server with the same secret knows it. It holds no token.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::access::{Caller, Party, Role, TokenHash, is_name};
use crate::id::TenantId;
use crate::time::TimestampMs;

/// How long a session lasts.
pub const SESSION_MS: i64 = 12 * 60 * 60 * 1000;

const VERSION: &str = "1";
/// Parts of a session cannot contain it: it is a control character.
const BETWEEN: char = '\u{1f}';

/// What sessions and the tokens of forms are signed with: made of `api.secret`, and of nothing that a browser sees.
#[derive(Clone)]
pub struct SessionKey(Arc<[u8]>);

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// As whom.
    pub caller: Caller,
    /// By which token of the file, so that the session ends with it; none of one that an identity provider signed.
    pub holder: Option<TokenHash>,
    /// When it ends.
    pub expires: TimestampMs,
    /// Random; what forms of this session are signed with.
    pub nonce: String,
}

impl SessionKey {
    /// Of `api.secret`.
    pub fn of(secret: &[u8]) -> Self {
        Self(secret.into())
    }

    fn sign(&self, purpose: &str, text: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
        for part in [purpose, text] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        mac
    }

    /// The nonce of a session that no cookie holds: the same for the same caller, and known to nobody without the key.
    pub fn nonce_of(&self, caller: &Caller) -> String {
        let name = caller.name.as_deref().unwrap_or_default();
        let who = [&caller.who.to_string(), caller.role.word(), name].join(&BETWEEN.to_string());
        URL_SAFE_NO_PAD.encode(self.sign("nonce", &who).finalize().into_bytes())
    }

    /// The text of the cookie.
    pub fn seal(&self, session: &Session) -> String {
        let Session { caller, holder, expires, nonce } = session;
        let party = match &caller.who {
            Party::Tenant(tenant) => tenant.as_str(),
            Party::Operator => "",
        };
        let holder = holder.map_or(String::new(), |holder| holder.to_string());
        let name = caller.name.as_deref().unwrap_or_default();
        let parts = [VERSION, party, caller.role.word(), &expires.0.to_string(), nonce, &holder, name];
        let payload = URL_SAFE_NO_PAD.encode(parts.join(&BETWEEN.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(self.sign("session", &payload).finalize().into_bytes());
        format!("{payload}.{signature}")
    }

    /// The session of a cookie; none where it is not of this key, is over, or is no session at all.
    pub fn open(&self, cookie: &str, now: TimestampMs) -> Option<Session> {
        let (payload, signature) = cookie.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.sign("session", payload).verify_slice(&signature).ok()?;
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let parts: Vec<&str> = text.split(BETWEEN).collect();
        let [VERSION, party, role, expires, nonce, holder, name] = parts[..] else { return None };
        let who = if party.is_empty() { Party::Operator } else { Party::Tenant(TenantId::parse(party).ok()?) };
        let name = is_name(name).then(|| Arc::from(name));
        let expires = TimestampMs(expires.parse().ok()?);
        let holder = if holder.is_empty() { None } else { Some(TokenHash::parse(holder)?) };
        let caller = Caller { who, role: Role::parse(role)?, name };
        (now < expires).then(|| Session { caller, holder, expires, nonce: nonce.to_owned() })
    }

    /// What a form of the session with this nonce carries.
    pub fn form_token(&self, nonce: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.sign("form", nonce).finalize().into_bytes())
    }

    /// Whether a form's token is of the session with this nonce, in a time that does not depend on where they differ.
    pub fn is_form_token(&self, nonce: &str, token: &str) -> bool {
        let token = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        self.sign("form", nonce).verify_slice(&token).is_ok()
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let caller = Caller { who: Party::Tenant(TenantId::parse("acme").unwrap()), role: Role::Admin, name: Some("Ann".into()) };
        Session { caller, holder: Some(TokenHash::of("t")), expires: TimestampMs(1000), nonce: "n".to_owned() }
    }

    #[test]
    fn a_session_is_read_by_its_own_key_until_it_ends() {
        let key = SessionKey::of(b"secret");
        for session in
            [session(), Session { caller: Caller { who: Party::Operator, role: Role::Viewer, name: None }, holder: None, ..session() }]
        {
            let cookie = key.seal(&session);
            assert_eq!(key.open(&cookie, TimestampMs(999)), Some(session));
            assert_eq!(key.open(&cookie, TimestampMs(1000)), None, "it is over");
            assert_eq!(SessionKey::of(b"other").open(&cookie, TimestampMs(0)), None);
        }
    }

    #[test]
    fn a_cookie_that_was_changed_is_none() {
        let key = SessionKey::of(b"secret");
        let cookie = key.seal(&session());
        for at in 0..cookie.len() {
            let mut changed = cookie.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let opened = key.open(&String::from_utf8(changed).unwrap(), TimestampMs(0));
            // The last digit of base64 has bits that stand for nothing.
            assert!(opened.is_none() || at + 1 == cookie.len(), "{at}");
        }
        for cookie in ["", ".", "a.b", "é.é"] {
            assert_eq!(key.open(cookie, TimestampMs(0)), None, "{cookie}");
        }
    }

    #[test]
    fn a_cookie_holds_no_token_and_a_form_is_of_one_session() {
        let key = SessionKey::of(b"secret");
        let cookie = key.seal(&Session { holder: Some(TokenHash::of("my-token")), ..session() });
        let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(cookie.split('.').next().unwrap()).unwrap()).unwrap();
        assert!(!payload.contains("my-token") && !payload.contains("secret"), "{payload}");
        let token = key.form_token("n");
        assert!(key.is_form_token("n", &token) && !key.is_form_token("m", &token) && !key.is_form_token("n", ""));
        assert_ne!(token, cookie.split('.').nth(1).unwrap());
    }
}
