//! What `share offer --preview` shows, for people and as JSON.

use std::io::{self, BufWriter, Write};

use crate::cli::args::Format;
use crate::cli::output::{print_table, print_values, shown};
use crate::inspect::offer::{Leaving, OfferPreview, PreviewFate, PreviewedRecord, StreamView};
use crate::profile::parties::Parties;
use crate::profile::preview::MemberView;
use crate::record::mapping::Mode;
use crate::share::state::State;

/// A value longer than this is cut short in the table.
const SHOWN_CHARS: usize = 32;

/// Prints all of it.
pub(super) fn print(preview: &OfferPreview<'_>, views: &[StreamView], shows_share: bool, format: Format) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if format == Format::Table {
        print_for_people(preview, views, shows_share, &mut out)?;
    } else {
        print_values(format, views.iter().map(|view| preview.to_json(view)), &mut out)?;
    }
    out.flush()
}

fn print_for_people(preview: &OfferPreview<'_>, views: &[StreamView], shows_share: bool, out: &mut impl Write) -> io::Result<()> {
    let Parties { owner, target, target_asset } = preview.parties;
    let version = preview.profile.version.map(|version| format!(" (version {version})")).unwrap_or_default();
    writeln!(
        out,
        "{} of {owner} for {target} as {}, by profile {}{version}",
        shown(preview.asset),
        shown(target_asset),
        shown(&preview.profile.name)
    )?;
    let then = match preview.would {
        Ok(State::Active) => "the offer is accepted by itself: data flows at once",
        Ok(_) => "nothing flows before the offer is accepted",
        Err(_) => "the offer would be refused",
    };
    writeln!(out, "{then}; this is a preview, nothing was written")?;
    views.iter().try_for_each(|view| print_stream(preview, view, shows_share, out))
}

fn print_stream(preview: &OfferPreview<'_>, view: &StreamView, shows_share: bool, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n{}", view.name)?;
    let always = Some(("always leaves", view.ids.clone())).filter(|(_, ids)| !ids.is_empty());
    let critical = view.critical.iter().map(|member| ("critical", member.in_words()));
    for (what, text) in view.words.iter().cloned().chain(always).chain(critical) {
        writeln!(out, "  {what:<13}  {}", shown(&text))?;
    }
    let Some(PreviewedRecord { place, fate }) = &view.seen else {
        let what = match view.mode {
            Mode::Append => {
                format!("no record of {} was found in the newest of {} (--search, --record)", shown(preview.asset), view.topic)
            }
            Mode::Upsert => format!("{} has no document in {} (--record)", shown(preview.asset), view.topic),
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
            return writeln!(out, "\n  {}", shown(&view.unusable().unwrap_or_default()));
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
    let sees = format!("{} SEES", preview.parties.target);
    print_table(&["  MEMBER", "", "YOU HAVE", &sees], &members.iter().map(row).collect::<Vec<_>>(), out)?;
    writeln!(out, "\n  key    {}", shown(preview.parties.target_asset))?;
    writeln!(out, "  value  {}", shown(&String::from_utf8_lossy(&projected.value)))?;
    if shows_share {
        writeln!(out, "         and as its last member `_share`: the share's id, its revision, and the epoch that decided")?;
    }
    Ok(())
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
