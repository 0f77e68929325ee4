//! A share as the table holds it: one small record of fixed size, rare things boxed.

use crate::id::{AssetId, Epoch, Label, ShareId};
use crate::share::event::invitation_code::CodeHash;
use crate::share::graph::ProfileSlot;
use crate::share::state::{ExpiryCause, Holders, Permission, Reason, State};
use crate::time::{TimestampMs, TimestampNs};

/// A tenant's number in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TenantNumber(pub(crate) u32);

/// A share's number in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ShareNumber(pub(crate) u32);

/// The number of nothing.
pub(crate) const NOTHING: u32 = u32::MAX;
const NO_TIME: i64 = i64::MIN;
const NANOS_PER_MILLI: i128 = 1_000_000;

/// One share. Times are milliseconds since 1970, `NO_TIME` where there is none; their finer digits are in `Extra`.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pub(crate) id: ShareId,
    /// None where it is the owner's asset id.
    pub(crate) target_asset: Option<AssetId>,
    extra: Option<Box<Extra>>,
    pub(crate) offered_at: TimestampMs,
    accepted_at: i64,
    /// When it was paused, or when it ended if that is no time of its own (docs/rules/shares.md#moments).
    since: i64,
    starts: i64,
    ends: i64,
    offer_expires: i64,
    pub(crate) owner: TenantNumber,
    /// Its asset's number; `NOTHING` if a FAILED share named none that can be.
    pub(crate) asset: u32,
    /// The target's number; `NOTHING` while an invitee is not bound.
    target: u32,
    /// The number of its list of streams.
    pub(crate) streams: u32,
    pub(crate) profile: ProfileSlot,
    pub(crate) revision: u32,
    /// The neighbours in the list of the pair's shares.
    pub(crate) before: u32,
    pub(crate) behind: u32,
    pub(crate) state: State,
    /// Why, where a state has a reason.
    pub(crate) reason: Option<Reason>,
    /// HISTORY and LINGERS, the permission from bit 2 on, who holds a pause from bit 4 on.
    flags: u8,
    /// The offset of the event that changed the document last, little-endian.
    changed_at: [u8; 5],
}

/// What few shares have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extra {
    pub(crate) label: Option<Label>,
    pub(crate) message: Option<Box<str>>,
    pub(crate) invitation: Option<Box<Invitation>>,
    /// Past pauses, [from, to), in order, none empty, none touching the next.
    pub(crate) pauses: Vec<(TimestampMs, TimestampMs)>,
    /// When the offer's clock was started again.
    pub(crate) resent_at: Option<TimestampMs>,
    /// Of a FAILED offer that names what cannot be: what it said, as it was written.
    pub(crate) written: Option<Box<Written>>,
    /// The nanoseconds below the millisecond of `starts`, `ends` and `offer_expires`.
    fine: [u32; 3],
}

/// For whom an offer is that no tenant has accepted.
#[derive(Debug, Clone)]
pub(crate) struct Invitation {
    pub(crate) invitee: Box<str>,
    /// What the code must hash to that a tenant accepts with; only while the offer is open.
    pub(crate) code_hash: Option<CodeHash>,
    /// The offset of the offer, or of the last event that sent it again.
    pub(crate) invited_at: Epoch,
}

/// The ids of an offer as they were written, in rule or not.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) asset: Box<str>,
    pub(crate) target_tenant: Option<Box<str>>,
    /// The default applied.
    pub(crate) target_asset: Box<str>,
    pub(crate) streams: Vec<Box<str>>,
    pub(crate) profile: Box<str>,
}

// A million shares are a million of these.
const _: () = assert!(size_of::<Share>() <= 112);

const HISTORY: u8 = 1;
const LINGERS: u8 = 2;
const PERMISSION: u8 = 2;
const HOLDERS: u8 = 4;
/// The largest offset that `changed_at` can say: a log of a million million records.
const LAST_CHANGED_AT: i64 = (1 << 40) - 1;

/// Which of the three moments with nanoseconds.
#[derive(Clone, Copy)]
enum Fine {
    Starts = 0,
    Ends = 1,
    OfferExpires = 2,
}

impl Share {
    /// A share without times, texts or target, at revision 1.
    pub(crate) fn new(id: ShareId, owner: TenantNumber, state: State, offered_at: TimestampMs) -> Self {
        Self {
            id,
            target_asset: None,
            extra: None,
            offered_at,
            accepted_at: NO_TIME,
            since: NO_TIME,
            starts: NO_TIME,
            ends: NO_TIME,
            offer_expires: NO_TIME,
            owner,
            asset: NOTHING,
            target: NOTHING,
            streams: NOTHING,
            profile: ProfileSlot(NOTHING),
            revision: 1,
            before: NOTHING,
            behind: NOTHING,
            state,
            reason: None,
            flags: 0,
            changed_at: [0; 5],
        }
    }

    pub(crate) fn target(&self) -> Option<TenantNumber> {
        (self.target != NOTHING).then_some(TenantNumber(self.target))
    }

    pub(crate) fn set_target(&mut self, target: Option<TenantNumber>) {
        self.target = target.map_or(NOTHING, |t| t.0);
    }

    pub(crate) fn accepted_at(&self) -> Option<TimestampMs> {
        time(self.accepted_at)
    }

    pub(crate) fn set_accepted_at(&mut self, at: TimestampMs) {
        self.accepted_at = at.0;
    }

    pub(crate) fn since(&self) -> Option<TimestampMs> {
        time(self.since)
    }

    pub(crate) fn set_since(&mut self, at: Option<TimestampMs>) {
        self.since = at.map_or(NO_TIME, |at| at.0);
    }

    pub(crate) fn starts(&self) -> Option<TimestampNs> {
        self.moment(self.starts, Fine::Starts)
    }

    pub(crate) fn set_starts(&mut self, moment: Option<TimestampNs>) {
        self.starts = self.keep(moment, Fine::Starts);
    }

    pub(crate) fn ends(&self) -> Option<TimestampNs> {
        self.moment(self.ends, Fine::Ends)
    }

    pub(crate) fn set_ends(&mut self, moment: Option<TimestampNs>) {
        self.ends = self.keep(moment, Fine::Ends);
    }

    pub(crate) fn offer_expires(&self) -> Option<TimestampNs> {
        self.moment(self.offer_expires, Fine::OfferExpires)
    }

    pub(crate) fn set_offer_expires(&mut self, moment: Option<TimestampNs>) {
        self.offer_expires = self.keep(moment, Fine::OfferExpires);
    }

    pub(crate) fn permission(&self) -> Permission {
        Permission::ALL[usize::from(self.flags >> PERMISSION & 3) % Permission::ALL.len()]
    }

    pub(crate) fn set_permission(&mut self, permission: Permission) {
        self.flags = self.flags & !(3 << PERMISSION) | (permission as u8) << PERMISSION;
    }

    pub(crate) fn holders(&self) -> Holders {
        Holders(self.flags >> HOLDERS)
    }

    pub(crate) fn set_holders(&mut self, holders: Holders) {
        self.flags = self.flags & !(15 << HOLDERS) | holders.0 << HOLDERS;
    }

    /// The epoch of its status document (docs/rules/events.md#epoch).
    pub(crate) fn changed_at(&self) -> Epoch {
        let [a, b, c, d, e] = self.changed_at;
        Epoch(i64::from_le_bytes([a, b, c, d, e, 0, 0, 0]))
    }

    pub(crate) fn set_changed_at(&mut self, epoch: Epoch) {
        let [a, b, c, d, e, ..] = epoch.0.clamp(0, LAST_CHANGED_AT).to_le_bytes();
        self.changed_at = [a, b, c, d, e];
    }

    pub(crate) fn has_history(&self) -> bool {
        self.flags & HISTORY != 0
    }

    pub(crate) fn set_history(&mut self, on: bool) {
        self.set_flag(HISTORY, on);
    }

    /// EXPIRED out of ACTIVE, not cut off since, and within `late_grace` (docs/rules/release.md#shares-that-count).
    pub(crate) fn lingers(&self) -> bool {
        self.flags & LINGERS != 0
    }

    pub(crate) fn set_lingers(&mut self, on: bool) {
        self.set_flag(LINGERS, on);
    }

    /// The acceptance, or `starts` if that is later; with `history` `starts`. None is the beginning of time
    /// (docs/rules/shares.md#moments).
    pub(crate) fn granted_from(&self) -> Option<TimestampNs> {
        let accepted = self.accepted_at()?.moment();
        if self.has_history() { self.starts() } else { Some(self.starts().map_or(accepted, |starts| starts.max(accepted))) }
    }

    /// In every final state control time, but of an EXPIRED share the moment that was reached.
    pub(crate) fn ended_at(&self) -> Option<TimestampNs> {
        match (self.state, self.expired_by()) {
            (State::Expired, Some(ExpiryCause::Offer)) => self.offer_expires(),
            (State::Expired, _) => self.ends(),
            (State::Pending | State::Active | State::Paused, _) => None,
            _ => self.since().map(TimestampMs::moment),
        }
    }

    /// What an EXPIRED share expired of.
    pub(crate) fn expired_by(&self) -> Option<ExpiryCause> {
        match (self.state, self.reason) {
            (State::Expired, Some(Reason::OfferLapsed)) => Some(ExpiryCause::Offer),
            (State::Expired, _) => Some(ExpiryCause::Access),
            _ => None,
        }
    }

    /// Whether the offer has lapsed at `now`: the moment itself is late (docs/rules/shares.md#lapse-and-end).
    pub(crate) fn has_lapsed(&self, now: TimestampMs) -> bool {
        self.offer_expires().is_some_and(|expires| now.moment() >= expires)
    }

    /// Whether access has ended at `now`: at the moment itself it is over.
    pub(crate) fn has_ended(&self, now: TimestampMs) -> bool {
        self.ends().is_some_and(|ends| now.moment() >= ends)
    }

    pub(crate) fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    pub(crate) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Whether it is still for an invitee.
    pub(crate) fn is_invitation(&self) -> bool {
        self.invitation().is_some()
    }

    fn invitation(&self) -> Option<&Invitation> {
        self.extra()?.invitation.as_deref()
    }

    /// Whom it is for until somebody accepts.
    pub(crate) fn invitee(&self) -> Option<&str> {
        Some(&self.invitation()?.invitee)
    }

    /// What a tenant needs the code of to accept it.
    pub(crate) fn code_hash(&self) -> Option<CodeHash> {
        self.invitation()?.code_hash
    }

    pub(crate) fn invite(&mut self, invitee: &str, code_hash: Option<CodeHash>, invited_at: Epoch) {
        self.extra_mut().invitation = Some(Box::new(Invitation { invitee: invitee.into(), code_hash, invited_at }));
    }

    /// When the invitee was invited last; before any event if nobody was.
    pub(crate) fn invited_at(&self) -> Epoch {
        self.invitation().map_or(Epoch::NONE, |invitation| invitation.invited_at)
    }

    /// The offer is sent again, if it is an invitation.
    pub(crate) fn invite_again(&mut self, invited_at: Epoch) {
        if let Some(invitation) = self.extra.as_mut().and_then(|extra| extra.invitation.as_mut()) {
            invitation.invited_at = invited_at;
        }
    }

    /// Another code counts, if it is an invitation.
    pub(crate) fn set_code_hash(&mut self, code_hash: CodeHash) {
        if let Some(invitation) = self.extra.as_mut().and_then(|extra| extra.invitation.as_mut()) {
            invitation.code_hash = Some(code_hash);
        }
    }

    pub(crate) fn forget_code(&mut self) {
        if let Some(invitation) = self.extra.as_mut().and_then(|extra| extra.invitation.as_mut()) {
            invitation.code_hash = None;
        }
    }

    pub(crate) fn forget_invitation(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.invitation = None;
        }
    }

    pub(crate) fn label(&self) -> Option<&str> {
        self.shared_label().map(Label::as_str)
    }

    pub(crate) fn shared_label(&self) -> Option<&Label> {
        self.extra()?.label.as_ref()
    }

    pub(crate) fn set_label(&mut self, label: Option<&str>) {
        if self.label() != label {
            self.extra_mut().label = label.map(Into::into);
        }
    }

    pub(crate) fn pauses(&self) -> &[(TimestampMs, TimestampMs)] {
        self.extra().map_or(&[], |extra| &extra.pauses)
    }

    /// Notes the pause that ends now; one of no length covers nothing.
    pub(crate) fn end_pause(&mut self, to: TimestampMs) {
        let Some(from) = self.since().filter(|from| *from < to) else { return };
        let pauses = &mut self.extra_mut().pauses;
        match pauses.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => pauses.push((from, to)),
        }
    }

    pub(crate) fn forget_pauses(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.pauses = Vec::new();
        }
    }

    fn set_flag(&mut self, flag: u8, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    fn moment(&self, millis: i64, fine: Fine) -> Option<TimestampNs> {
        let nanos = self.extra().map_or(0, |extra| extra.fine[fine as usize]);
        time(millis).and_then(|at| TimestampNs::from_nanos(at.moment().nanos() + i128::from(nanos)))
    }

    fn keep(&mut self, moment: Option<TimestampNs>, fine: Fine) -> i64 {
        let nanos = moment.map_or(0, |m| m.nanos().rem_euclid(NANOS_PER_MILLI) as u32);
        if nanos != 0 || self.extra.is_some() {
            self.extra_mut().fine[fine as usize] = nanos;
        }
        moment.map_or(NO_TIME, |m| m.millis().0)
    }
}

fn time(millis: i64) -> Option<TimestampMs> {
    (millis != NO_TIME).then_some(TimestampMs(millis))
}
