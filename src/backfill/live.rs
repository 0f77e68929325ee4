//! Whether the graph of this moment releases what the pinned one has released.
//!
//! What was cut, paused or changed since a job began is not written any more, however old the record
//! (docs/rules/backfill.md#pinned-and-live).

use super::decide::PastRelease;
use crate::release::{self, Suppressed};
use crate::share::graph::{Grant, ShareGraph};
use crate::time::{Period, TimestampNs};

/// Why a share gets nothing more in this job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LiveRefusal {
    /// It is no grant any more: it was revoked or left, or it is over.
    Gone,
    /// A rule of live flow keeps the record back.
    Suppressed(Suppressed),
    /// It names another profile.
    OtherProfile,
    /// Its profile was published with another text, or again after it had been retired.
    OtherVersion,
    /// It names other streams.
    OtherStreams,
    /// The target gave the asset another id.
    OtherTargetAsset,
}

impl LiveRefusal {
    /// As results and a job's entry have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Suppressed(reason) => reason.as_str(),
            Self::OtherProfile => "other_profile",
            Self::OtherVersion => "other_version",
            Self::OtherStreams => "other_streams",
            Self::OtherTargetAsset => "other_target_asset",
        }
    }

    /// The one that has this word.
    pub fn parse(word: &str) -> Option<Self> {
        let changes = [Self::Gone, Self::OtherProfile, Self::OtherVersion, Self::OtherStreams, Self::OtherTargetAsset];
        changes.into_iter().chain(Suppressed::ALL.map(Self::Suppressed)).find(|refusal| refusal.word() == word)
    }
}

/// Asks the live graph at `now` whether it releases to a share what `pinned` has released: the share is still the pinned one, and the
/// rules of live flow let the record through. Only sampling is not asked about: it has no part in what is withheld for good.
pub fn still_releases(
    live: &ShareGraph,
    now: TimestampNs,
    pinned: &ShareGraph,
    release: &PastRelease<'_>,
    late_grace: Period,
) -> Result<(), LiveRefusal> {
    let then = release.release.grant;
    let stream = release.release.stream;
    let grant = find(live, release).ok_or(LiveRefusal::Gone)?;
    let projection =
        release::release(&grant, live, stream, release.t, now, late_grace, &mut release::unseen).map_err(LiveRefusal::Suppressed)?;
    is_unchanged(&grant, live, then, pinned)?;
    // The text of the condition is the pinned one; what it sees of the share may have changed.
    match release::meets_condition(projection, &grant, release.identity, release.record.0, release.record.1) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(LiveRefusal::Suppressed(Suppressed::Filtered)),
    }
}

/// Whether what decides about a share's fields, streams and keys is what it was.
pub fn is_unchanged(grant: &Grant, live: &ShareGraph, then: &Grant, pinned: &ShareGraph) -> Result<(), LiveRefusal> {
    let revision = |graph: &ShareGraph, grant: &Grant| graph.profile(grant.profile).map(|profile| profile.revision());
    if grant.profile != then.profile {
        Err(LiveRefusal::OtherProfile)
    } else if revision(live, grant) != revision(pinned, then) {
        Err(LiveRefusal::OtherVersion)
    } else if grant.streams != then.streams {
        Err(LiveRefusal::OtherStreams)
    } else if grant.target_asset != then.target_asset {
        Err(LiveRefusal::OtherTargetAsset)
    } else {
        Ok(())
    }
}

fn find<'g>(live: &'g ShareGraph, release: &PastRelease<'_>) -> Option<Grant<'g>> {
    live.asset(release.identity.tenant, release.identity.asset)?.grant(release.release.grant.share.as_str())
}
