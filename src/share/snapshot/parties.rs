//! Tenants, pairs, profiles and remembered events as a snapshot holds them.

use std::io::{self, Write};

use crate::id::{Epoch, InvalidId, ProfileName, TenantId};
use crate::json::document::parse;
use crate::profile::spec::ProfileSpec;
use crate::share::event::fingerprint::Fingerprint;
use crate::share::graph::ProfileSlot;
use crate::share::lifecycle::record::TenantNumber;
use crate::share::snapshot::SnapshotError;
use crate::share::snapshot::codec::{Decoder, Encoder};
use crate::share::table::ShareTable;
use crate::share::table::dedup::{DedupEntry, EventDedup};
use crate::share::table::profiles::Published;
use crate::share::table::tenant::Partnership;
use crate::time::TimestampMs;

pub(crate) fn write_tenants<W: Write>(table: &ShareTable, out: &mut Encoder<W>) -> io::Result<()> {
    out.number(table.tenants.len().into())?;
    for (_, tenant) in table.tenants.iter() {
        out.text(tenant.id.as_str())?;
        out.number(tenant.parent.map_or(0, |parent| u64::from(parent.0) + 1))?;
        out.number(tenant.is_suspended().into())?;
    }
    out.number(table.pairs.len().into())?;
    for pair in table.pairs.iter() {
        out.number(pair.tenants[0].0.into())?;
        out.number(pair.tenants[1].0.into())?;
        out.number(match pair.partnership {
            Partnership::None => 0,
            Partnership::OfferedBy(by) if by == pair.tenants[0] => 1,
            Partnership::OfferedBy(_) => 2,
            Partnership::Active { auto_accept: false } => 3,
            Partnership::Active { auto_accept: true } => 4,
        })?;
        out.signed(pair.ended_at.unwrap_or(Epoch::NONE).0)?;
    }
    Ok(())
}

pub(crate) fn read_tenants(table: &mut ShareTable, from: &mut Decoder<'_>) -> Result<(), SnapshotError> {
    let count = from.small()?;
    let mut parents = Vec::new();
    for number in 0..count {
        let id = valid(TenantId::parse(from.text()?))?;
        if table.tenants.number(&id) != TenantNumber(number) {
            return Err(SnapshotError::Damaged("a tenant is there twice"));
        }
        parents.push(from.small()?);
        table.tenants.set_suspended(TenantNumber(number), from.number()? != 0);
    }
    for (number, parent) in (0..).map(TenantNumber).zip(parents) {
        let parent = parent.checked_sub(1).map(|parent| tenant(parent, count)).transpose()?;
        // Parents are set one by one, so that a ring is seen before it closes.
        if parent.is_some_and(|parent| table.tenants.is_at_or_above(number, parent)) {
            return Err(SnapshotError::Damaged("the tenants form a ring"));
        }
        table.tenants.get_mut(number).parent = parent;
    }
    for number in 0..from.small()? {
        let (a, b) = (tenant(from.small()?, count)?, tenant(from.small()?, count)?);
        if a >= b || table.pairs.number(a, b, &mut table.tenants) != number {
            return Err(SnapshotError::Damaged("a pair of tenants is there twice"));
        }
        table.pairs.get_mut(number).partnership = match from.number()? {
            0 => Partnership::None,
            1 => Partnership::OfferedBy(a),
            2 => Partnership::OfferedBy(b),
            3 => Partnership::Active { auto_accept: false },
            4 => Partnership::Active { auto_accept: true },
            _ => return Err(SnapshotError::Damaged("an unknown partnership")),
        };
        table.pairs.get_mut(number).ended_at = Some(Epoch(from.signed()?)).filter(|epoch| *epoch != Epoch::NONE);
    }
    Ok(())
}

pub(crate) fn write_profiles<W: Write>(table: &ShareTable, out: &mut Encoder<W>) -> io::Result<()> {
    out.number(u64::from(table.profiles.len()) - 1)?;
    for (_, profile) in table.profiles.iter() {
        out.number(profile.owner.map_or(0, |owner| owner.0).into())?;
        out.text(profile.name.as_str())?;
        out.number(profile.is_retired.into())?;
        out.number(profile.revision.into())?;
        out.bytes(&profile.spec)?;
    }
    Ok(())
}

pub(crate) fn read_profiles(table: &mut ShareTable, from: &mut Decoder<'_>) -> Result<(), SnapshotError> {
    for _ in 0..from.small()? {
        let owner = tenant(from.small()?, table.tenants.len())?;
        let name = valid(ProfileName::parse(from.text()?))?;
        let is_retired = from.number()? != 0;
        let revision = from.small()?;
        let text = from.bytes()?;
        let spec =
            parse(text).ok().and_then(|node| ProfileSpec::read(&node).ok()).ok_or(SnapshotError::Damaged("a profile cannot be read"))?;
        let users = Default::default();
        let (sections, spec_text) = (Box::default(), text.into());
        let profile =
            Published { owner: Some(owner), name: name.clone(), sections, is_retired, revision, spec: spec_text, source: None, users };
        let slot = table.profiles.add(profile);
        if table.tenants.get_mut(owner).profiles.insert(name, slot).is_some() {
            return Err(SnapshotError::Damaged("a profile is there twice"));
        }
        table.show_profile(slot, &spec);
        if is_retired {
            table.graph.set_profile(slot, None);
        }
    }
    Ok(())
}

/// The texts that profiles were written as. Without any nothing is written, so that a version that knows none reads it too.
pub(crate) fn write_sources<W: Write>(table: &ShareTable, out: &mut Encoder<W>) -> io::Result<()> {
    let sources = || table.profiles.iter().filter_map(|(slot, profile)| Some((slot, profile.source.as_deref()?)));
    if sources().next().is_none() {
        return Ok(());
    }
    out.number(sources().count() as u64)?;
    sources().try_for_each(|(slot, source)| {
        out.number(slot.0.into())?;
        out.text(source)
    })
}

pub(crate) fn read_sources(table: &mut ShareTable, from: &mut Decoder<'_>) -> Result<(), SnapshotError> {
    if from.is_at_end() {
        return Ok(());
    }
    for _ in 0..from.small()? {
        let slot = within(from.small()?, table.profiles.len())?;
        let source = from.text()?;
        table.profiles.get_mut(ProfileSlot(slot)).source = Some(source.into());
    }
    Ok(())
}

pub(crate) fn write_memory<W: Write>(table: &ShareTable, out: &mut Encoder<W>) -> io::Result<()> {
    out.number(table.memory.len() as u64)?;
    let mut last = 0;
    for DedupEntry { event, time } in table.memory.iter() {
        for word in [event.name[0], event.name[1], event.content] {
            out.raw(&word.to_le_bytes())?;
        }
        out.signed(time.0.wrapping_sub(last))?;
        last = time.0;
    }
    Ok(())
}

pub(crate) fn read_memory(table: &mut ShareTable, from: &mut Decoder<'_>) -> Result<(), SnapshotError> {
    let mut last = 0i64;
    let mut entries = Vec::new();
    for _ in 0..from.number()? {
        let mut words = [0; 3];
        for word in &mut words {
            *word = from.raw(8)?.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        last = last.wrapping_add(from.signed()?);
        entries.push(DedupEntry { event: Fingerprint { name: [words[0], words[1]], content: words[2] }, time: TimestampMs(last) });
    }
    table.memory = EventDedup::of(entries);
    Ok(())
}

/// A tenant's number, if there are so many.
pub(crate) fn tenant(number: u32, count: u32) -> Result<TenantNumber, SnapshotError> {
    if number < count { Ok(TenantNumber(number)) } else { Err(SnapshotError::Damaged("an unknown tenant")) }
}

/// A number below a count.
pub(crate) fn within(number: u32, count: u32) -> Result<u32, SnapshotError> {
    if number < count { Ok(number) } else { Err(SnapshotError::Damaged("a number leads nowhere")) }
}

/// An id that is in rule.
pub(crate) fn valid<T>(id: Result<T, InvalidId>) -> Result<T, SnapshotError> {
    id.map_err(|_| SnapshotError::Damaged("an id is out of rule"))
}
