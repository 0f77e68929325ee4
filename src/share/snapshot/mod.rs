//! The folded table as bytes (docs/rules/events.md#snapshots): written now and then, so that a start need not fold the whole topic.
//!
//! What can be derived is not in it: the graph, the indexes and the moments to come are built again.

pub(crate) mod configuration;
pub(crate) mod shares;
pub(crate) mod parties;
pub(crate) mod codec;
pub(crate) mod stored;

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::table::{FoldRules, ShareTable};
use crate::id::{Epoch, Offset};
use crate::share::event::kind::EventType;
use crate::share::snapshot::codec::{Decoder, Encoder};
use crate::share::snapshot::configuration::{read_configuration, write_configuration};
use crate::share::snapshot::parties::{
    read_memory, read_profiles, read_sources, read_tenants, write_memory, write_profiles, write_sources, write_tenants,
};
use crate::share::snapshot::shares::{read_shares, write_shares};
use crate::time::TimestampMs;

const MAGIC: &[u8; 8] = b"sharecst";
/// Also counted up when a new version's fold judges events otherwise: what was folded by the old rules is folded again.
const FORMAT: u64 = 6;

/// Which log a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotOrigin {
    /// The cluster's id.
    pub cluster: String,
    /// The control topic, with its topic id where the cluster tells it, so that a recreated topic is another one.
    pub topic: String,
}

/// Why a snapshot is not written, or refused; then the topic is replayed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// None is written while an unreadable offset waits for its skip.
    #[error("an unreadable control record waits for control.skipped; no snapshot is written until then")]
    Waiting,
    /// The bytes could not be written.
    #[error("the snapshot could not be written: {0}")]
    Io(#[from] io::Error),
    /// The bytes are not what was written.
    #[error("the snapshot is damaged: {0}")]
    Damaged(&'static str),
    /// Not a snapshot, or one of another format.
    #[error("not a snapshot of format {FORMAT}")]
    Format,
    /// Of another cluster or topic.
    #[error("the snapshot is of topic {topic} on cluster {cluster}")]
    Foreign {
        /// The snapshot's cluster.
        cluster: String,
        /// The snapshot's topic.
        topic: String,
    },
    /// Written under other rules of the fold: the table may be another one under today's.
    #[error("the snapshot was written under another configuration of {0}")]
    OtherRules(&'static str),
    /// It is judged by rules that this version does not know.
    #[error("the snapshot is judged by rules {0}, which this version does not know")]
    NewerRules(u32),
    /// It skipped offsets that its writer could not read and this version perhaps can.
    #[error("the snapshot skipped offsets, and its writer did not know {0}")]
    FewerTypes(String),
    /// It holds what came of events that this version cannot read.
    #[error("the snapshot's writer knew {0}, which this version does not")]
    MoreTypes(String),
}

/// Writes a table. Some 60 to 100 bytes a share, as it comes.
pub fn write(table: &ShareTable, origin: &SnapshotOrigin, out: impl Write) -> Result<(), SnapshotError> {
    if !table.unreadable_offsets().is_empty() {
        return Err(SnapshotError::Waiting);
    }
    let mut out = Encoder::new(out);
    out.raw(MAGIC)?;
    out.number(FORMAT)?;
    out.text(&origin.cluster)?;
    out.text(&origin.topic)?;
    out.number(EventType::ALL.len() as u64)?;
    for kind in EventType::ALL {
        out.text(kind.name())?;
    }
    out.signed(table.epoch().0)?;
    write_configuration(table, &mut out)?;
    out.signed(table.control_time().0)?;
    out.signed(table.newest_change().0)?;
    out.number(table.skipped.len() as u64)?;
    for offset in &table.skipped {
        out.signed(offset.0)?;
    }
    write_tenants(table, &mut out)?;
    write_profiles(table, &mut out)?;
    write_shares(table, &mut out)?;
    write_memory(table, &mut out)?;
    write_sources(table, &mut out)?;
    Ok(out.finish()?)
}

/// What tells two tables apart but for their epochs: a log that has more ticks, none of which moves control time, has the same.
pub fn digest(table: &ShareTable) -> [u8; 32] {
    let mut out = Encoder::new(Digesting::default());
    let written = (|| -> io::Result<Digesting> {
        write_configuration(table, &mut out)?;
        out.signed(table.control_time().0)?;
        for offsets in [table.skipped.as_slice(), table.unreadable_offsets()] {
            out.number(offsets.len() as u64)?;
            offsets.iter().try_for_each(|offset| out.signed(offset.0))?;
        }
        write_tenants(table, &mut out)?;
        write_profiles(table, &mut out)?;
        write_shares(table, &mut out)?;
        write_memory(table, &mut out)?;
        out.into_inner()
    })();
    written.unwrap_or_else(|error| unreachable!("a digest takes every byte: {error}")).0.finalize().into()
}

/// Digests what is written.
#[derive(Default)]
struct Digesting(Sha256);

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a table into one that has folded nothing, and returns it. Folding on from `epoch` + 1 gives what never stopping would
/// have given.
pub fn read(bytes: &[u8], origin: &SnapshotOrigin, empty: ShareTable) -> Result<ShareTable, SnapshotError> {
    let mut table = empty;
    let (mut from, types, epoch) = read_head(bytes, origin)?;
    table.graph.epoch = epoch;
    let streams = read_configuration(&mut table, &mut from)?;
    table.graph.control_time = TimestampMs(from.signed()?);
    table.newest_change = Epoch(from.signed()?);
    for _ in 0..from.small()? {
        table.skipped.push(Offset(from.signed()?));
    }
    check_types(&types, !table.skipped.is_empty())?;
    read_tenants(&mut table, &mut from)?;
    read_profiles(&mut table, &mut from)?;
    read_shares(&mut table, &streams, &mut from)?;
    read_memory(&mut table, &mut from)?;
    read_sources(&mut table, &mut from)?;
    if from.is_at_end() { Ok(table) } else { Err(SnapshotError::Damaged("there is more than there should be")) }
}

/// The epoch of a snapshot, as far as is known without reading its table.
pub fn epoch_of(bytes: &[u8], origin: &SnapshotOrigin, rules: &FoldRules) -> Result<Epoch, SnapshotError> {
    let (mut from, _, epoch) = read_head(bytes, origin)?;
    read_configuration(&mut ShareTable::new(rules.clone()), &mut from)?;
    Ok(epoch)
}

/// What stands before the table: the event types that the writer knew, and the epoch.
fn read_head<'b>(bytes: &'b [u8], origin: &SnapshotOrigin) -> Result<(Decoder<'b>, Vec<&'b str>, Epoch), SnapshotError> {
    if !bytes.starts_with(MAGIC) {
        return Err(SnapshotError::Format);
    }
    let mut from = Decoder::new(bytes)?;
    from.raw(MAGIC.len())?;
    if from.number()? != FORMAT {
        return Err(SnapshotError::Format);
    }
    let (cluster, topic) = (from.text()?.to_owned(), from.text()?.to_owned());
    if cluster != origin.cluster || topic != origin.topic {
        return Err(SnapshotError::Foreign { cluster, topic });
    }
    let types = (0..from.small()?).map(|_| from.text()).collect::<Result<Vec<_>, _>>()?;
    let epoch = Epoch(from.signed()?);
    Ok((from, types, epoch))
}

fn check_types(written: &[&str], has_skipped: bool) -> Result<(), SnapshotError> {
    let is_known = |name: &&&str| EventType::of_name(name).is_some();
    if let Some(more) = written.iter().find(|name| !is_known(name)) {
        return Err(SnapshotError::MoreTypes((*more).to_owned()));
    }
    match EventType::ALL.into_iter().map(EventType::name).find(|known| !written.contains(known)) {
        Some(fewer) if has_skipped => Err(SnapshotError::FewerTypes(fewer.to_owned())),
        _ => Ok(()),
    }
}
