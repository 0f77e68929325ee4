//! What `share offer --preview` shows, for people and as JSON.

use std::io::{self, BufWriter, Write};

use super::Shown;
use crate::cli::args::Format;
use crate::cli::output::{print_table, print_values, shown};
use crate::cli::share::would_be::Projected;
use crate::document::Node;
use crate::explain::RecordPlace;
use crate::json::document;
use crate::json::writer::{ObjectWriter, object};
use crate::profile::condition::ConditionError;
use crate::profile::critical::CriticalMember;
use crate::profile::parties::Parties;
use crate::profile::preview::MemberView;
use crate::record::mapping::Mode;
use crate::release::Suppressed;
use crate::share::state::{Reason, State};
use crate::time::TimestampMs;

/// A value longer than this is cut short in the table.
const SHOWN_CHARS: usize = 32;

/// One stream of the offer.
pub(super) struct StreamView {
    pub(super) name: String,
    pub(super) topic: String,
    pub(super) mode: Mode,
    pub(super) ids: String,
    pub(in crate::cli) rules: Node,
    pub(super) words: Vec<(&'static str, String)>,
    pub(super) critical: Vec<CriticalMember>,
    pub(super) seen: Option<PreviewedRecord>,
}

impl StreamView {
    /// Why the record that was looked at leaves for nobody.
    pub(super) fn unusable(&self) -> Option<String> {
        let PreviewedRecord { place, fate } = self.seen.as_ref()?;
        let what = match fate {
            PreviewFate::Leaves(_) | PreviewFate::Filtered(_) => return None,
            PreviewFate::DeadLetter { reason, message } => format!("this record would be a dead letter: {reason}: {message}"),
            PreviewFate::Foreign { owner, asset } => {
                format!("this record is of asset {} of {owner}: the offer has no part in it", shown(asset))
            }
        };
        let place = match place {
            Some(place) => format!("{} partition {} offset {}", self.topic, place.partition, place.offset),
            None => "the record that was given".to_owned(),
        };
        Some(format!("{}: {place}: {what}", self.name))
    }
}

/// A record, and what `run` would make of it.
pub(super) struct PreviewedRecord {
    pub(super) place: Option<RecordPlace>,
    pub(super) fate: PreviewFate,
}

pub(super) enum PreviewFate {
    Leaves(Box<Leaving>),
    /// The profile's condition withholds it; why, where it has no value.
    Filtered(Option<ConditionError>),
    DeadLetter {
        reason: &'static str,
        message: String,
    },
    Foreign {
        owner: String,
        asset: String,
    },
}

/// A record as the target would see it.
pub(super) struct Leaving {
    pub(super) projected: Projected,
    /// The record's own Kafka timestamp.
    pub(super) timestamp: TimestampMs,
    /// Whether it would leave now, and not only while the access lasts.
    pub(super) is_in_window: bool,
    pub(super) members: Vec<MemberView>,
}

pub(super) struct Preview<'p> {
    pub(super) asset: &'p str,
    pub(super) parties: Parties<'p>,
    pub(super) profile: &'p Shown,
    pub(super) would: Result<State, Reason>,
    pub(super) views: &'p [StreamView],
    pub(super) shows_share: bool,
}

impl Preview<'_> {
    pub(super) fn print(&self, format: Format) -> io::Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        if format == Format::Table {
            self.print_for_people(&mut out)?;
        } else {
            print_values(format, self.views.iter().map(|view| self.to_json(view)), &mut out)?;
        }
        out.flush()
    }

    fn print_for_people(&self, out: &mut impl Write) -> io::Result<()> {
        let Parties { owner, target, target_asset } = self.parties;
        let version = self.profile.version.map(|version| format!(" (version {version})")).unwrap_or_default();
        writeln!(
            out,
            "{} of {owner} for {target} as {}, by profile {}{version}",
            shown(self.asset),
            shown(target_asset),
            shown(&self.profile.name)
        )?;
        let then = match self.would {
            Ok(State::Active) => "the offer is accepted by itself: data flows at once",
            Ok(_) => "nothing flows before the offer is accepted",
            Err(_) => "the offer would be refused",
        };
        writeln!(out, "{then}; this is a preview, nothing was written")?;
        self.views.iter().try_for_each(|view| self.print_stream(view, out))
    }

    fn print_stream(&self, view: &StreamView, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\n{}", view.name)?;
        let always = Some(("always leaves", view.ids.clone())).filter(|(_, ids)| !ids.is_empty());
        let critical = view.critical.iter().map(|member| ("critical", member.in_words()));
        for (what, text) in view.words.iter().cloned().chain(always).chain(critical) {
            writeln!(out, "  {what:<13}  {}", shown(&text))?;
        }
        let Some(PreviewedRecord { place, fate }) = &view.seen else {
            let what = match view.mode {
                Mode::Append => {
                    format!("no record of {} was found in the newest of {} (--search, --record)", shown(self.asset), view.topic)
                }
                Mode::Upsert => format!("{} has no document in {} (--record)", shown(self.asset), view.topic),
            };
            return writeln!(out, "\n  {what}");
        };
        let leaving = match fate {
            PreviewFate::Leaves(leaving) => leaving,
            PreviewFate::Filtered(error) => {
                let place = match place {
                    Some(place) => format!("{} partition {} offset {}", view.topic, place.partition, place.offset),
                    None => "the record that was given".to_owned(),
                };
                writeln!(out, "\n  {place}")?;
                let why = error.map_or("is false".to_owned(), |error| format!("has no value: {error}"));
                return writeln!(out, "  it would not leave (filtered): of this record the profile's `when` {why}");
            }
            PreviewFate::DeadLetter { .. } | PreviewFate::Foreign { .. } => {
                return writeln!(out, "\n  {}", view.unusable().unwrap_or_default());
            }
        };
        let Leaving { projected, timestamp, is_in_window, members } = leaving.as_ref();
        match place {
            Some(place) => writeln!(out, "\n  {} partition {} offset {}, {timestamp}", view.topic, place.partition, place.offset)?,
            None => writeln!(out, "\n  the record that was given")?,
        }
        if !is_in_window {
            writeln!(out, "  it would not leave now: by --starts and --ends access is not open; while it is, the target sees this")?;
        }
        writeln!(out)?;
        let row = |member: &MemberView| {
            let to = match &member.to_member {
                Some(name) => format!("{name}: {}", short(&member.to)),
                None => short(&member.to),
            };
            vec![format!("  {}", member.member), member.fate.word().to_owned(), short(&member.from), to]
        };
        let sees = format!("{} SEES", self.parties.target);
        print_table(&["  MEMBER", "", "YOU HAVE", &sees], &members.iter().map(row).collect::<Vec<_>>(), out)?;
        writeln!(out, "\n  key    {}", shown(self.parties.target_asset))?;
        writeln!(out, "  value  {}", shown(&String::from_utf8_lossy(&projected.value)))?;
        if self.shows_share {
            writeln!(out, "         and as its last member `_share`: the share's id, its revision, and the epoch that decided")?;
        }
        Ok(())
    }

    fn to_json(&self, view: &StreamView) -> Vec<u8> {
        object(|out| {
            out.text("stream", &view.name);
            out.text("profile", &self.profile.name);
            match self.would {
                Ok(state) => out.text("state", state.word()),
                Err(reason) => out.text("refused", reason.code()),
            }
            document::write(&view.rules, out.member("rules"));
            out.text("topic", &view.topic);
            if !view.critical.is_empty() {
                out.texts("critical", view.critical.iter().map(|member| member.path.as_str()));
            }
            match &view.seen {
                Some(seen) => self.write_seen(seen, out),
                None => out.null("value"),
            }
        })
    }

    fn write_seen(&self, PreviewedRecord { place, fate }: &PreviewedRecord, out: &mut ObjectWriter<'_>) {
        if let Some(place) = place {
            out.number("partition", place.partition);
            out.number("offset", place.offset.0);
        }
        match fate {
            PreviewFate::Leaves(leaving) => {
                out.text("key", self.parties.target_asset);
                if place.is_some() {
                    out.time("timestamp", leaving.projected.timestamp.moment());
                }
                if !leaving.is_in_window {
                    out.flag("outside_window", true);
                }
                out.json("value", &leaving.projected.value);
                out.array("members", |items| leaving.members.iter().for_each(|member| items.object(|out| write_member(member, out))));
            }
            PreviewFate::Filtered(error) => {
                out.text("suppressed", Suppressed::Filtered.as_str());
                out.text_if("condition_error", error.map(|error| error.to_string()).as_deref());
                out.null("value");
            }
            PreviewFate::DeadLetter { reason, message } => {
                out.object("dead", |out| {
                    out.text("reason", reason);
                    out.text("message", message);
                });
                out.null("value");
            }
            PreviewFate::Foreign { owner, asset } => {
                out.object("foreign", |out| {
                    out.text("owner", owner);
                    out.text("asset", asset);
                });
                out.null("value");
            }
        }
    }
}

fn write_member(member: &MemberView, out: &mut ObjectWriter<'_>) {
    out.text("member", &member.member);
    out.text("fate", member.fate.word());
    out.text_if("to_member", member.to_member.as_deref());
    for (name, values) in [("from", &member.from), ("to", &member.to)] {
        out.array(name, |items| values.iter().for_each(|value| items.json(value.as_bytes())));
    }
}

/// Values in one cell.
fn short(values: &[String]) -> String {
    let text = if values.is_empty() { "-".to_owned() } else { values.join(", ") };
    if text.chars().count() <= SHOWN_CHARS {
        return text;
    }
    text.chars().take(SHOWN_CHARS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_short() {
        assert_eq!(short(&[]), "-");
        assert_eq!(short(&["1".to_owned(), "2".to_owned()]), "1, 2");
        let long = short(&["\u{e6}".repeat(40)]);
        assert_eq!((long.chars().count(), long.ends_with('…')), (SHOWN_CHARS, true));
        assert_eq!(short(&["x".repeat(SHOWN_CHARS)]), "x".repeat(SHOWN_CHARS));
    }
}
