//! The calls, each in the one version that is spoken.
//!
//! Requests are written and answers read here by hand: the decoders of the `kafka-protocol` crate reserve memory by counts that an answer
//! merely claims. Tests hold each call against that crate.

pub(super) mod commit;
pub(super) mod fetch;
pub(super) mod handshake;
pub(super) mod leader_epoch;
pub(super) mod leave;
pub(super) mod metadata;
pub(super) mod produce;

use super::frame::{FrameReader, FrameWriter, MalformedAnswer};

/// A call, in its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    /// Version 3 tells of features, and is asked before anything is known.
    Versions,
    SaslHandshake,
    /// Version 2 tells for how long a login counts.
    SaslAuthenticate,
    Metadata,
    FindCoordinator,
    InitProducerId,
    /// From version 12 on a leader enlists its partitions with the transaction's coordinator by itself.
    Produce,
    /// From version 5 on the group's coordinator does so with the offsets.
    TxnOffsetCommit,
    /// From version 5 on each end of a transaction raises the producer's epoch.
    EndTxn,
    /// From version 3 on it takes several members out of a group, whoever asks.
    LeaveGroup,
    /// From version 13 on topics are named by their ids, and from 16 on it tells where new leaders are.
    Fetch,
    /// From version 4 on it is in the flexible form.
    OffsetForLeaderEpoch,
}

impl Api {
    pub(super) const ALL: [Self; 12] = [
        Self::Versions,
        Self::SaslHandshake,
        Self::SaslAuthenticate,
        Self::Metadata,
        Self::FindCoordinator,
        Self::InitProducerId,
        Self::Produce,
        Self::TxnOffsetCommit,
        Self::EndTxn,
        Self::LeaveGroup,
        Self::Fetch,
        Self::OffsetForLeaderEpoch,
    ];

    pub(super) fn key(self) -> i16 {
        match self {
            Self::Produce => 0,
            Self::Fetch => 1,
            Self::Metadata => 3,
            Self::FindCoordinator => 10,
            Self::LeaveGroup => 13,
            Self::SaslHandshake => 17,
            Self::Versions => 18,
            Self::InitProducerId => 22,
            Self::OffsetForLeaderEpoch => 23,
            Self::EndTxn => 26,
            Self::TxnOffsetCommit => 28,
            Self::SaslAuthenticate => 36,
        }
    }

    pub(super) fn version(self) -> i16 {
        match self {
            Self::SaslHandshake => 1,
            Self::SaslAuthenticate => 2,
            Self::Versions => 3,
            Self::FindCoordinator | Self::OffsetForLeaderEpoch => 4,
            Self::InitProducerId | Self::TxnOffsetCommit | Self::EndTxn | Self::LeaveGroup => 5,
            Self::Metadata | Self::Produce => 12,
            Self::Fetch => 16,
        }
    }

    /// What it is called where people read it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Produce => "Produce",
            Self::Metadata => "Metadata",
            Self::FindCoordinator => "FindCoordinator",
            Self::SaslHandshake => "SaslHandshake",
            Self::Versions => "ApiVersions",
            Self::InitProducerId => "InitProducerId",
            Self::EndTxn => "EndTxn",
            Self::TxnOffsetCommit => "TxnOffsetCommit",
            Self::SaslAuthenticate => "SaslAuthenticate",
            Self::LeaveGroup => "LeaveGroup",
            Self::Fetch => "Fetch",
            Self::OffsetForLeaderEpoch => "OffsetForLeaderEpoch",
        }
    }

    /// Begins a request. Its length goes in front once it is known.
    pub(super) fn request(self, correlation: i32, client_id: &str) -> FrameWriter {
        let mut frame = FrameWriter::default();
        frame.i32(0).i16(self.key()).i16(self.version()).i32(correlation).old_string(client_id);
        if self != Self::SaslHandshake {
            frame.no_tags();
        }
        frame
    }

    /// Reads the header of the answer, and what it answers.
    pub(super) fn answer(self, frame: &[u8]) -> Result<(i32, FrameReader<'_>), MalformedAnswer> {
        let mut answer = FrameReader::new(frame);
        let correlation = answer.i32()?;
        // An answer to ApiVersions has the oldest header whatever its version: its reader does not know the version yet.
        if !matches!(self, Self::Versions | Self::SaslHandshake) {
            answer.skip_tags()?;
        }
        Ok((correlation, answer))
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use self::hostile::{Chance, change, number, taken};
