//! Why an event would be refused, in a sentence: what was found, which share or tenant it is about, and what to do instead.
//!
//! The sentence is for those who are about to write the event. What a tenant may not see of a share is not in it.

use crate::document::Node;
use crate::share::event::kind::EventType;
use crate::share::lifecycle::context::RuleContext;
use crate::share::state::{Reason, State};
use crate::share::status::Document;
use crate::share::table::ShareTable;
use crate::share::table::parties::Bonded;
use crate::share::table::query::ShareView;
use crate::time::{TimestampMs, TimestampNs};

/// An event that was tried.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// `source`.
    pub source: &'a str,
    /// Its type.
    pub kind: EventType,
    /// `data`.
    pub data: &'a Node,
    /// When it was tried.
    pub now: TimestampMs,
}

/// So many names are listed; a list of all would hide the sentence.
const NAMES_SHOWN: usize = 8;
/// Above this many shares no near id is looked for: it would take longer than the trial.
const SHARES_COMPARED: u64 = 50_000;

impl<'a> Attempt<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.data.get(name).and_then(Node::as_str)
    }

    fn texts(&self, name: &str) -> Vec<&'a str> {
        self.data.get(name).and_then(Node::as_list).into_iter().flatten().filter_map(Node::as_str).collect()
    }

    fn moment(&self, name: &str) -> Option<TimestampNs> {
        self.text(name).and_then(TimestampNs::parse_rfc3339)
    }

    /// The tenant that acts; none for the operator.
    fn actor(&self) -> Option<&'a str> {
        self.source.strip_prefix("/tenants/")
    }

    fn share<'t>(&self, table: &'t ShareTable) -> Option<ShareView<'t>> {
        // An offer's own share, if there is one of its id, is another one.
        self.text("share").filter(|_| self.kind != EventType::ShareOffered).and_then(|id| table.share(id))
    }

    /// Owner and target, where the event or its share names them.
    fn parties<'p>(&self, document: Option<&Document<'p>>) -> (Option<&'p str>, Option<&'p str>)
    where
        'a: 'p,
    {
        let owner = document.map(|document| document.owner).or_else(|| self.actor().or_else(|| self.text("owner")));
        let accepting = if self.kind == EventType::ShareAccepted { self.text("target_tenant").or_else(|| self.actor()) } else { None };
        let target = document.and_then(|document| document.target_tenant).or(accepting).or_else(|| self.text("target_tenant"));
        (owner, target)
    }

    /// The two of a partnership, the acting side first.
    fn pair(&self) -> Option<(&'a str, &'a str)> {
        let tenants = self.texts("tenants");
        match (self.actor(), self.text("partner"), tenants.as_slice()) {
            (Some(acting), Some(partner), _) => Some((acting, partner)),
            (_, _, [a, b]) => Some((a, b)),
            _ => None,
        }
    }
}

/// The sentence.
pub fn explain(table: &ShareTable, attempt: &Attempt<'_>, reason: Reason) -> String {
    let share = attempt.share(table);
    let document = share.map(ShareView::document);
    let document = document.as_ref();
    let (owner, target) = attempt.parties(document);
    let (owner, target) = (owner.unwrap_or("the owner"), target.unwrap_or("the target"));
    match reason {
        Reason::UnknownShare => unknown_share(table, attempt),
        Reason::WrongState if attempt.kind.is_of_share() => wrong_state(attempt.kind, document),
        Reason::WrongState | Reason::NoPartnership if attempt.pair().is_some() => partnership(table, attempt),
        Reason::WrongState if attempt.kind == EventType::ControlSkipped => not_waiting(table),
        Reason::WrongState if attempt.kind == EventType::ProfileRetired => "the profile is retired already".to_owned(),
        Reason::OfferLapsed => {
            let when = document.and_then(|document| document.offer_expires).map(|at| format!(" at {at}")).unwrap_or_default();
            format!("the offer lapsed{when}: only a new one (`share offer`) can be accepted")
        }
        Reason::AccessEnded => {
            let when = document.and_then(|document| document.ends).map(|at| format!(" at {at}")).unwrap_or_default();
            format!("access ended{when} by its time: to share again, offer again (`share offer`)")
        }
        Reason::NotOwner => not_owner(attempt, document),
        Reason::NotTarget => not_target(attempt, document),
        Reason::NotOperator => format!("{}: leave --as out", reason.in_words()),
        Reason::NoPartnership if share.is_some_and(ShareView::is_overtaken_invitation) => format!(
            "{owner} and {target} ended their partnership after this invitation was sent: `share resend` by {owner} makes it good again"
        ),
        Reason::NoPartnership => format!(
            "{owner} and {target} are neither partners nor in one line of the tenant tree: `partnership offer {target} --as {owner}` offers \
             a partnership, and {target} accepts it"
        ),
        Reason::TenantSuspended => {
            let is_suspended = |id: &&str| table.known_tenant(id).is_some_and(|tenant| tenant.is_suspended);
            let suspended: Vec<&str> = [owner, target].into_iter().filter(is_suspended).collect();
            let who = if suspended.is_empty() { "one of the tenants is".to_owned() } else { format!("{} is", suspended.join(" and ")) };
            format!("{who} suspended: the operator lifts it with `tenant update TENANT --unsuspend`")
        }
        Reason::UnknownProfile => unknown_profile(table, attempt, owner, document),
        Reason::StreamNotInProfile => stream_not_in_profile(table, attempt, owner, document),
        Reason::UnknownStream => unknown_stream(table, attempt),
        Reason::MoreThanOffered => {
            let offered = document.map(|document| document.streams.clone()).unwrap_or_default();
            let more: Vec<&str> = attempt.texts("streams").into_iter().filter(|stream| !offered.contains(stream)).collect();
            format!("{} is not among the streams that were offered: {}", listed(&more), listed(&offered))
        }
        Reason::InvalidWindow => window(attempt, document),
        Reason::TargetInUse => target_in_use(table, attempt, document, target),
        Reason::WrongCode if attempt.text("code").is_none() => {
            "it is an invitation: accept it with the code that came by mail (--code)".to_owned()
        }
        Reason::WrongCode => {
            "the code is not the one that was mailed last: `share resend`, by its owner, makes and mails a new one".to_owned()
        }
        Reason::SelfShare => {
            let own = attempt.pair().map_or(owner, |(acting, _)| acting);
            format!("{own} stands on both sides: name another tenant")
        }
        Reason::DuplicateShare => format!("{}: choose another, or leave --share out for a random one", reason.in_words()),
        Reason::TenantCycle => {
            let (tenant, parent) = (attempt.text("tenant").unwrap_or_default(), attempt.text("parent").unwrap_or_default());
            format!("{}: {parent} is {tenant} itself, or stands below it", reason.in_words())
        }
        Reason::InvalidProfile if attempt.text("profile") == Some("all") => {
            "the profile `all` is built in and cannot be published: choose another name".to_owned()
        }
        // What needs no more than its own words.
        Reason::WrongState
        | Reason::InvalidId
        | Reason::InvalidProfile
        | Reason::InvalidEvent
        | Reason::IdReused
        | Reason::PartnershipEnded
        | Reason::ByOwner
        | Reason::ByTarget
        | Reason::ByOperator => reason.in_words().to_owned(),
    }
}

fn unknown_share(table: &ShareTable, attempt: &Attempt<'_>) -> String {
    let near = near_share(table, attempt).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    format!("{}{near}", Reason::UnknownShare.in_words())
}

/// The share whose id is nearest: one that the text begins, as half of an id does that was pasted, or of which few letters differ. A
/// tenant is told of its own alone.
fn near_share<'t>(table: &'t ShareTable, attempt: &Attempt<'_>) -> Option<&'t str> {
    let wanted = attempt.text("share")?;
    if table.states().map(|(_, count)| count).sum::<u64>() > SHARES_COMPARED {
        return None;
    }
    let is_seen = |document: &Document<'_>| {
        attempt
            .actor()
            .is_none_or(|actor| document.owner == actor || document.target_tenant == Some(actor) && document.state != State::Failed)
    };
    let documents = table.shares().map(ShareView::document).filter(is_seen).map(|document| document.share);
    let near = |id: &'t str| {
        let is_beginning = wanted.len() >= 4 && id.starts_with(wanted);
        let is_comparable = wanted.len() >= 2 && id.len().abs_diff(wanted.len()) <= 2;
        let distance = match (is_beginning, is_comparable) {
            (true, _) => 0,
            (false, true) => strsim::damerau_levenshtein(wanted, id),
            (false, false) => return None,
        };
        (distance <= 2.min(wanted.len() / 3).max(1)).then_some((distance, id))
    };
    documents.filter_map(near).min().map(|(_, id)| id)
}

/// How a share stands: its state, with the reason and since when where there is one.
pub fn standing(document: &Document<'_>) -> String {
    let reason = document.reason.map(|reason| format!(" ({})", reason.code())).unwrap_or_default();
    let holders: Vec<&str> = document.paused_by.words().collect();
    let by = if document.state == State::Paused { format!(" (by {})", holders.join(", ")) } else { String::new() };
    let since = document.ended_at.map(|at| format!(" since {at}")).unwrap_or_default();
    format!("{}{reason}{by}{since}", document.state.word())
}

fn wrong_state(kind: EventType, document: Option<&Document<'_>>) -> String {
    let Some(document) = document else { return Reason::WrongState.in_words().to_owned() };
    let needed = match kind {
        EventType::ShareAccepted => "only a PENDING offer can be accepted",
        EventType::ShareDeclined if document.state.is_live() => "only a PENDING offer can be declined; `share leave` ends it",
        EventType::ShareDeclined => "only a PENDING offer can be declined",
        EventType::ShareCancelled if document.state.is_live() => "only a PENDING offer can be taken back; `share revoke` ends it",
        EventType::ShareCancelled => "only a PENDING offer can be taken back",
        EventType::ShareResent => "only a PENDING offer can be sent again; `share offer` makes a new one",
        EventType::ShareRevoked if document.state == State::Pending => "it is not accepted yet; `share cancel` takes the offer back",
        EventType::ShareRevoked => "it has ended already",
        EventType::ShareLeft if document.state == State::Pending => "it is not accepted yet; `share decline` says no to it",
        EventType::ShareLeft => "it has ended already",
        EventType::SharePaused | EventType::ShareResumed if document.state == State::Pending => "it is not accepted yet",
        EventType::SharePaused => "only a share that is ACTIVE, or PAUSED by others, can be paused",
        EventType::ShareResumed => "only a share that is PAUSED can be resumed",
        EventType::ShareUpdated => "only a share that is PENDING, ACTIVE or PAUSED can be changed",
        EventType::ShareOffered
        | EventType::ShareExpired
        | EventType::TenantUpdated
        | EventType::PartnershipEstablished
        | EventType::PartnershipOffered
        | EventType::PartnershipAccepted
        | EventType::PartnershipDeclined
        | EventType::PartnershipEnded
        | EventType::ProfilePublished
        | EventType::ProfileRetired
        | EventType::ControlSkipped
        | EventType::ControlConfigured
        | EventType::ControlTick => Reason::WrongState.in_words(),
    };
    format!("it is {}: {needed}", standing(document))
}

fn partnership(table: &ShareTable, attempt: &Attempt<'_>) -> String {
    let Some((acting, partner)) = attempt.pair() else { return Reason::NoPartnership.in_words().to_owned() };
    match table.partnership_between(acting, partner).map(|pair| pair.bond) {
        None => format!("{acting} and {partner} have no partnership, and none is offered"),
        Some(Bonded::OfferedBy(by)) if by == acting => format!("{acting} has offered a partnership, which {partner} has not accepted yet"),
        Some(Bonded::OfferedBy(by)) => format!("{by} has offered a partnership already: `partnership accept` takes it"),
        Some(Bonded::Active { .. }) => format!("{acting} and {partner} are partners already"),
    }
}

fn not_waiting(table: &ShareTable) -> String {
    match table.unreadable_offsets() {
        [] => "no control record waits to be skipped".to_owned(),
        waiting => {
            let offsets: Vec<String> = waiting.iter().take(NAMES_SHOWN).map(ToString::to_string).collect();
            format!("no control record waits at this offset; one waits at {}", offsets.join(", "))
        }
    }
}

fn not_owner(attempt: &Attempt<'_>, document: Option<&Document<'_>>) -> String {
    let Some(actor) = attempt.actor() else { return Reason::NotOwner.in_words().to_owned() };
    let is_target = document.is_some_and(|document| document.target_tenant == Some(actor));
    match attempt.kind {
        EventType::ShareUpdated if is_target => format!("{actor} is its target and may change --target-asset alone"),
        EventType::ShareRevoked if is_target => format!("{actor} is its target: `share leave` ends it from this side"),
        EventType::ShareCancelled if is_target => format!("{actor} is its target: `share decline` says no to it"),
        EventType::SharePaused | EventType::ShareResumed => format!("only its owner and its target may do this, and {actor} is neither"),
        _ => format!("only its owner may do this, and {actor} is not"),
    }
}

fn not_target(attempt: &Attempt<'_>, document: Option<&Document<'_>>) -> String {
    let is_invitation = document.is_some_and(|document| document.invitee.is_some() && document.target_tenant.is_none());
    match attempt.actor() {
        None if is_invitation && attempt.kind == EventType::ShareAccepted => {
            "it is an invitation: say who accepts it, with --as TENANT and --code, or as the operator with --target-tenant".to_owned()
        }
        None => "another tenant is its target".to_owned(),
        Some(actor) if document.is_some_and(|document| document.owner == actor) => {
            let instead = match attempt.kind {
                EventType::ShareDeclined => ": `share cancel` takes the offer back",
                EventType::ShareLeft => ": `share revoke` ends it from this side",
                _ => "",
            };
            format!("only its target may do this, and {actor} is its owner{instead}")
        }
        Some(actor) => format!("only its target may do this, and {actor} is not"),
    }
}

fn unknown_profile(table: &ShareTable, attempt: &Attempt<'_>, owner: &str, document: Option<&Document<'_>>) -> String {
    let named = attempt.text("profile").or(document.and_then(|document| document.profile)).unwrap_or_default();
    let mut names: Vec<&str> =
        table.profiles().filter(|profile| profile.owner == owner && !profile.is_retired).map(|profile| profile.name).collect();
    names.sort_unstable();
    let has = match names.as_slice() {
        [] => "it has published none; `profile publish` does".to_owned(),
        names => format!("it has {}", listed(names)),
    };
    format!("{owner} has published no profile {named}, or has retired it: {has}")
}

fn stream_not_in_profile(table: &ShareTable, attempt: &Attempt<'_>, owner: &str, document: Option<&Document<'_>>) -> String {
    let profile = attempt.text("profile").or(document.and_then(|document| document.profile)).unwrap_or_default();
    let slot = table.profile(table.tenant(owner), profile);
    let has_section = |stream| slot.is_some_and(|slot| table.has_section(slot, stream));
    let streams = attempt.texts("streams");
    let streams = if streams.is_empty() { document.map(|document| document.streams.clone()).unwrap_or_default() } else { streams };
    let lacks = |stream: &&str| table.stream(stream).is_none_or(|stream| !has_section(stream));
    let missing: Vec<&str> = streams.into_iter().filter(lacks).collect();
    let has: Vec<&str> =
        table.configured_streams().filter(|stream| has_section(*stream)).map(|stream| table.stream_name(stream).as_str()).collect();
    format!("profile {profile} has no section for {}: it has {}", listed(&missing), listed(&has))
}

fn unknown_stream(table: &ShareTable, attempt: &Attempt<'_>) -> String {
    let unknown: Vec<&str> = attempt.texts("streams").into_iter().filter(|stream| table.stream(stream).is_none()).collect();
    let known: Vec<&str> = table.configured_streams().map(|stream| table.stream_name(stream).as_str()).collect();
    let known = if known.is_empty() { "none is (-c FILE)".to_owned() } else { format!("there are {}", listed(&known)) };
    match unknown.as_slice() {
        [] => format!("no stream is named; {known}"),
        unknown => format!("{} is not configured: {known}", listed(unknown)),
    }
}

fn window(attempt: &Attempt<'_>, document: Option<&Document<'_>>) -> String {
    // An update without a new one keeps what the share has.
    let of = |name: &str, kept: Option<TimestampNs>| if attempt.data.get(name).is_some() { attempt.moment(name) } else { kept };
    let starts = of("starts", document.and_then(|document| document.starts));
    let ends = of("ends", document.and_then(|document| document.ends));
    let expires = attempt.moment("offer_expires");
    let is_past = |moment: &TimestampNs| *moment <= attempt.now.moment();
    if let Some((starts, ends)) = starts.zip(ends).filter(|(starts, ends)| starts >= ends) {
        return format!("access would begin at {starts}, which is not before its end at {ends}");
    }
    if let Some(ends) = ends.filter(is_past) {
        return format!("access would end at {ends}, which is past: it is {}", attempt.now);
    }
    match expires.filter(is_past) {
        Some(expires) => format!("the offer would lapse at {expires}, which is past: it is {}", attempt.now),
        None => "the offer would lapse after the year 9999: say --offer-expires".to_owned(),
    }
}

fn target_in_use(table: &ShareTable, attempt: &Attempt<'_>, document: Option<&Document<'_>>, target: &str) -> String {
    let own = document.map(|document| document.share);
    let named = attempt.text("target_asset").or(document.and_then(|document| document.target_asset)).or_else(|| attempt.text("asset"));
    let asset = named.unwrap_or_default();
    let streams = attempt.texts("streams");
    let streams = if streams.is_empty() { document.map(|document| document.streams.clone()).unwrap_or_default() } else { streams };
    let feeds = |other: &Document<'_>| {
        other.state.is_live()
            && own != Some(other.share)
            && other.target_tenant == Some(target)
            && other.target_asset == Some(asset)
            && other.streams.iter().any(|stream| streams.contains(stream))
    };
    let other = table.live_shares_at(target, asset).map(ShareView::document).find(feeds);
    // The owner of one share is not told of another's.
    let is_told = other.as_ref().is_some_and(|other| attempt.actor().is_none_or(|actor| [other.owner, target].contains(&actor)));
    let which = other.filter(|_| is_told).map_or("another live share".to_owned(), |other| format!("share {}", other.share));
    format!("{which} feeds {asset} of {target} with the same stream already: end that one, or choose another --target-asset")
}

fn listed(names: &[&str]) -> String {
    let more = if names.len() > NAMES_SHOWN { format!(" and {} more", names.len() - NAMES_SHOWN) } else { String::new() };
    format!("{}{more}", names.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::document::parse;
    use crate::share::tests::fixture::World;

    /// What is said of an event that the fold refuses.
    fn said(world: &mut World, actor: &str, kind: &str, data: &str) -> String {
        let source = if actor == "operator" { "/operator".to_owned() } else { format!("/tenants/{actor}") };
        let data = parse(data.as_bytes()).unwrap();
        let kind = EventType::parse(&format!("sharecast.{kind}.v1")).unwrap();
        let reason = match world.send(actor, kind.name(), &String::from_utf8(written(&data)).unwrap()).outcome {
            crate::share::table::Outcome::Rejected(code) => Reason::of_code(code).unwrap(),
            _ => {
                let id = data.get("share").and_then(Node::as_str).unwrap();
                world.table.share(id).unwrap().document().reason.unwrap()
            }
        };
        explain(&world.table, &Attempt { source: &source, kind, data: &data, now: world.now }, reason)
    }

    fn written(data: &Node) -> Vec<u8> {
        let mut out = Vec::new();
        crate::json::document::write(data, &mut out);
        out
    }

    #[test]
    fn an_invitation_that_an_end_overtook_is_sent_again() {
        let mut world = World::partners();
        world.ok("operator", "control.configured", r#"{"streams":{"telemetry":"append"},"partnerships":"invited"}"#);
        let hash = crate::share::event::invitation_code::CodeHash::of("k");
        let data =
            format!(r#"{{"share":"s1","asset":"A","invitee":"a@b.example","code_hash":"{hash}","streams":["telemetry"],"profile":"all"}}"#);
        world.ok("acme", "share.offered", &data);
        world.ok("acme", "partnership.ended", r#"{"partner":"zenith"}"#);
        let words = said(&mut world, "zenith", "share.accepted", r#"{"share":"s1","code":"k"}"#);
        assert!(words.contains("after this invitation was sent: `share resend` by acme"), "{words}");
        let data = r#"{"share":"s2","asset":"A","target_tenant":"zenith","streams":["telemetry"],"profile":"all"}"#;
        let words = said(&mut world, "acme", "share.offered", data);
        assert!(words.contains("neither partners"), "{words}");
    }

    #[test]
    fn each_sentence_says_what_was_found() {
        let mut world = World::partners();
        world.offer("rental-7", "");
        let offer =
            |more: &str| format!(r#"{{"share":"s9","asset":"x","target_tenant":"zenith","streams":["telemetry"],"profile":"hire"{more}}}"#);
        for (actor, kind, data, expected) in [
            ("acme", "share.revoked", r#"{"share":"rental-8"}"#.to_owned(), "no such share; did you mean rental-7?"),
            ("acme", "share.revoked", r#"{"share":"rent"}"#.to_owned(), "did you mean rental-7?"),
            ("other", "share.revoked", r#"{"share":"rental-8"}"#.to_owned(), "there is no such share"),
            ("acme", "share.revoked", r#"{"share":"rental-7"}"#.to_owned(), "it is PENDING: it is not accepted yet; `share cancel`"),
            ("zenith", "share.revoked", r#"{"share":"rental-7"}"#.to_owned(), "zenith is its target: `share leave`"),
            ("acme", "share.left", r#"{"share":"rental-7"}"#.to_owned(), "acme is its owner: `share revoke`"),
            ("other", "share.accepted", r#"{"share":"rental-7"}"#.to_owned(), "and other is not"),
            ("zenith", "share.updated", r#"{"share":"rental-7","label":"x"}"#.to_owned(), "may change --target-asset alone"),
            ("acme", "share.offered", offer(r#","profile":"hyre""#), "acme has published no profile hyre, or has retired it: it has hire"),
            ("acme", "share.offered", offer(r#","share":"s8","target_tenant":"moon""#), "acme and moon are neither partners"),
            ("acme", "share.offered", offer(r#","share":"s7","streams":["other"]"#), "other is not configured: there are telemetry"),
            (
                "acme",
                "share.offered",
                offer(r#","share":"s6","ends":"2020-01-01T00:00:00Z""#),
                "would end at 2020-01-01T00:00:00Z, which is past",
            ),
            (
                "acme",
                "share.offered",
                offer(r#","share":"s5","starts":"2029-01-01T00:00:00Z","ends":"2028-01-01T00:00:00Z""#),
                "begin at 2029-01-01T00:00:00Z, which is not before its end at 2028",
            ),
            ("acme", "partnership.ended", r#"{"partner":"moon"}"#.to_owned(), "acme and moon have no partnership"),
            ("acme", "partnership.offered", r#"{"partner":"zenith"}"#.to_owned(), "are partners already"),
            ("acme", "tenant.updated", r#"{"tenant":"acme"}"#.to_owned(), "leave --as out"),
            ("operator", "control.skipped", r#"{"offset":3,"note":"n"}"#.to_owned(), "no control record waits"),
        ] {
            let said = said(&mut world, actor, kind, &data);
            assert!(said.contains(expected), "{kind}: {said}");
        }
        assert!(!said(&mut world, "other", "share.revoked", r#"{"share":"rental-8"}"#).contains("rental-7"), "not a stranger's to know");
        world.ok("zenith", "share.accepted", r#"{"share":"rental-7"}"#);
        world.ok("acme", "share.revoked", r#"{"share":"rental-7"}"#);
        let said = said(&mut world, "acme", "share.paused", r#"{"share":"rental-7"}"#);
        assert!(said.starts_with("it is REVOKED (by_owner) since 2"), "{said}");
    }
}
