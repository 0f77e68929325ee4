//! By what a snapshot's table judges, and what of its reader's configuration must be as its writer's was.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::id::{Epoch, StreamName};
use crate::share::configuration::{FoldConfiguration, RULES};
use crate::share::snapshot::SnapshotError;
use crate::share::snapshot::codec::{Decoder, Encoder};
use crate::share::snapshot::parties::valid;
use crate::share::snapshot::stored::{mode_code, mode_of, need_code, need_of};
use crate::share::stream_lists::StreamNumber;
use crate::share::table::ShareTable;

pub(crate) fn write_configuration<W: Write>(table: &ShareTable, out: &mut Encoder<W>) -> io::Result<()> {
    let origin = &table.origin;
    out.raw(&table.rules.late_grace.nanos().to_le_bytes())?;
    out.number(origin.has_events.into())?;
    out.number(origin.began_locally.into())?;
    write_one(&table.rules.configuration(), out)?;
    out.signed(origin.configured_at.unwrap_or(Epoch::NONE).0)?;
    write_one(&table.configuration, out)?;
    write_names(origin.missed.iter(), out)?;
    out.number(origin.missed_more.into())?;
    write_names(origin.misjudged.iter(), out)?;
    write_names(table.streams.names().iter(), out)
}

/// Takes the configuration in force into an empty table, and returns its numbers of the streams that the snapshot numbers.
pub(crate) fn read_configuration(table: &mut ShareTable, from: &mut Decoder<'_>) -> Result<Vec<StreamNumber>, SnapshotError> {
    if from.raw(16)? != table.rules.late_grace.nanos().to_le_bytes() {
        return Err(SnapshotError::OtherRules("late_grace"));
    }
    table.origin.has_events = from.number()? != 0;
    table.origin.began_locally = from.number()? != 0;
    let writers = read_one(from)?;
    if table.origin.began_locally {
        check_local(&writers, &table.rules.configuration())?;
    }
    table.origin.configured_at = Some(Epoch(from.signed()?)).filter(|epoch| *epoch != Epoch::NONE);
    let in_force = read_one(from)?;
    table.origin.missed = read_names(from)?.into_iter().collect();
    table.origin.missed_more = from.number()? != 0;
    table.origin.misjudged = read_names(from)?;
    if table.origin.configured_at.is_some() {
        table.streams.configure(in_force.streams.keys());
        table.configuration = in_force;
    }
    let names = read_names(from)?;
    Ok(names.iter().map(|name| table.streams.name_number(name)).collect())
}

/// Events before the log's first configuration were judged by the writer's own.
fn check_local(writers: &FoldConfiguration, local: &FoldConfiguration) -> Result<(), SnapshotError> {
    if writers.streams != local.streams {
        return Err(SnapshotError::OtherRules("streams"));
    }
    if writers.partnerships != local.partnerships {
        return Err(SnapshotError::OtherRules("partnerships"));
    }
    if writers.halts_on_unreadable != local.halts_on_unreadable {
        return Err(SnapshotError::OtherRules("control.unreadable"));
    }
    Ok(())
}

fn write_one<W: Write>(configuration: &FoldConfiguration, out: &mut Encoder<W>) -> io::Result<()> {
    out.number(configuration.streams.len() as u64)?;
    for (name, mode) in &configuration.streams {
        out.text(name.as_str())?;
        out.raw(&[mode_code(*mode)])?;
    }
    out.raw(&[need_code(configuration.partnerships)])?;
    out.number(configuration.halts_on_unreadable.into())?;
    out.number(configuration.rules.into())
}

fn read_one(from: &mut Decoder<'_>) -> Result<FoldConfiguration, SnapshotError> {
    let count = from.small()?;
    let mut streams = BTreeMap::new();
    for _ in 0..count {
        let name = valid(StreamName::parse(from.text()?))?;
        streams.insert(name, mode_of(from.byte()?).ok_or(SnapshotError::Damaged("an unknown mode"))?);
    }
    let partnerships = need_of(from.byte()?).ok_or(SnapshotError::Damaged("an unknown word for partnerships"))?;
    let halts_on_unreadable = from.number()? != 0;
    let rules = from.small()?;
    if rules > RULES {
        return Err(SnapshotError::NewerRules(rules));
    }
    Ok(FoldConfiguration { streams, partnerships, halts_on_unreadable, rules })
}

fn write_names<'n, W: Write>(names: impl ExactSizeIterator<Item = &'n StreamName>, out: &mut Encoder<W>) -> io::Result<()> {
    out.number(names.len() as u64)?;
    for name in names {
        out.text(name.as_str())?;
    }
    Ok(())
}

fn read_names(from: &mut Decoder<'_>) -> Result<Vec<StreamName>, SnapshotError> {
    (0..from.small()?).map(|_| valid(StreamName::parse(from.text()?))).collect()
}
