//! Whether a share is already as an event would make it: then a bulk run that is repeated has nothing to write for it.

use crate::document::Node;
use crate::share::event::kind::EventType;
use crate::share::state::{Holders, State};
use crate::share::status::Document;

/// Whether `share` is as this sender's event of this content would make it. Never of an offer, and never of a resend or an update,
/// of which only folding tells.
pub(super) fn is_already(share: &Document<'_>, kind: EventType, source: &str, data: &Node) -> bool {
    let acting = source.strip_prefix("/tenants/");
    let is_party = |tenant: Option<&str>| acting.is_none() || acting == tenant;
    let (is_owner, is_target) = (is_party(Some(share.owner)), is_party(share.target_tenant));
    match kind {
        EventType::ShareAccepted => is_target && share.state.is_live() && is_accepted_so(share, data),
        EventType::ShareDeclined => is_target && share.state == State::Declined,
        EventType::ShareLeft => is_target && share.state == State::Left,
        EventType::ShareCancelled => is_owner && share.state == State::Cancelled,
        EventType::ShareRevoked => is_owner && share.state == State::Revoked,
        EventType::SharePaused => (is_owner || is_target) && share.paused_by.meets(held(share, acting)),
        EventType::ShareResumed => (is_owner || is_target) && share.state.is_live() && !share.paused_by.meets(lifted(share, acting)),
        _ => false,
    }
}

/// An acceptance that asks for something else is none.
fn is_accepted_so(share: &Document<'_>, data: &Node) -> bool {
    let text = |name: &str| data.get(name).and_then(Node::as_str);
    let names_all = |streams: &[Node]| {
        let named = |stream: &str| streams.iter().any(|node| node.as_str() == Some(stream));
        share.streams.iter().all(|stream| named(stream))
            && streams.iter().all(|node| node.as_str().is_some_and(|s| share.streams.contains(&s)))
    };
    text("target_asset").is_none_or(|asset| share.target_asset == Some(asset))
        && text("target_tenant").is_none_or(|tenant| share.target_tenant == Some(tenant))
        && data.get("streams").and_then(Node::as_list).is_none_or(names_all)
}

/// The pause that this sender holds (docs/rules/shares.md#pauses).
fn held(share: &Document<'_>, acting: Option<&str>) -> Holders {
    match acting {
        None => Holders::OPERATOR,
        Some(tenant) if tenant == share.owner => Holders::OWNER,
        Some(_) => Holders::TARGET,
    }
}

/// The pauses that this sender's resume lifts.
fn lifted(share: &Document<'_>, acting: Option<&str>) -> Holders {
    match acting {
        None => Holders::OPERATOR.with(Holders::OWNER).with(Holders::TARGET),
        Some(_) => held(share, acting),
    }
}
