//! `share offer --preview`: what the target would see, before anything is written.
//!
//! The profile in words, and the asset's newest record of each stream as `run` would project it: by the same code, under the ids of
//! the offer.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use super::acting::{Acting, Format};
use super::bulk;
use super::exit::{Exit, Failure};
use super::printing::{Ended, exit, print_table, print_values, shown};
use super::reading::{Beginning, ControlFold};
use super::record_search::{Found, Search};
use super::send::random;
use super::share::Offer;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ProvenanceForm, Secret};
use crate::document::{Kind, Node, Place as At};
use crate::json::document;
use crate::json::text::write_string;
use crate::profile::compile::Profile;
use crate::profile::preview::{MemberView, in_words, members};
use crate::profile::project::{Parties, Projector, floor_timestamp};
use crate::profile::spec::ProfileSpec;
use crate::record::decode;
use crate::record::mapping::{Mode, Source, Stream};
use crate::share::bulk::{Intent, Plan, Why};
use crate::share::bulk_names::Run;
use crate::share::kind::EventType;
use crate::share::lines::{Named, Place};
use crate::share::state::{Reason, State};
use crate::share::table::ShareTable;

/// The tenant of an invitation, which nobody knows yet.
const INVITEE: &str = "INVITEE";
/// A value longer than this is cut short in the table.
const SHOWN_CHARS: usize = 32;

/// Runs the command.
pub(super) fn run(config: &Config, acting: &Acting, offer: &Offer) -> Result<Exit, Failure> {
    let patience = acting.patience_of_reader()?;
    let owner = acting.actor.as_ref().or(offer.owner.as_ref()).map(ToString::to_string);
    let owner = owner.ok_or_else(|| Failure::new(Exit::Usage, "whose asset is it? Say --as OWNER, or as the operator --owner OWNER"))?;
    let by_hand = by_hand(config, offer)?;
    let table = ControlFold::open(config, patience, Beginning::Snapshot)?.fold_to_end()?;
    let profile = Shown::of(&table, &owner, &offer.profile, config)?;
    let would = would_be(table, acting, offer)?;
    if let Err(reason @ (Reason::UnknownStream | Reason::StreamNotInProfile)) = would {
        return Err(refused(reason));
    }
    let asset = offer.asset.first().map(String::as_str).unwrap_or_default();
    let parties = Parties {
        owner: &owner,
        target: offer.to.as_ref().map_or(INVITEE, |tenant| tenant.as_str()),
        target_asset: offer.target_asset.as_deref().unwrap_or(asset),
    };
    let mut views = Vec::new();
    for stream in offer.streams.iter().filter_map(|name| config.stream(name)) {
        let found = match by_hand.iter().find(|(name, _)| name == stream.name.as_str()) {
            Some((_, path)) => Some(Found::by_hand(bulk::read(path)?)),
            None => Search { config, stream, owner: &owner, asset, newest: offer.search, patience }.newest()?,
        };
        views.push(profile.view(stream, found, &parties, config)?);
    }
    let all =
        Preview { asset, parties, profile: &profile, would, views: &views, shows_share: config.provenance == ProvenanceForm::Payload };
    exit(all.print(acting.output).map_err(Ended::from))?;
    would.map(|_| Exit::Ok).map_err(refused)
}

fn refused(reason: Reason) -> Failure {
    Failure::new(Exit::Failed, format!("the offer would be refused: {}: {}", reason.code(), reason.in_words()))
}

/// `--record`, by stream.
fn by_hand(config: &Config, offer: &Offer) -> Result<Vec<(String, PathBuf)>, Failure> {
    let named = |text: &String| match text.split_once('=') {
        Some((stream, path)) if config.stream(stream).is_some() => Ok((stream.to_owned(), PathBuf::from(path))),
        _ if offer.streams.len() == 1 => Ok((offer.streams[0].clone(), PathBuf::from(text))),
        _ => Err(Failure::new(Exit::Usage, format!("--record {text}: of which stream? Write STREAM=FILE"))),
    };
    offer.record.iter().map(named).collect()
}

/// The state that the offer would lead to, or the rule that it would break.
fn would_be(table: ShareTable, acting: &Acting, offer: &Offer) -> Result<Result<State, Reason>, Failure> {
    let bits = random()?;
    let draft = offer.draft(|| bits);
    let named = Named { place: Place::Argument, id: offer.asset.concat(), target_asset: None };
    let source = acting.source();
    let run = Run { source: &source, kind: EventType::ShareOffered, batch: None };
    let now = SystemClock.wall().max(table.control_time());
    let plan = Plan::make(table, now, &run, vec![Intent { named, data: draft.data }]);
    match (plan.rows.first(), plan.refusals.first().map(|refusal| &refusal.why)) {
        (Some(row), _) => Ok(Ok(row.after.unwrap_or(State::Pending))),
        (None, Some(Why::Rule(reason))) => Ok(Err(*reason)),
        (None, Some(Why::Malformed(what))) => Err(Failure::new(Exit::Usage, format!("the offer would not be understood: {what}"))),
        (None, _) => Ok(Err(Reason::InvalidEvent)),
    }
}

/// The profile of an offer.
struct Shown {
    name: String,
    /// 1 at its first publication; none of the built-in one.
    version: Option<u32>,
    spec: Node,
    compiled: Profile,
}

impl Shown {
    fn of(table: &ShareTable, owner: &str, name: &str, config: &Config) -> Result<Self, Failure> {
        if name == "all" {
            let spec = Node { kind: Kind::Map(Vec::new()), place: At::default() };
            return Ok(Self { name: name.to_owned(), version: None, spec, compiled: Profile::all(&config.streams) });
        }
        let found = table.profiles().find(|profile| profile.owner == owner && profile.name == name && !profile.is_retired);
        let found = found.ok_or_else(|| refused(Reason::UnknownProfile))?;
        let broken = |what: String| Failure::new(Exit::Failed, format!("profile {}: {what}", shown(name)));
        let spec = document::parse(found.spec).map_err(|error| broken(error.to_string()))?;
        let compiled = ProfileSpec::read(&spec).map_err(|error| broken(error.what))?;
        Ok(Self { name: name.to_owned(), version: Some(found.revision), compiled: Profile::compile(&compiled, &config.streams), spec })
    }

    /// The section as it was written.
    fn section(&self, stream: &str) -> Node {
        match (self.version, self.spec.get(stream)) {
            (None, _) => document::parse(br#"{"include":["$"]}"#).unwrap_or_else(|_| unreachable!("it is JSON")),
            (Some(_), Some(section)) => section.clone(),
            (Some(_), None) => Node { kind: Kind::Map(Vec::new()), place: At::default() },
        }
    }

    fn view(&self, stream: &Stream, found: Option<Found>, parties: &Parties<'_>, config: &Config) -> Result<StreamView, Failure> {
        let section = self.section(stream.name.as_str());
        let seen = found.map(|found| self.seen(stream, found, &section, parties, config)).transpose()?;
        Ok(StreamView { name: stream.name.to_string(), topic: stream.topic.clone(), mode: stream.mode, ids: ids(stream), section, seen })
    }

    fn seen(&self, stream: &Stream, found: Found, section: &Node, parties: &Parties<'_>, config: &Config) -> Result<Seen, Failure> {
        let mut projector = Projector::new(config.mask_secret.as_ref().map(Secret::expose));
        let rules = config.release_rules().read;
        let unreadable = |refusal: crate::record::dead_letter::Refusal| {
            let what = format!("{}: the record would be a dead letter, {}: {refusal}", stream.name, refusal.reason.as_str());
            Failure::new(Exit::BadData, what)
        };
        let text = decode::load(Some(&found.value), &rules, |text| projector.load(text)).map_err(unreadable)?;
        let mut value = Vec::new();
        let projection = self.compiled.section(stream.index).ok_or_else(|| refused(Reason::StreamNotInProfile))?;
        let steps = projector.project(text, projection, parties, None, &mut value);
        let timestamp = found.place.as_ref().map(|place| floor_timestamp(place.timestamp, steps));
        let node = |bytes: &[u8]| document::parse(bytes).map_err(|error| Failure::new(Exit::BadData, error));
        let members = members(&node(&found.value)?, &node(&value)?, section);
        Ok(Seen { found, value, timestamp, members })
    }
}

/// What of a stream's records is always written.
fn ids(stream: &Stream) -> String {
    let of = |source: &Source| !source.is_outside_value();
    let ids = match (of(&stream.mapping.tenant), of(&stream.mapping.asset)) {
        (true, true) => "the members that name tenant and asset, with the target's ids",
        (true, false) => "the member that names the tenant, with the target's id",
        (false, true) => "the member that names the asset, with the target's id",
        (false, false) => "",
    };
    let time = if stream.mapping.time.is_some() { "the time" } else { "" };
    [ids, time].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", and ")
}

/// One stream of the offer.
struct StreamView {
    name: String,
    topic: String,
    mode: Mode,
    ids: String,
    section: Node,
    seen: Option<Seen>,
}

/// A record as the target would see it.
struct Seen {
    found: Found,
    value: Vec<u8>,
    /// Of the record that the target would get.
    timestamp: Option<crate::time::Millis>,
    members: Vec<MemberView>,
}

struct Preview<'p> {
    asset: &'p str,
    parties: Parties<'p>,
    profile: &'p Shown,
    would: Result<State, Reason>,
    views: &'p [StreamView],
    shows_share: bool,
}

impl Preview<'_> {
    fn print(&self, format: Format) -> io::Result<()> {
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
        for (what, text) in in_words(&view.section).into_iter().chain(always) {
            writeln!(out, "  {what:<13}  {}", shown(&text))?;
        }
        let Some(Seen { found, value, members, .. }) = &view.seen else {
            let what = match view.mode {
                Mode::Append => {
                    format!("no record of {} was found in the newest of {} (--search, --record)", shown(self.asset), view.topic)
                }
                Mode::Upsert => format!("{} has no document in {} (--record)", shown(self.asset), view.topic),
            };
            return writeln!(out, "\n  {what}");
        };
        match &found.place {
            Some(place) => {
                writeln!(out, "\n  {} partition {} offset {}, {}\n", view.topic, place.partition, place.offset, place.timestamp)?
            }
            None => writeln!(out, "\n  the record that was given\n")?,
        }
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
        writeln!(out, "  value  {}", shown(&String::from_utf8_lossy(value)))?;
        if self.shows_share {
            writeln!(out, "         and as its last member `_share`: the share's id, its revision, and the epoch that decided")?;
        }
        Ok(())
    }

    fn to_json(&self, view: &StreamView) -> Vec<u8> {
        let mut out = b"{\"stream\":".to_vec();
        let text = |name: &str, text: &str, out: &mut Vec<u8>| {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            write_string(text, out);
        };
        write_string(&view.name, &mut out);
        text("profile", &self.profile.name, &mut out);
        match self.would {
            Ok(state) => text("state", state.word(), &mut out),
            Err(reason) => text("refused", reason.code(), &mut out),
        }
        out.extend_from_slice(b",\"rules\":");
        document::write(&view.section, &mut out);
        text("topic", &view.topic, &mut out);
        let Some(seen) = &view.seen else {
            out.extend_from_slice(b",\"value\":null}");
            return out;
        };
        if let Some(place) = &seen.found.place {
            out.extend_from_slice(format!(r#","partition":{},"offset":{}"#, place.partition, place.offset).as_bytes());
        }
        text("key", self.parties.target_asset, &mut out);
        if let Some(timestamp) = seen.timestamp {
            text("timestamp", &timestamp.to_string(), &mut out);
        }
        out.extend_from_slice(b",\"value\":");
        out.extend_from_slice(&seen.value);
        out.extend_from_slice(b",\"members\":[");
        for (at, member) in seen.members.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b",{\"member\":" } else { b"{\"member\":" });
            write_string(&member.member, &mut out);
            text("fate", member.fate.word(), &mut out);
            if let Some(name) = &member.to_member {
                text("to_member", name, &mut out);
            }
            out.extend_from_slice(format!(",\"from\":[{}],\"to\":[{}]}}", member.from.join(","), member.to.join(",")).as_bytes());
        }
        out.extend_from_slice(b"]}");
        out
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
