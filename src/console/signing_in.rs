//! Whose a token is, and whether a session is still good.

use std::sync::Arc;

use crate::access::session::Session;
use crate::access::{Caller, TokenHash, Tokens};
use crate::config::AuthConfig;
use crate::serve::Serve;

/// Whether everybody who reaches this server is the operator.
pub(crate) fn is_open(serve: &Arc<Serve>) -> bool {
    matches!(serve.config().api.auth, AuthConfig::Nobody)
}

/// Who brings this token.
pub(crate) fn who(serve: &Arc<Serve>, token: &str) -> Option<(Caller, Option<TokenHash>)> {
    let hash = TokenHash::of(token);
    tokens(serve)?.holder(&hash).map(|caller| (caller, Some(hash)))
}

/// A session ends with its token, and when its holder may do other things.
pub(crate) fn is_still_good(serve: &Arc<Serve>, session: &Session) -> bool {
    match (&session.holder, tokens(serve)) {
        (Some(holder), Some(tokens)) => tokens.holder(holder).as_ref() == Some(&session.caller),
        (Some(_), None) => false,
        (None, _) => true,
    }
}

fn tokens(serve: &Arc<Serve>) -> Option<Tokens> {
    let AuthConfig::Tokens(Some(path)) = &serve.config().api.auth else { return None };
    let text = std::fs::read_to_string(path).ok()?;
    Tokens::parse(&path.display().to_string(), &text).ok()
}
