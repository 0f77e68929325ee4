//! A share as the table holds it: one small record of fixed size, rare things boxed.

use std::sync::Arc;

use crate::id::{AssetId, Epoch, Label, ShareId};
use crate::share::event::invitation_code::CodeHash;
use crate::share::profile_slot::ProfileSlot;
use crate::share::state::{ExpiryCause, Holders, Permission, Reason, State};
use crate::time::{MaybeMoment, TimestampMs, TimestampNs};

/// A tenant's number in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TenantNumber(pub(crate) u32);

/// A share's number in the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ShareNumber(pub(crate) u32);

/// The number of nothing.
pub(crate) const NOTHING: u32 = u32::MAX;
const NANOS_PER_MILLI: i128 = 1_000_000;
/// The first and the last millisecond of the years 1 to 9999.
const FIRST_MILLIS: i64 = -62_135_596_800_000;
const LAST_MILLIS: i64 = 253_402_300_799_999;

/// One share. Times are to the millisecond; their finer digits are in `Extra`.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pub(crate) id: ShareId,
    /// None where it is the owner's asset id.
    pub(crate) target_asset: Option<AssetId>,
    extra: Option<Arc<Extra>>,
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
    /// By `Time`: milliseconds after the first that there can be, and one more; zero where there is none. The 49th bit of
    /// each is in `late`.
    times: [[u8; 6]; 6],
    late: u8,
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
const _: () = assert!(size_of::<Share>() <= 136);

const HISTORY: u8 = 1;
const LINGERS: u8 = 2;
const PERMISSION: u8 = 2;
const HOLDERS: u8 = 4;
/// The largest offset that `changed_at` can say: a log of a million million records.
const LAST_CHANGED_AT: i64 = (1 << 40) - 1;

/// The times of a share. The first three have nanoseconds too.
#[derive(Clone, Copy)]
enum Time {
    Starts = 0,
    Ends = 1,
    OfferExpires = 2,
    OfferedAt = 3,
    AcceptedAt = 4,
    /// When it was paused, or when it ended if that is no time of its own (docs/rules/shares.md#moments).
    Since = 5,
}

/// What fills a place that holds no share yet.
impl Default for Share {
    fn default() -> Self {
        Self::vacant(ShareId::VACANT, TenantNumber(NOTHING), State::Failed)
    }
}

impl Share {
    /// A share without times, texts or target, at revision 1.
    pub(crate) fn new(id: ShareId, owner: TenantNumber, state: State, offered_at: TimestampMs) -> Self {
        let mut share = Self::vacant(id, owner, state);
        share.set_time(Time::OfferedAt, Some(offered_at));
        share
    }

    fn vacant(id: ShareId, owner: TenantNumber, state: State) -> Self {
        Self {
            id,
            target_asset: None,
            extra: None,
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
            times: [[0; 6]; 6],
            late: 0,
            changed_at: [0; 5],
        }
    }

    pub(crate) fn target(&self) -> Option<TenantNumber> {
        (self.target != NOTHING).then_some(TenantNumber(self.target))
    }

    pub(crate) fn set_target(&mut self, target: Option<TenantNumber>) {
        self.target = target.map_or(NOTHING, |t| t.0);
    }

    pub(crate) fn offered_at(&self) -> TimestampMs {
        self.time(Time::OfferedAt).unwrap_or(TimestampMs(FIRST_MILLIS))
    }

    pub(crate) fn accepted_at(&self) -> Option<TimestampMs> {
        self.time(Time::AcceptedAt)
    }

    pub(crate) fn set_accepted_at(&mut self, at: TimestampMs) {
        self.set_time(Time::AcceptedAt, Some(at));
    }

    pub(crate) fn since(&self) -> Option<TimestampMs> {
        self.time(Time::Since)
    }

    pub(crate) fn set_since(&mut self, at: Option<TimestampMs>) {
        self.set_time(Time::Since, at);
    }

    pub(crate) fn starts(&self) -> Option<TimestampNs> {
        self.moment(Time::Starts)
    }

    pub(crate) fn set_starts(&mut self, moment: Option<TimestampNs>) {
        self.keep(moment, Time::Starts);
    }

    pub(crate) fn ends(&self) -> Option<TimestampNs> {
        self.moment(Time::Ends)
    }

    pub(crate) fn set_ends(&mut self, moment: Option<TimestampNs>) {
        self.keep(moment, Time::Ends);
    }

    pub(crate) fn offer_expires(&self) -> Option<TimestampNs> {
        self.moment(Time::OfferExpires)
    }

    pub(crate) fn set_offer_expires(&mut self, moment: Option<TimestampNs>) {
        self.keep(moment, Time::OfferExpires);
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

    /// `granted_from`, `starts` and `ends` as a grant has them, read for every record.
    pub(crate) fn window(&self) -> [MaybeMoment; 3] {
        let nanos = self.extra().map_or([0; 3], |extra| extra.fine);
        let starts = self.time(Time::Starts).map(|at| (at, nanos[Time::Starts as usize]));
        let granted_from = self.accepted_at().and_then(|accepted| {
            if self.has_history() { starts } else { Some(starts.map_or((accepted, 0), |starts| starts.max((accepted, 0)))) }
        });
        let moment = |parts: Option<(TimestampMs, u32)>| MaybeMoment::of(parts.map(|(at, _)| at), parts.map_or(0, |(_, nanos)| nanos));
        [moment(granted_from), moment(starts), MaybeMoment::of(self.time(Time::Ends), nanos[Time::Ends as usize])]
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
        Arc::make_mut(self.extra.get_or_insert_default())
    }

    /// Whether it is still for an invitee.
    pub(crate) fn is_invitation(&self) -> bool {
        self.invitation().is_some() && self.target == NOTHING
    }

    fn invitation(&self) -> Option<&Invitation> {
        self.extra()?.invitation.as_deref()
    }

    fn invitation_mut(&mut self) -> Option<&mut Invitation> {
        if self.invitation().is_some() { self.extra_mut().invitation.as_deref_mut() } else { None }
    }

    /// Whom it is for until somebody accepts, and whom it was for after that.
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
        if let Some(invitation) = self.invitation_mut() {
            invitation.invited_at = invited_at;
        }
    }

    /// Another code counts, if it is an invitation.
    pub(crate) fn set_code_hash(&mut self, code_hash: CodeHash) {
        if let Some(invitation) = self.invitation_mut() {
            invitation.code_hash = Some(code_hash);
        }
    }

    pub(crate) fn forget_code(&mut self) {
        if let Some(invitation) = self.invitation_mut() {
            invitation.code_hash = None;
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
        if !self.pauses().is_empty() {
            self.extra_mut().pauses = Vec::new();
        }
    }

    fn set_flag(&mut self, flag: u8, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    fn moment(&self, of: Time) -> Option<TimestampNs> {
        let nanos = self.extra().map_or(0, |extra| extra.fine[of as usize]);
        self.time(of).and_then(|at| TimestampNs::from_nanos(at.moment().nanos() + i128::from(nanos)))
    }

    fn keep(&mut self, moment: Option<TimestampNs>, of: Time) {
        let nanos = moment.map_or(0, |m| m.nanos().rem_euclid(NANOS_PER_MILLI) as u32);
        if nanos != 0 || self.extra.is_some() {
            self.extra_mut().fine[of as usize] = nanos;
        }
        self.set_time(of, moment.map(TimestampNs::millis));
    }

    fn time(&self, of: Time) -> Option<TimestampMs> {
        let [a, b, c, d, e, f] = self.times[of as usize];
        let after = u64::from_le_bytes([a, b, c, d, e, f, self.late >> of as u8 & 1, 0]);
        after.checked_sub(1).map(|after| TimestampMs(FIRST_MILLIS + after as i64))
    }

    /// A time out of the years 1 to 9999 is the nearest in them: no text of an event says one, and no document could.
    fn set_time(&mut self, of: Time, at: Option<TimestampMs>) {
        let after = at.map_or(0, |at| at.0.clamp(FIRST_MILLIS, LAST_MILLIS) - FIRST_MILLIS + 1);
        let [a, b, c, d, e, f, late, _] = after.to_le_bytes();
        self.times[of as usize] = [a, b, c, d, e, f];
        self.late = self.late & !(1 << of as u8) | (late & 1) << of as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_that_there_can_be_comes_back() {
        let (first, last) = (TimestampNs::FIRST, TimestampNs::LAST);
        assert_eq!((first.millis().0, last.millis().0), (FIRST_MILLIS, LAST_MILLIS));
        let some = [first, TimestampMs(-1).moment(), TimestampMs(0).moment(), TimestampMs(1_767_225_600_123).moment(), last];
        for moment in some {
            let mut share = Share::new(ShareId::VACANT, TenantNumber(0), State::Active, moment.millis());
            assert_eq!((share.offered_at(), share.accepted_at(), share.ends()), (moment.millis(), None, None));
            share.set_since(Some(moment.millis()));
            share.set_ends(Some(moment));
            share.set_accepted_at(TimestampMs(5));
            assert_eq!((share.since(), share.ends(), share.starts()), (Some(moment.millis()), Some(moment), None));
            share.set_since(None);
            assert_eq!((share.since(), share.ends(), share.offered_at()), (None, Some(moment), moment.millis()));
            share.set_ends(None);
            assert_eq!((share.ends(), share.accepted_at()), (None, Some(TimestampMs(5))));
        }
    }
}
