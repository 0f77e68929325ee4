//! What upsert topics hold, and what has to be written so that they hold what they must: the one decision that a live engine and a
//! replay both drive.
//!
//! In reading order: `wanted` says what may stand; `partition` is one partition's state, `reconcile` its transitions, `cause` the
//! time of a tombstone; `gate` says when a key may pass to another share; `document` reads a document and renders it for a target;
//! `entry` and `note` are what a live engine writes down.
//!
//! A transition returns what follows from it, and the shell around it carries that out: the live one (`engine::upsert`) in slices,
//! with documents read back from Kafka; the other (`replay::upserts`) at once, with documents in memory.

pub mod cause;
pub mod document;
pub mod entry;
pub mod gate;
pub mod note;
pub mod partition;
pub mod reconcile;

use crate::id::StreamIndex;
use crate::profile::compile::Projection;
use crate::release;
use crate::release::Suppressed;
use crate::release::compared::RuleComparison;
use crate::share::graph::{Grant, ShareGraph};
use crate::time::TimestampNs;

/// The projection that a share's document is to be shown under now; none if no document of it may stand, whatever the document.
pub fn wanted<'g>(grant: &Grant, graph: &'g ShareGraph, stream: StreamIndex, now: TimestampNs) -> Option<&'g Projection> {
    if !grant.streams.contains(stream) {
        return None;
    }
    wanted_noting(grant, graph, stream, now, &mut release::unseen).ok()
}

/// The same of a share that names the stream, and why there is none; `compared` takes each comparison that was made.
pub(crate) fn wanted_noting<'g>(
    grant: &Grant,
    graph: &'g ShareGraph,
    stream: StreamIndex,
    now: TimestampNs,
    compared: &mut impl FnMut(Suppressed, RuleComparison),
) -> Result<&'g Projection, Suppressed> {
    release::force(grant, now, compared)?;
    release::projection(grant, graph, stream).ok_or(Suppressed::ProfileMissing)
}

/// The grant of a share of this asset, as far as the graph holds it.
pub fn grant_of<'g>(graph: &'g ShareGraph, identity: crate::record::decode::Identity<'_>, share: &str) -> Option<Grant<'g>> {
    graph.asset(identity.tenant, identity.asset)?.grant(share)
}
