//! The configuration that the fold judges by: the log's own since its first `control.configured`, the local one until then
//! (docs/rules/events.md#configuration-of-the-log).

use std::collections::BTreeMap;

use crate::id::StreamName;
use crate::json::writer::object;
use crate::record::mapping::Mode;

/// The number of today's rules, which also holds for a log that names none. A ruling that judges an event otherwise gets the next
/// number, and counts after the `control.configured` that names it.
pub const RULES: u32 = 1;

/// The id of the event by which whoever writes first to a log names its configuration, as `/sharecast`.
pub const FIRST_ID: &str = "configured-0";

closed_set! {
    /// Whether an offer needs a partnership (docs/rules/partnerships.md#who-may-share-with-whom).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum PartnershipNeed;
    /// The word that configuration and events have.
    fn word;

    /// It does.
    Required = "required",
    /// It does, but an acceptance with the code of an invitation makes one.
    Invited = "invited",
    /// It does not.
    Open = "open",
}

impl PartnershipNeed {
    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|need| need.word() == word)
    }
}

/// What the fold judges by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldConfiguration {
    /// The streams that there are.
    pub streams: BTreeMap<StreamName, Mode>,
    /// Whether an offer needs a partnership.
    pub partnerships: PartnershipNeed,
    /// Whether a record that cannot be understood closes the fence.
    pub halts_on_unreadable: bool,
    /// The number of the rules.
    pub rules: u32,
}

/// One thing in which a local configuration differs from the log's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigurationGap {
    /// The log names no such stream.
    NoSuchStream(StreamName),
    /// The log has another mode for a stream.
    OtherMode {
        /// The stream.
        stream: StreamName,
        /// Its mode here.
        local: Mode,
        /// Its mode in the log.
        log: Mode,
    },
    /// Another `partnerships`.
    Partnerships {
        /// The word here.
        local: PartnershipNeed,
        /// The word in the log.
        log: PartnershipNeed,
    },
    /// Another `control.unreadable`.
    Unreadable {
        /// Whether the local one is `halt`.
        halts_here: bool,
    },
}

/// The word of `control.unreadable`.
pub fn unreadable_word(halts: bool) -> &'static str {
    if halts { "halt" } else { "skip" }
}

impl FoldConfiguration {
    /// In what this, the log's, differs from a local one that cannot be run beside it. A stream that only the log names is none: who
    /// is not configured for it does not read it.
    pub fn gaps(&self, local: &Self) -> Vec<ConfigurationGap> {
        let stream = |(stream, local): (&StreamName, &Mode)| match self.streams.get(stream) {
            None => Some(ConfigurationGap::NoSuchStream(stream.clone())),
            Some(log) if log != local => Some(ConfigurationGap::OtherMode { stream: stream.clone(), local: *local, log: *log }),
            Some(_) => None,
        };
        let mut gaps: Vec<_> = local.streams.iter().filter_map(stream).collect();
        if self.partnerships != local.partnerships {
            gaps.push(ConfigurationGap::Partnerships { local: local.partnerships, log: self.partnerships });
        }
        if self.halts_on_unreadable != local.halts_on_unreadable {
            gaps.push(ConfigurationGap::Unreadable { halts_here: local.halts_on_unreadable });
        }
        gaps
    }

    /// The data of the `control.configured` that names it.
    pub fn to_data(&self) -> Vec<u8> {
        object(|out| {
            out.object("streams", |out| {
                for (stream, mode) in &self.streams {
                    out.text(stream.as_str(), mode.word());
                }
            });
            out.text("partnerships", self.partnerships.word());
            out.text("unreadable", unreadable_word(self.halts_on_unreadable));
            out.number("rules", self.rules);
        })
    }
}

impl ConfigurationGap {
    /// Whether who reads a stream cannot go on reading it: it is gone, or its records mean something else.
    pub fn is_of_stream(&self) -> bool {
        match self {
            Self::NoSuchStream(_) | Self::OtherMode { .. } => true,
            Self::Partnerships { .. } | Self::Unreadable { .. } => false,
        }
    }
}

impl std::fmt::Display for ConfigurationGap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchStream(stream) => write!(f, "the stream {stream}, which the log does not name"),
            Self::OtherMode { stream, local, log } => {
                write!(f, "the stream {stream} with `mode: {}`, which the log has with `mode: {}`", local.word(), log.word())
            }
            Self::Partnerships { local, log } => write!(f, "`partnerships: {}`, where the log has `{}`", local.word(), log.word()),
            Self::Unreadable { halts_here } => {
                write!(f, "`control.unreadable: {}`, where the log has `{}`", unreadable_word(*halts_here), unreadable_word(!halts_here))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(streams: &[(&str, Mode)]) -> FoldConfiguration {
        let streams = streams.iter().map(|(name, mode)| (StreamName::parse(name).unwrap(), *mode)).collect();
        FoldConfiguration { streams, partnerships: PartnershipNeed::Required, halts_on_unreadable: true, rules: RULES }
    }

    #[test]
    fn who_has_less_than_the_log_has_no_gap_and_who_has_more_or_other_has() {
        let log = of(&[("details", Mode::Upsert), ("telemetry", Mode::Append)]);
        assert_eq!(log.gaps(&log), []);
        assert_eq!(log.gaps(&of(&[("telemetry", Mode::Append)])), [], "it does not read the other one");
        let local = FoldConfiguration {
            partnerships: PartnershipNeed::Open,
            halts_on_unreadable: false,
            ..of(&[("details", Mode::Append), ("extras", Mode::Append)])
        };
        let words: Vec<_> = log.gaps(&local).iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "the stream details with `mode: append`, which the log has with `mode: upsert`",
                "the stream extras, which the log does not name",
                "`partnerships: open`, where the log has `required`",
                "`control.unreadable: skip`, where the log has `halt`",
            ]
        );
        assert_eq!(log.gaps(&local).iter().filter(|gap| gap.is_of_stream()).count(), 2);
    }
}
