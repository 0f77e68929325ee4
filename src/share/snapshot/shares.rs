//! Shares as a snapshot holds them.

use std::io::{self, Write};

use crate::id::{AssetId, Epoch, ShareId};
use crate::share::event::invitation_code::CodeHash;
use crate::share::graph::asset::Asset;
use crate::share::lifecycle::record::{Extra, NOTHING, Share, TenantNumber, Written};
use crate::share::profile_slot::ProfileSlot;
use crate::share::snapshot::SnapshotError;
use crate::share::snapshot::codec::{Decoder, Encoder};
use crate::share::snapshot::parties::{tenant, valid, within};
use crate::share::snapshot::stored::{
    holders_code, holders_of, permission_code, permission_of, reason_code, reason_of, state_code, state_of,
};
use crate::share::state::State;
use crate::share::stream_lists::StreamNumber;
use crate::share::table::ShareTable;
use crate::share::table::restored::{Contradiction, RestoredShares};
use crate::time::{TimestampMs, TimestampNs};

const NANOS_PER_MILLI: i128 = 1_000_000;

pub(crate) fn write_shares<W: Write>(table: &ShareTable, out: &mut Encoder<W>) -> io::Result<()> {
    out.number(table.streams.iter().len() as u64)?;
    for list in table.streams.iter() {
        out.number(list.order.len() as u64)?;
        list.order.iter().try_for_each(|stream| out.number(stream.0.into()))?;
    }
    out.number(table.graph.assets.len().into())?;
    for (_, asset) in table.graph.assets.iter() {
        out.text(asset.id.as_str())?;
    }
    out.number(table.graph.shares.len().into())?;
    for (_, share) in table.graph.shares.iter() {
        write_share(share, out)?;
    }
    Ok(())
}

/// `streams` are the table's numbers of the snapshot's.
pub(crate) fn read_shares(table: &mut ShareTable, streams: &[StreamNumber], from: &mut Decoder<'_>) -> Result<(), SnapshotError> {
    for number in 0..from.small()? {
        let stream = |number: u32| streams.get(number as usize).copied().ok_or(SnapshotError::Damaged("an unknown stream"));
        let order = (0..from.small()?).map(|_| stream(from.small()?)).collect::<Result<Vec<_>, _>>()?;
        if table.streams.number(&order) != number {
            return Err(SnapshotError::Damaged("a list of streams cannot be"));
        }
    }
    for _ in 0..from.small()? {
        // Its owner is with its shares.
        table.graph.assets.push(Asset::new(valid(AssetId::parse(from.text()?))?, TenantNumber(NOTHING)));
    }
    let mut restored = RestoredShares::default();
    for _ in 0..from.small()? {
        let share = read_share(table, from)?;
        table.restore(share, &mut restored);
    }
    table.index_restored(restored).map_err(|contradiction| {
        SnapshotError::Damaged(match contradiction {
            Contradiction::ShareTwice => "a share is there twice",
            Contradiction::AssetOfTwo => "an asset is of two owners",
            Contradiction::AssetOfNobody => "an asset is of nobody",
        })
    })
}

/// What of a share is there.
mod part {
    pub(super) const TARGET_ASSET: u64 = 1;
    pub(super) const TARGET: u64 = 1 << 1;
    pub(super) const ASSET: u64 = 1 << 2;
    pub(super) const PROFILE: u64 = 1 << 3;
    pub(super) const REASON: u64 = 1 << 4;
    pub(super) const ACCEPTED_AT: u64 = 1 << 5;
    pub(super) const SINCE: u64 = 1 << 6;
    pub(super) const STARTS: u64 = 1 << 7;
    pub(super) const ENDS: u64 = 1 << 8;
    pub(super) const OFFER_EXPIRES: u64 = 1 << 9;
    pub(super) const EXTRA: u64 = 1 << 10;
    pub(super) const HISTORY: u64 = 1 << 11;
    pub(super) const LINGERS: u64 = 1 << 12;
    pub(super) const WRITTEN: u64 = 1 << 13;
}

fn write_share<W: Write>(share: &Share, out: &mut Encoder<W>) -> io::Result<()> {
    let extra = share.extra().filter(|extra| has_more_than_times(extra));
    let parts = [
        (part::TARGET_ASSET, share.target_asset.is_some()),
        (part::TARGET, share.target().is_some()),
        (part::ASSET, share.asset != NOTHING),
        (part::PROFILE, share.profile.0 != NOTHING),
        (part::REASON, share.reason.is_some()),
        (part::ACCEPTED_AT, share.accepted_at().is_some()),
        (part::SINCE, share.since().is_some()),
        (part::STARTS, share.starts().is_some()),
        (part::ENDS, share.ends().is_some()),
        (part::OFFER_EXPIRES, share.offer_expires().is_some()),
        (part::EXTRA, extra.is_some()),
        (part::HISTORY, share.has_history()),
        (part::LINGERS, share.lingers()),
        (part::WRITTEN, extra.is_some_and(|extra| extra.written.is_some())),
    ];
    out.number(parts.iter().map(|(part, is_there)| if *is_there { *part } else { 0 }).sum())?;
    out.text(share.id.as_str())?;
    out.raw(&[state_code(share.state), permission_code(share.permission()), holders_code(share.holders())])?;
    out.number(share.revision.into())?;
    out.signed(share.changed_at().0)?;
    out.number(share.owner.0.into())?;
    out.number(share.streams.into())?;
    out.signed(share.offered_at().0)?;
    if let Some(id) = &share.target_asset {
        out.text(id.as_str())?;
    }
    let asset = (share.asset != NOTHING).then_some(share.asset);
    let profile = (share.profile.0 != NOTHING).then_some(share.profile.0);
    for number in
        [share.target().map(|target| target.0), asset, profile, share.reason.map(|reason| reason_code(reason).into())].into_iter().flatten()
    {
        out.number(number.into())?;
    }
    for time in [share.accepted_at(), share.since()].into_iter().flatten() {
        out.signed(time.0)?;
    }
    for moment in [share.starts(), share.ends(), share.offer_expires()].into_iter().flatten() {
        out.signed(moment.millis().0)?;
        out.number(moment.nanos().rem_euclid(NANOS_PER_MILLI) as u64)?;
    }
    let Some(extra) = extra else { return Ok(()) };
    for text in [extra.label.as_deref(), extra.message.as_deref(), share.invitee()] {
        out.number(text.is_some().into())?;
        out.text(text.unwrap_or_default())?;
    }
    out.bytes(share.code_hash().as_ref().map_or(&[], |hash| &hash.0))?;
    out.signed(share.invited_at().0)?;
    out.number(extra.resent_at.is_some().into())?;
    out.signed(extra.resent_at.unwrap_or_default().0)?;
    out.number(extra.pauses.len() as u64)?;
    for (from, to) in &extra.pauses {
        out.signed(from.0)?;
        out.signed(to.0)?;
    }
    extra.written.iter().try_for_each(|written| write_written(written, out))
}

fn has_more_than_times(extra: &Extra) -> bool {
    let has_text = extra.label.is_some() || extra.message.is_some() || extra.invitation.is_some() || extra.written.is_some();
    has_text || extra.resent_at.is_some() || !extra.pauses.is_empty()
}

fn write_written<W: Write>(written: &Written, out: &mut Encoder<W>) -> io::Result<()> {
    for text in [&written.asset, &written.target_asset, &written.profile] {
        out.text(text)?;
    }
    out.number(written.target_tenant.is_some().into())?;
    out.text(written.target_tenant.as_deref().unwrap_or_default())?;
    out.number(written.streams.len() as u64)?;
    written.streams.iter().try_for_each(|stream| out.text(stream))
}

fn read_share(table: &ShareTable, from: &mut Decoder<'_>) -> Result<Share, SnapshotError> {
    let parts = from.number()?;
    let has = |part: u64| parts & part != 0;
    let id = valid(ShareId::parse(from.text()?))?;
    let &[state, permission, holders] = from.raw(3)? else { return Err(SnapshotError::Damaged("it ends early")) };
    let state = state_of(state).ok_or(SnapshotError::Damaged("an unknown state"))?;
    let revision = from.small()?;
    let changed_at = Epoch(from.signed()?);
    let owner = tenant(from.small()?, table.tenants.len())?;
    let streams = within(from.small()?, table.streams.iter().len() as u32)?;
    let mut share = Share::new(id, owner, state, TimestampMs(from.signed()?));
    share.set_permission(permission_of(permission).ok_or(SnapshotError::Damaged("an unknown permission"))?);
    share.set_holders(holders_of(holders));
    share.set_changed_at(changed_at);
    share.revision = revision;
    share.streams = streams;
    if has(part::TARGET_ASSET) {
        share.target_asset = Some(valid(AssetId::parse(from.text()?))?);
    }
    if has(part::TARGET) {
        share.set_target(Some(tenant(from.small()?, table.tenants.len())?));
    }
    if has(part::ASSET) {
        share.asset = within(from.small()?, table.graph.assets.len())?;
    }
    if has(part::PROFILE) {
        share.profile = ProfileSlot(within(from.small()?, table.profiles.len())?);
    } else if state != State::Failed {
        return Err(SnapshotError::Damaged("a share without profile"));
    }
    if has(part::REASON) {
        share.reason = Some(reason_of(from.small()?).ok_or(SnapshotError::Damaged("an unknown reason"))?);
    }
    if has(part::ACCEPTED_AT) {
        share.set_accepted_at(TimestampMs(from.signed()?));
    }
    if has(part::SINCE) {
        share.set_since(Some(TimestampMs(from.signed()?)));
    }
    if has(part::STARTS) {
        share.set_starts(Some(moment(from)?));
    }
    if has(part::ENDS) {
        share.set_ends(Some(moment(from)?));
    }
    if has(part::OFFER_EXPIRES) {
        share.set_offer_expires(Some(moment(from)?));
    }
    if has(part::EXTRA) {
        read_extra(&mut share, from)?;
    }
    if has(part::WRITTEN) {
        share.extra_mut().written = Some(Box::new(read_written(from)?));
    }
    share.set_history(has(part::HISTORY));
    share.set_lingers(has(part::LINGERS));
    Ok(share)
}

fn read_extra(share: &mut Share, from: &mut Decoder<'_>) -> Result<(), SnapshotError> {
    let mut text = || Ok::<_, SnapshotError>((from.number()? != 0, from.text()?)).map(|(is_there, text)| is_there.then_some(text));
    let (label, message, invitee) = (text()?, text()?, text()?);
    let code_hash = match from.bytes()? {
        [] => None,
        bytes => Some(CodeHash(bytes.try_into().map_err(|_| SnapshotError::Damaged("a code's hash cannot be"))?)),
    };
    let invited_at = Epoch(from.signed()?);
    let (was_resent, resent_at) = (from.number()? != 0, TimestampMs(from.signed()?));
    if let Some(invitee) = invitee {
        share.invite(invitee, code_hash, invited_at);
    }
    let extra = share.extra_mut();
    (extra.label, extra.message) = (label.map(Into::into), message.map(Into::into));
    extra.resent_at = was_resent.then_some(resent_at);
    for _ in 0..from.small()? {
        extra.pauses.push((TimestampMs(from.signed()?), TimestampMs(from.signed()?)));
    }
    Ok(())
}

fn read_written(from: &mut Decoder<'_>) -> Result<Written, SnapshotError> {
    let [asset, target_asset, profile] = [from.text()?, from.text()?, from.text()?].map(Into::into);
    let (has_target, target) = (from.number()? != 0, from.text()?);
    let streams = (0..from.small()?).map(|_| from.text().map(Into::into)).collect::<Result<_, _>>()?;
    Ok(Written { asset, target_tenant: has_target.then(|| target.into()), target_asset, streams, profile })
}

fn moment(from: &mut Decoder<'_>) -> Result<TimestampNs, SnapshotError> {
    let nanos = i128::from(from.signed()?) * NANOS_PER_MILLI + i128::from(from.number()?);
    TimestampNs::from_nanos(nanos).ok_or(SnapshotError::Damaged("a time out of range"))
}
