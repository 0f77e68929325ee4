//! What pages show of shares and assets: copies of what the caller's view holds, and nothing else.

use crate::console::status::SharingStatus;
use crate::share::state::Reason;
use crate::share::status::{Audience, Document};
use crate::time::{TimestampMs, TimestampNs};

/// In characters: no rule limits what an owner writes, and every row of a page shows it to others.
const LONGEST_LABEL: usize = 200;
const LONGEST_MESSAGE: usize = 2_000;

/// What the directory knows of an asset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AssetTitle {
    pub(crate) name: Option<String>,
    pub(crate) reference: Option<String>,
}

impl AssetTitle {
    /// Both in one line; empty where nothing is known.
    pub(crate) fn line(&self) -> String {
        [&self.name, &self.reference].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" · ")
    }
}

/// A share as its page shows it. The owner's asset and the invitee are there only for who may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShownShare {
    pub(crate) share: String,
    pub(crate) owner: String,
    pub(crate) asset: Option<String>,
    pub(crate) names: AssetTitle,
    pub(crate) label: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) invitee: Option<String>,
    pub(crate) target_asset: Option<String>,
    pub(crate) streams: Vec<String>,
    pub(crate) profile: String,
    /// None of the built-in one, and where the profile is not known.
    pub(crate) profile_revision: Option<u32>,
    pub(crate) permission: &'static str,
    pub(crate) starts: Option<TimestampNs>,
    pub(crate) ends: Option<TimestampNs>,
    pub(crate) offer_expires: Option<TimestampNs>,
    pub(crate) message: Option<String>,
    pub(crate) offered_at: TimestampMs,
    pub(crate) accepted_at: Option<TimestampMs>,
    pub(crate) ended_at: Option<TimestampNs>,
    /// Who ended it, where its reason says so.
    pub(crate) ended_by: Option<String>,
    pub(crate) status: SharingStatus,
    /// Whether the one who looks is its owner, or the operator.
    pub(crate) is_own: bool,
    /// So that two things that differ are told apart by the script.
    pub(crate) revision: u32,
}

impl ShownShare {
    /// What this audience sees.
    pub(crate) fn of(document: &Document<'_>, audience: Audience, names: AssetTitle, status: SharingStatus) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let is_own = match audience {
            Audience::Owner => true,
            Audience::Target => false,
        };
        Self {
            share: document.share.to_owned(),
            owner: document.owner.to_owned(),
            asset: text(document.asset_for(audience)),
            names: if is_own { names } else { AssetTitle::default() },
            label: document.label.map(|label| cut(label, LONGEST_LABEL)),
            target: text(document.target_tenant),
            invitee: text(document.invitee_for(audience)),
            target_asset: text(document.target_asset),
            streams: document.streams.iter().map(|stream| (*stream).to_owned()).collect(),
            profile: document.profile.unwrap_or_default().to_owned(),
            profile_revision: None,
            permission: document.permission.word(),
            starts: document.starts,
            ends: document.ends,
            offer_expires: document.offer_expires,
            message: document.message.map(|message| cut(message, LONGEST_MESSAGE)),
            offered_at: document.offered_at,
            accepted_at: document.accepted_at,
            ended_at: document.ended_at,
            ended_by: match document.reason {
                Some(Reason::ByOperator) => Some("the operator".to_owned()),
                Some(Reason::ByTarget) => text(document.target_tenant),
                Some(Reason::PartnershipEnded) => Some("the end of the partnership".to_owned()),
                _ => None,
            },
            status,
            is_own,
            revision: document.revision,
        }
    }

    /// The machine, in the words of who looks: its own id, or the label, or its own id for it.
    pub(crate) fn machine(&self) -> &str {
        self.asset.as_deref().or(self.label.as_deref()).or(self.target_asset.as_deref()).unwrap_or("a machine")
    }

    /// Who gets it: a tenant, or an address.
    pub(crate) fn receiver(&self) -> &str {
        self.target.as_deref().or(self.invitee.as_deref()).unwrap_or("nobody yet")
    }

    /// The profile with its version.
    pub(crate) fn profile_line(&self) -> String {
        match self.profile_revision {
            Some(revision) => format!("{} v{revision}", self.profile),
            None => self.profile.clone(),
        }
    }
}

/// A profile that can be named in an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProfileChoice {
    pub(crate) name: String,
    pub(crate) revision: Option<u32>,
    /// The streams that it has a section for.
    pub(crate) streams: Vec<String>,
}

/// A text of others, as far as a page has room for it.
fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// One line of an address's query.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let escaped = pairs.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={}", escape(value)));
    let all: Vec<String> = escaped.collect();
    if all.is_empty() { String::new() } else { format!("?{}", all.join("&")) }
}

/// Percent-encoding of all but what RFC 3986 reserves for nothing.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_escape_what_ids_may_hold() {
        assert_eq!(query(&[("asset", "NW 7&q=é"), ("tab", "")]), "?asset=NW%207%26q%3D%C3%A9");
        assert_eq!(query(&[]), "");
    }

    #[test]
    fn a_long_text_of_others_is_cut() {
        assert_eq!((cut("äöü", 3).as_str(), cut("äöüß", 3).as_str(), cut("", 3).as_str()), ("äöü", "äöü…", ""));
    }
}
