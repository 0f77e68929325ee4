//! Lists: filters, pages, cursors.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use utoipa::IntoParams;

use crate::json::writer::{ObjectWriter, object};
use crate::serve::problem::Problem;
use crate::serve::rest::request::Asked;
use crate::serve::view::{SeenShare, ShareQuery};
use crate::serve::write::source_of;
use crate::share::state::{Permission, State};
use crate::share::view::by_tenant::ShareSide;
use crate::share::view::list::ShareFilter;

/// So many shares a page, unless the caller says otherwise.
const PAGE: usize = 100;
/// The most that it may say.
const LONGEST_PAGE: usize = 1000;
/// A page that has so many bytes is full: no rule limits an owner's label or message.
const LARGEST_PAGE: usize = 8 * 1024 * 1024;
/// The longest text that is looked for, in bytes.
pub(super) const LONGEST_SEARCH: usize = 256;
/// So much of the signature is in a cursor.
const TAG: usize = 16;

/// Which shares: of one parameter any value may fit, all parameters must. A parameter may be given again and again.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the document reads it")]
pub(crate) struct ShareParameters {
    /// The caller's side: `owner` or `target`. Not for the operator.
    #[param(pattern = "^(owner|target)$")]
    role: Option<String>,
    /// A state in lower or upper case, or several with commas.
    #[param(
        pattern = "^(failed|pending|active|paused|declined|cancelled|expired|revoked|left|FAILED|PENDING|ACTIVE|PAUSED|DECLINED|CANCELLED|EXPIRED|REVOKED|LEFT)(,(failed|pending|active|paused|declined|cancelled|expired|revoked|left|FAILED|PENDING|ACTIVE|PAUSED|DECLINED|CANCELLED|EXPIRED|REVOKED|LEFT))*$"
    )]
    state: Option<String>,
    /// `view`, `edit`, `manage`, or several with commas.
    #[param(pattern = "^(view|edit|manage)(,(view|edit|manage))*$")]
    permission: Option<String>,
    /// A stream that the share has.
    stream: Option<String>,
    /// The target tenant.
    target: Option<String>,
    /// The owner.
    owner: Option<String>,
    /// The asset: the owner's id, where the caller may see it, or the target's.
    asset: Option<String>,
    /// The profile.
    profile: Option<String>,
    /// The label.
    label: Option<String>,
    /// The address that it is offered to.
    invitee: Option<String>,
    /// A part of the asset's id, the label, the target or the address, in upper or lower case.
    #[param(max_length = 256)]
    q: Option<String>,
}

/// Which part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the document reads it")]
pub(crate) struct PageParameters {
    /// So many at most; 100 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the answer before. It is of the same filters and the same caller.
    #[param(pattern = "^[A-Za-z0-9_-]{23,}$")]
    cursor: Option<String>,
}

/// Which epoch is waited for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the document reads it")]
pub(crate) struct EpochParameters {
    /// The answer is of this epoch or a later one: it waits for it.
    min_epoch: Option<i64>,
}

const FILTERS: [&str; 11] = ["role", "state", "permission", "stream", "target", "owner", "asset", "profile", "label", "invitee", "q"];

/// The filters of a request.
pub(super) fn query(asked: &Asked, invited: Option<bool>, others: &[&str]) -> Result<ShareQuery, Problem> {
    let known: Vec<&str> = FILTERS.into_iter().chain(others.iter().copied()).collect();
    asked.knows(&known)?;
    let all = |name: &str| asked.query.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect::<Vec<_>>();
    let mut filter = ShareFilter {
        owners: all("owner"),
        targets: all("target"),
        streams: all("stream"),
        assets: all("asset"),
        profiles: all("profile"),
        labels: all("label"),
        invitees: all("invitee"),
        search: asked.parameter("q")?.filter(|text| !text.is_empty()).map(str::to_owned),
        ..ShareFilter::default()
    };
    if filter.search.as_ref().is_some_and(|text| text.len() > LONGEST_SEARCH) {
        return Err(Problem::of_member("q", format!("it has at most {LONGEST_SEARCH} bytes")));
    }
    for word in all("state").iter().flat_map(|words| words.split(',')) {
        let state = State::ALL.into_iter().find(|state| state.word().eq_ignore_ascii_case(word));
        let words = || State::ALL.map(|state| state.word().to_lowercase()).join(", ");
        filter.states.push(state.ok_or_else(|| Problem::of_member("state", format!("it is one of {}", words())))?);
    }
    for word in all("permission").iter().flat_map(|words| words.split(',')) {
        let words = || Permission::ALL.map(Permission::word).join(", ");
        filter
            .permissions
            .push(Permission::parse(word).ok_or_else(|| Problem::of_member("permission", format!("it is one of {}", words())))?);
    }
    let side = match (asked.parameter("role")?, asked.caller.is_operator()) {
        (None, _) => None,
        (Some(_), true) => return Err(Problem::of_member("role", "the operator has no side: say `owner` or `target`")),
        (Some("owner"), false) => Some(ShareSide::Owner),
        (Some("target"), false) => Some(ShareSide::Target),
        (Some(_), false) => return Err(Problem::of_member("role", "it is `owner` or `target`")),
    };
    Ok(ShareQuery { side, invited, filter })
}

/// One page of a list, as JSON.
pub(super) fn page(asked: &Asked, invited: Option<bool>) -> Result<Vec<u8>, Problem> {
    let query = query(asked, invited, &["limit", "cursor"])?;
    let limit = limit(asked)?;
    let before = asked.parameter("cursor")?.map(|cursor| opened(asked, invited, cursor)).transpose()?;
    let stale = || Problem::of_member("cursor", STALE);
    let page = asked.view.shares(&query, before.as_deref(), limit).ok_or_else(stale)?;
    let shows_address = invited == Some(true);
    let documents = some_of(page.shares.iter().map(|share| listed(*share, shows_address)));
    let is_cut = documents.len() < page.shares.len();
    let last = if is_cut { page.shares[..documents.len()].last().map(|last| last.id()) } else { page.next };
    let next = last.map(|last| cursor(asked, invited, last));
    Ok(object(|out| {
        out.array("shares", |shares| documents.iter().for_each(|document| shares.json(document)));
        out.text_if("next", next.as_deref());
    }))
}

/// The first of some documents, as many as a page holds: one at least.
fn some_of(documents: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for document in documents {
        bytes += document.len();
        page.push(document);
        if bytes > LARGEST_PAGE {
            break;
        }
    }
    page
}

/// A share in a list: its document, and in lists of invitations the address, which the document has no more once it was accepted.
pub(super) fn listed(share: SeenShare<'_>, shows_address: bool) -> Vec<u8> {
    let document = share.to_json();
    match share.invitee().filter(|_| shows_address) {
        Some(address) => with_members(document, |out| out.text("invited", address)),
        None => document,
    }
}

/// A JSON object with more members.
pub(super) fn with_members(mut document: Vec<u8>, more: impl FnOnce(&mut ObjectWriter<'_>)) -> Vec<u8> {
    let more = object(more);
    if more.len() > 2 {
        document.pop();
        document.push(b',');
        document.extend_from_slice(&more[1..]);
    }
    document
}

/// How many a page.
pub(super) fn limit(asked: &Asked) -> Result<usize, Problem> {
    match asked.parameter("limit")? {
        None => Ok(PAGE),
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LONGEST_PAGE).contains(limit))
            .ok_or_else(|| Problem::of_member("limit", format!("it is a whole number from 1 to {LONGEST_PAGE}"))),
    }
}

const STALE: &str = "it is no cursor of this list: begin without one";

/// Where a page ends: the last thing's own name, which the caller has seen, signed for the caller and its filters.
pub(super) fn cursor(asked: &Asked, invited: Option<bool>, last: &str) -> String {
    let mut bytes = tag(asked, invited, last).to_vec();
    bytes.extend_from_slice(last.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The name in a cursor.
pub(super) fn opened(asked: &Asked, invited: Option<bool>, cursor: &str) -> Result<String, Problem> {
    let stale = || Problem::of_member("cursor", STALE);
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| stale())?;
    let (tag_of, last) = bytes.split_at_checked(TAG).ok_or_else(stale)?;
    let last = std::str::from_utf8(last).map_err(|_| stale())?;
    let own = tag(asked, invited, last);
    let differs = own.iter().zip(tag_of).fold(0, |differs, (one, two)| differs | (one ^ two));
    if std::hint::black_box(differs) == 0 { Ok(last.to_owned()) } else { Err(stale()) }
}

fn tag(asked: &Asked, invited: Option<bool>, last: &str) -> [u8; TAG] {
    let mut mac = Hmac::<Sha256>::new_from_slice(asked.serve.secret()).unwrap_or_else(|_| unreachable!("a key of any length is one"));
    let mut add = |text: &str| {
        mac.update(&(text.len() as u64).to_le_bytes());
        mac.update(text.as_bytes());
    };
    add("cursor");
    add(&source_of(&asked.caller));
    add(match invited {
        None => "all",
        Some(true) => "invited",
        Some(false) => "not invited",
    });
    let mut filters: Vec<&(String, String)> =
        asked.query.iter().filter(|(name, _)| !["limit", "cursor", "min_epoch"].contains(&name.as_str())).collect();
    filters.sort();
    for (name, value) in filters {
        add(name);
        add(value);
    }
    add(last);
    let mut tag = [0; TAG];
    tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG]);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_full_ends_and_one_document_fits_always() {
        let counted = |sizes: &[usize]| some_of(sizes.iter().map(|size| vec![0; *size])).len();
        assert_eq!(counted(&[]), 0);
        assert_eq!(counted(&[LARGEST_PAGE + 1, 1]), 1);
        assert_eq!(counted(&[LARGEST_PAGE, 1, 1]), 2);
        assert_eq!(counted(&[1; 1000]), 1000);
    }
}
