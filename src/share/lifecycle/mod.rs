//! The rules of a share's life (docs/rules/shares.md): decide first, then do.
//!
//! `decide` and `check_offer` look only; what they return the table carries out. Checks are in the order of
//! docs/rules/shares.md#order-of-checks.

pub(crate) mod context;
pub(crate) mod record;

use super::profile_slot::ProfileSlot;
use super::state::{ExpiryCause, Holders, Reason, State};
use crate::id::{AssetId, ProfileName, StreamName, TenantId};
use crate::share::event::invitation_code::CodeHash;
use crate::share::event::payload::{Acceptance, Offer, ShareAction, Update};
use crate::share::lifecycle::context::{Actor, Party, RuleContext, TargetSlot};
use crate::share::lifecycle::record::Share;
use crate::share::stream_lists::StreamNumber;
use crate::time::{TimestampMs, TimestampNs};

/// What follows from an event on a share.
#[derive(Debug)]
pub(crate) enum Transition<'a> {
    /// The offer's clock starts again and stops at this moment, if there is one; an invitation has this code from now on, if there is
    /// one.
    Resend(Option<TimestampNs>, Option<CodeHash>),
    /// It becomes ACTIVE, and before that owner and target partners, if that is needed and may be.
    Accept { target: Party<'a>, target_asset: Option<&'a str>, streams: Option<Vec<StreamNumber>>, makes_partners: bool },
    /// It ends now.
    End(State, Reason),
    /// Its fields change.
    Update { update: &'a Update<'a>, streams: Option<Vec<StreamNumber>>, profile: Option<ProfileSlot> },
    /// Somebody holds a pause.
    Hold(Holders),
    /// These hold theirs no longer.
    Release(Holders),
    /// Its time is recorded.
    Expire(ExpiryCause),
}

/// What an offer becomes if no rule is broken.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) streams: Vec<StreamNumber>,
    pub(crate) profile: ProfileSlot,
    /// It is accepted in the same event.
    pub(crate) is_accepted: bool,
}

/// The rules of an offer that is not rejected; the reason makes it FAILED.
pub(crate) fn check_offer(
    offer: &Offer<'_>,
    owner: Party<'_>,
    target: Option<Party<'_>>,
    now: TimestampMs,
    around: &impl RuleContext,
) -> Result<Offered, Reason> {
    if !offer_ids_are_valid(offer) {
        return Err(Reason::InvalidId);
    }
    if target.is_some_and(|t| t.id == owner.id) {
        return Err(Reason::SelfShare);
    }
    if around.is_suspended(owner.number) || target.is_some_and(|t| around.is_suspended(t.number)) {
        return Err(Reason::TenantSuspended);
    }
    let bond = target.map(|t| around.bond(owner.number, t.number));
    if bond.is_some_and(|bond| !bond.may_share) {
        return Err(Reason::NoPartnership);
    }
    let streams = resolve(&offer.streams, around)?;
    let profile = around.profile(owner.number, offer.profile).ok_or(Reason::UnknownProfile)?;
    check_sections(&streams, profile, around)?;
    let is_past = |moment: Option<TimestampNs>| moment.is_some_and(|m| m <= now.moment());
    if !is_window(offer.starts, offer.ends) || is_past(offer.ends) || is_past(offer.offer_expires) {
        return Err(Reason::InvalidWindow);
    }
    let is_accepted = bond.is_some_and(|bond| bond.is_automatic);
    let place = TargetSlot { target: target.and_then(|t| t.number), asset: offer.target_asset.unwrap_or(offer.asset), streams: &streams };
    if is_accepted && around.is_taken(place, None, now) {
        return Err(Reason::TargetInUse);
    }
    Ok(Offered { streams, profile, is_accepted })
}

/// Whether the ids in an event on a share are in rule; the share's own is not among them.
pub(crate) fn deed_ids_are_valid(deed: &ShareAction<'_>) -> bool {
    let are_streams = |streams: &Option<Vec<&str>>| streams.iter().flatten().all(|s| StreamName::is_valid(s));
    match deed {
        ShareAction::Accept(a) => {
            a.target_asset.is_none_or(AssetId::is_valid) && a.target_tenant.is_none_or(TenantId::is_valid) && are_streams(&a.streams)
        }
        ShareAction::Update(u) => {
            u.target_asset.is_none_or(AssetId::is_valid) && u.profile.is_none_or(ProfileName::is_valid) && are_streams(&u.streams)
        }
        _ => true,
    }
}

fn offer_ids_are_valid(offer: &Offer<'_>) -> bool {
    AssetId::is_valid(offer.asset)
        && offer.target_tenant.is_none_or(TenantId::is_valid)
        && offer.target_asset.is_none_or(AssetId::is_valid)
        && ProfileName::is_valid(offer.profile)
        && offer.streams.iter().all(|s| StreamName::is_valid(s))
}

/// Decides an event on a share that is there, its ids in rule.
pub(crate) fn decide<'a>(
    share: &Share,
    deed: &'a ShareAction<'a>,
    actor: Actor<'a>,
    now: TimestampMs,
    around: &impl RuleContext,
) -> Result<Transition<'a>, Reason> {
    let side = side(share, actor);
    check_side(deed, side)?;
    match deed {
        ShareAction::Resend(expires, code) => resend(share, *expires, *code, now),
        ShareAction::Accept(acceptance) => accept(share, acceptance, actor, now, around),
        ShareAction::Decline => {
            check_open(share, now)?;
            Ok(Transition::End(State::Declined, by(side)))
        }
        ShareAction::Cancel => {
            check_open(share, now)?;
            Ok(Transition::End(State::Cancelled, by(side)))
        }
        ShareAction::Leave => {
            check_begun(share)?;
            Ok(Transition::End(State::Left, by(side)))
        }
        ShareAction::Revoke => {
            check_begun(share)?;
            Ok(Transition::End(State::Revoked, by(side)))
        }
        ShareAction::Update(update) => self::update(share, update, now, around),
        ShareAction::Pause => pause(share, side),
        ShareAction::Resume => resume(share, side, now),
        ShareAction::Expire(cause) => expire(share, *cause, now),
    }
}

/// What somebody is to a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Operator,
    Engine,
    Owner,
    Target,
    Other,
}

fn side(share: &Share, actor: Actor<'_>) -> Side {
    match actor {
        Actor::Operator => Side::Operator,
        Actor::Engine => Side::Engine,
        Actor::Tenant(_, Some(number)) if number == share.owner => Side::Owner,
        Actor::Tenant(_, number) if number.is_some() && number == share.target() => Side::Target,
        Actor::Tenant(..) => Side::Other,
    }
}

fn by(side: Side) -> Reason {
    match side {
        Side::Owner => Reason::ByOwner,
        Side::Target => Reason::ByTarget,
        _ => Reason::ByOperator,
    }
}

/// Whether this side may do it (docs/rules/shares.md#who-may-do-what); an acceptance names its target itself and is checked there.
fn check_side(deed: &ShareAction<'_>, side: Side) -> Result<(), Reason> {
    let (is_allowed, reason) = match deed {
        ShareAction::Accept(_) => (true, Reason::NotTarget),
        ShareAction::Decline | ShareAction::Leave => (side == Side::Target, Reason::NotTarget),
        ShareAction::Resend(..) | ShareAction::Cancel | ShareAction::Revoke => (side == Side::Owner, Reason::NotOwner),
        ShareAction::Update(update) => (side == Side::Owner || (side == Side::Target && !update.is_for_owner()), Reason::NotOwner),
        ShareAction::Pause | ShareAction::Resume => (matches!(side, Side::Owner | Side::Target), Reason::NotOwner),
        ShareAction::Expire(_) => (side == Side::Engine, Reason::NotOperator),
    };
    if is_allowed || side == Side::Operator { Ok(()) } else { Err(reason) }
}

/// PENDING and not lapsed.
fn check_open(share: &Share, now: TimestampMs) -> Result<(), Reason> {
    match share.state {
        State::Pending if share.has_lapsed(now) => Err(Reason::OfferLapsed),
        State::Pending => Ok(()),
        _ => Err(Reason::WrongState),
    }
}

/// ACTIVE, PAUSED or EXPIRED (access): what can be revoked or left (docs/rules/shares.md#late-cuts).
fn check_begun(share: &Share) -> Result<(), Reason> {
    if share.state.is_live() || share.expired_by() == Some(ExpiryCause::Access) { Ok(()) } else { Err(Reason::WrongState) }
}

fn resend<'a>(share: &Share, expires: Option<TimestampNs>, code: Option<CodeHash>, now: TimestampMs) -> Result<Transition<'a>, Reason> {
    check_open(share, now)?;
    Ok(Transition::Resend(restarted(share, expires, now)?, code))
}

/// When an offer lapses that is sent again (docs/rules/shares.md#resend); none if it does not.
fn restarted(share: &Share, expires: Option<TimestampNs>, now: TimestampMs) -> Result<Option<TimestampNs>, Reason> {
    if let Some(expires) = expires {
        return if expires <= now.moment() { Err(Reason::InvalidWindow) } else { Ok(Some(expires)) };
    }
    let Some(expires) = share.offer_expires() else { return Ok(None) };
    let started = share.extra().and_then(|extra| extra.resent_at).unwrap_or_else(|| share.offered_at());
    let length = expires.nanos() - started.moment().nanos();
    TimestampNs::from_nanos(now.moment().nanos() + length).map(Some).ok_or(Reason::InvalidWindow)
}

fn accept<'a>(
    share: &Share,
    acceptance: &'a Acceptance<'a>,
    actor: Actor<'a>,
    now: TimestampMs,
    around: &impl RuleContext,
) -> Result<Transition<'a>, Reason> {
    let target = accepting(share, acceptance, actor, around)?;
    check_open(share, now)?;
    if share.has_ended(now) {
        return Err(Reason::AccessEnded);
    }
    check_code(share, acceptance, actor)?;
    if target.number == Some(share.owner) {
        return Err(Reason::SelfShare);
    }
    if around.is_suspended(Some(share.owner)) || around.is_suspended(target.number) {
        return Err(Reason::TenantSuspended);
    }
    let makes_partners = share.target().is_none() && !around.bond(Some(share.owner), target.number).may_share;
    // Who may accept it by now has brought the code, or verified the address otherwise.
    let may_begin = share.code_hash().is_some() && around.makes_partners(share.owner, target.number, share.invited_at());
    if makes_partners && !may_begin {
        return Err(Reason::NoPartnership);
    }
    let offered = around.streams_of(share);
    let mut streams = None;
    if let Some(names) = &acceptance.streams {
        if names.iter().any(|name| !offered.iter().any(|stream| around.stream_name(*stream).as_str() == *name)) {
            return Err(Reason::MoreThanOffered);
        }
        streams = Some(resolve(names, around)?);
    }
    let place = TargetSlot {
        target: target.number,
        asset: acceptance.target_asset.unwrap_or_else(|| around.target_asset_of(share)),
        streams: streams.as_deref().unwrap_or(offered),
    };
    if around.is_taken(place, Some(share), now) {
        return Err(Reason::TargetInUse);
    }
    Ok(Transition::Accept { target, target_asset: acceptance.target_asset, streams, makes_partners })
}

/// Who has the code that was sent to the invitee has the invitee's mail. The operator verifies the address otherwise
/// (docs/rules/invitations.md#offers-to-an-invitee), and the owner, who can only fail, is told why it does.
fn check_code(share: &Share, acceptance: &Acceptance<'_>, actor: Actor<'_>) -> Result<(), Reason> {
    let Actor::Tenant(_, number) = actor else { return Ok(()) };
    match share.code_hash() {
        Some(hash) if number != Some(share.owner) && acceptance.code.map(CodeHash::of) != Some(hash) => Err(Reason::WrongCode),
        _ => Ok(()),
    }
}

/// Who becomes, or already is, the target. An invitee's owner passes here and fails as `self_share`.
fn accepting<'a>(share: &Share, acceptance: &'a Acceptance<'a>, actor: Actor<'a>, around: &impl RuleContext) -> Result<Party<'a>, Reason> {
    let named = acceptance.target_tenant.map(|id| Party { id, number: around.tenant(id) });
    let target = match (actor, share.target()) {
        (Actor::Operator, None) if share.is_invitation() => named.ok_or(Reason::NotTarget)?,
        (Actor::Operator, bound) => named.unwrap_or(Party { id: "", number: bound }),
        (Actor::Tenant(id, number), _) => Party { id, number },
        (Actor::Engine, _) => return Err(Reason::NotTarget),
    };
    // Of an offer that is no invitation, the owner is never the target, and an id out of rule names nobody.
    let is_owner = matches!(actor, Actor::Tenant(_, number) if number == Some(share.owner)) && !share.is_invitation();
    let is_bound_to_other = match share.target() {
        Some(bound) => is_owner || target.number != Some(bound),
        None => !share.is_invitation() && !target.id.is_empty(),
    };
    let names_other = named.is_some_and(|named| named.id != target.id);
    if is_bound_to_other || names_other { Err(Reason::NotTarget) } else { Ok(target) }
}

fn update<'a>(share: &Share, update: &'a Update<'a>, now: TimestampMs, around: &impl RuleContext) -> Result<Transition<'a>, Reason> {
    match share.state {
        State::Pending if share.has_lapsed(now) => return Err(Reason::OfferLapsed),
        State::Pending | State::Active | State::Paused => {}
        _ => return Err(Reason::WrongState),
    }
    if share.has_ended(now) {
        return Err(Reason::AccessEnded);
    }
    let streams = update.streams.as_deref().map(|names| resolve(names, around)).transpose()?;
    let mut profile = None;
    if streams.is_some() || update.profile.is_some() {
        let slot = match update.profile {
            Some(name) => around.profile(Some(share.owner), name),
            None => Some(share.profile).filter(|slot| around.is_published(*slot)),
        }
        .ok_or(Reason::UnknownProfile)?;
        check_sections(streams.as_deref().unwrap_or_else(|| around.streams_of(share)), slot, around)?;
        profile = Some(slot);
    }
    if !is_window(update.starts.unwrap_or(share.starts()), update.ends.unwrap_or(share.ends())) {
        return Err(Reason::InvalidWindow);
    }
    let place = TargetSlot {
        target: share.target(),
        asset: update.target_asset.unwrap_or_else(|| around.target_asset_of(share)),
        streams: streams.as_deref().unwrap_or_else(|| around.streams_of(share)),
    };
    if share.state.is_live() && around.is_taken(place, Some(share), now) {
        return Err(Reason::TargetInUse);
    }
    Ok(Transition::Update { update, streams, profile })
}

fn pause<'a>(share: &Share, side: Side) -> Result<Transition<'a>, Reason> {
    let holder = holder(side);
    if !share.state.is_live() || share.holders().meets(holder) { Err(Reason::WrongState) } else { Ok(Transition::Hold(holder)) }
}

/// The operator's resume lifts everybody's pause but a suspension's (docs/rules/shares.md#pauses).
fn resume<'a>(share: &Share, side: Side, now: TimestampMs) -> Result<Transition<'a>, Reason> {
    let lifted = match side {
        Side::Operator => Holders::OWNER.with(Holders::TARGET).with(Holders::OPERATOR),
        _ => holder(side),
    };
    if share.state != State::Paused || !share.holders().meets(lifted) {
        return Err(Reason::WrongState);
    }
    if share.has_ended(now) { Err(Reason::AccessEnded) } else { Ok(Transition::Release(lifted)) }
}

fn holder(side: Side) -> Holders {
    match side {
        Side::Owner => Holders::OWNER,
        Side::Target => Holders::TARGET,
        _ => Holders::OPERATOR,
    }
}

fn expire<'a>(share: &Share, cause: ExpiryCause, now: TimestampMs) -> Result<Transition<'a>, Reason> {
    let is_due = match cause {
        ExpiryCause::Offer => share.state == State::Pending && share.has_lapsed(now),
        ExpiryCause::Access => share.state.is_live() && share.has_ended(now),
    };
    if is_due { Ok(Transition::Expire(cause)) } else { Err(Reason::WrongState) }
}

/// Names as configured streams; none at all is unknown too.
fn resolve(names: &[&str], around: &impl RuleContext) -> Result<Vec<StreamNumber>, Reason> {
    if names.is_empty() {
        return Err(Reason::UnknownStream);
    }
    names.iter().map(|name| around.stream(name).ok_or(Reason::UnknownStream)).collect()
}

fn check_sections(streams: &[StreamNumber], profile: ProfileSlot, around: &impl RuleContext) -> Result<(), Reason> {
    if streams.iter().all(|stream| around.has_section(profile, *stream)) { Ok(()) } else { Err(Reason::StreamNotInProfile) }
}

/// `starts` before `ends`, where there are both (docs/rules/shares.md#windows).
fn is_window(starts: Option<TimestampNs>, ends: Option<TimestampNs>) -> bool {
    starts.zip(ends).is_none_or(|(starts, ends)| starts < ends)
}
