//! `share offer --preview`: what the target would see, before anything is written.
//!
//! The profile in words, and the asset's newest record of each stream as `run` would project it: by the same code, under the ids of
//! the offer.

mod output;

use std::path::PathBuf;
use std::sync::Arc;

use self::output::{Leaving, Preview, PreviewFate, PreviewedRecord, StreamView};
use crate::cli::args::ActorArgs;
use crate::cli::control_fold::{ControlFold, StartFrom};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{PrintError, exit, shown};
use crate::cli::random::random;
use crate::cli::share::args::OfferArgs;
use crate::cli::share::bulk;
use crate::cli::share::record_search::{FoundRecord, Search};
use crate::cli::share::would_be::{Verdict, WouldBe};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ProvenanceForm, Secret};
use crate::document::{DocumentKind, Node, TextPosition};
use crate::explain::record::WholeRecord;
use crate::id::{AssetId, Label, ProfileName, StreamSet, TenantId};
use crate::json::document;
use crate::profile::compile::Profile;
use crate::profile::critical::critical_members;
use crate::profile::parties::Parties;
use crate::profile::preview::{in_words, members};
use crate::profile::spec::{ProfileSpec, Section};
use crate::record::mapping::{FieldSource, Stream};
use crate::share::bulk::ids::Run;
use crate::share::bulk::input::{InputRef, Named};
use crate::share::bulk::{BulkPlan, Intent, Why};
use crate::share::event::kind::EventType;
use crate::share::state::{Permission, Reason, State};
use crate::share::table::ShareTable;
use crate::time::{TimestampMs, TimestampNs};

/// The tenant of an invitation, which nobody knows yet.
const INVITEE: &str = "INVITEE";

/// Runs the command. A record that would be a dead letter, or is not of the asset, is shown as that, and is exit 65.
pub(in crate::cli) fn run(config: &Config, acting: &ActorArgs, offer: &OfferArgs) -> Result<Exit, Failure> {
    let patience = acting.patience_of_reader()?;
    let subject = PreviewSubject::of(acting, offer)?;
    let bits = random()?;
    let draft = offer.draft(|| bits);
    let by_hand = by_hand(config, offer)?;
    let table = ControlFold::open(config, patience, StartFrom::Snapshot)?.fold_to_end()?;
    let profile = Shown::of(&table, subject.owner.as_str(), &offer.profile, config)?;
    let streams: Vec<&Stream> = offer.streams.iter().filter_map(|name| config.stream(name)).collect();
    let share = subject.share(&draft.data, &streams, Arc::clone(&profile.compiled), table.control_time());
    let would = would_be(table, acting, offer, draft.data)?;
    if let Err(reason @ (Reason::UnknownStream | Reason::StreamNotInProfile)) = would {
        return Err(refused(reason));
    }
    let clock = SystemClock.wall();
    let (owner, asset) = (subject.owner.as_str(), subject.asset.as_str());
    let mut views = Vec::new();
    for stream in streams {
        let found = match by_hand.iter().find(|(name, _)| name == stream.name.as_str()) {
            Some((_, path)) => {
                let record = WholeRecord::of_value(bulk::read(path)?, stream, owner, asset, clock);
                Some(FoundRecord { place: None, record })
            }
            None => Search { config, stream, owner, asset, newest: offer.search, patience }.newest()?,
        };
        let seen = found.map(|found| PreviewedRecord::of(found, stream, &share, &profile, config, clock)).transpose()?;
        views.push(profile.view(stream, seen, config));
    }
    let parties = Parties { owner, target: subject.shown_target(), target_asset: subject.target_asset.as_str() };
    let all =
        Preview { asset, parties, profile: &profile, would, views: &views, shows_share: config.provenance == ProvenanceForm::Payload };
    exit(all.print(acting.output).map_err(PrintError::from))?;
    let unusable: Vec<String> = views.iter().filter_map(StreamView::unusable).collect();
    match (would, unusable.as_slice()) {
        (Ok(_), []) => Ok(Exit::Ok),
        (Err(reason), []) => Err(refused(reason)),
        (Ok(_), _) => Err(Failure::new(Exit::BadData, unusable.join("\n"))),
        (Err(reason), _) => Err(Failure::new(Exit::BadData, format!("{}\n{}", unusable.join("\n"), refused(reason)))),
    }
}

fn refused(reason: Reason) -> Failure {
    Failure::new(Exit::Failed, format!("the offer would be refused: {}: {}", reason.code(), reason.in_words()))
}

/// Between whom the asset is to be shared.
struct PreviewSubject {
    owner: TenantId,
    asset: AssetId,
    /// None of an invitation.
    target: Option<TenantId>,
    target_asset: AssetId,
}

impl PreviewSubject {
    fn of(acting: &ActorArgs, offer: &OfferArgs) -> Result<Self, Failure> {
        let usage = |what: String| Failure::new(Exit::Usage, what);
        let owner = acting.actor.clone().or_else(|| offer.owner.clone());
        let owner = owner.ok_or_else(|| usage("whose asset is it? Say --as OWNER, or as the operator --owner OWNER".to_owned()))?;
        let asset = |option: &str, text: &str| AssetId::parse(text).map_err(|error| usage(format!("{option} '{}': {error}", shown(text))));
        let own = offer.asset.first().map(String::as_str).unwrap_or_default();
        let target_asset = offer.target_asset.as_deref().map(|text| asset("--target-asset", text)).transpose()?;
        let own = asset("--asset", own)?;
        ProfileName::parse(&offer.profile).map_err(|error| usage(format!("--profile '{}': {error}", shown(&offer.profile))))?;
        Ok(Self { owner, target: offer.to.clone(), target_asset: target_asset.unwrap_or_else(|| own.clone()), asset: own })
    }

    fn shown_target(&self) -> &str {
        self.target.as_ref().map_or(INVITEE, TenantId::as_str)
    }

    /// The share that the offer would make.
    fn share(&self, data: &Node, streams: &[&Stream], profile: Arc<Profile>, control_time: TimestampMs) -> WouldBe {
        let moment = |name: &str| data.get(name).and_then(Node::as_str).and_then(TimestampNs::parse_rfc3339);
        let permission = data.get("permission").and_then(Node::as_str);
        let permission = permission.and_then(|word| Permission::ALL.into_iter().find(|known| known.word() == word));
        WouldBe {
            owner: self.owner.clone(),
            asset: self.asset.clone(),
            target: self.target.clone().unwrap_or_else(|| TenantId::parse(INVITEE).unwrap_or_else(|_| unreachable!("it is a tenant id"))),
            target_asset: self.target_asset.clone(),
            streams: streams.iter().fold(StreamSet::default(), |set, stream| set.with(stream.index)),
            profile,
            permission: permission.unwrap_or(Permission::View),
            label: data.get("label").and_then(Node::as_str).map(Label::from),
            starts: moment("starts"),
            ends: moment("ends"),
            control_time,
        }
    }
}

/// `--record`, by stream.
fn by_hand(config: &Config, offer: &OfferArgs) -> Result<Vec<(String, PathBuf)>, Failure> {
    let usage = |what: String| Failure::new(Exit::Usage, what);
    let mut records: Vec<(String, PathBuf)> = Vec::new();
    for text in &offer.record {
        let (stream, path) = match text.split_once('=') {
            Some((stream, path)) if config.stream(stream).is_some() => (stream, path),
            _ if offer.streams.len() == 1 => (offer.streams[0].as_str(), text.as_str()),
            _ => return Err(usage(format!("--record {}: of which stream? Write STREAM=FILE", shown(text)))),
        };
        if !offer.streams.iter().any(|named| named == stream) {
            return Err(usage(format!("--record {}: {stream} is not offered; name it in --streams", shown(text))));
        }
        if records.iter().any(|(known, _)| known == stream) {
            return Err(usage(format!("--record {}: {stream} has a record already, and one is shown", shown(text))));
        }
        records.push((stream.to_owned(), PathBuf::from(path)));
    }
    if records.iter().filter(|(_, path)| path.as_os_str() == "-").count() > 1 {
        return Err(usage("--record: standard input can be one record only".to_owned()));
    }
    Ok(records)
}

/// The state that the offer would lead to, or the rule that it would break.
fn would_be(table: ShareTable, acting: &ActorArgs, offer: &OfferArgs, data: Node) -> Result<Result<State, Reason>, Failure> {
    let named = Named { place: InputRef::Argument, id: offer.asset.concat(), target_asset: None };
    let source = acting.source();
    let run = Run { source: &source, kind: EventType::ShareOffered, batch: None };
    let now = SystemClock.wall().max(table.control_time());
    let plan = BulkPlan::make(table, now, &run, vec![Intent { named, data }]);
    match (plan.rows.first(), plan.refusals.first().map(|refusal| &refusal.why)) {
        (Some(row), _) => Ok(Ok(row.after.unwrap_or(State::Pending))),
        (None, Some(Why::Rule(reason))) => Ok(Err(*reason)),
        (None, Some(Why::Malformed(what))) => Err(Failure::new(Exit::Usage, format!("the offer would not be understood: {what}"))),
        (None, _) => Ok(Err(Reason::InvalidEvent)),
    }
}

/// The profile of an offer.
pub(super) struct Shown {
    pub(super) name: String,
    /// 1 at its first publication; none of the built-in one.
    pub(super) version: Option<u32>,
    /// As it was published.
    spec: Node,
    sections: ProfileSpec,
    compiled: Arc<Profile>,
}

impl Shown {
    fn of(table: &ShareTable, owner: &str, name: &str, config: &Config) -> Result<Self, Failure> {
        let broken = |what: String| Failure::new(Exit::Failed, format!("profile {}: {what}", shown(name)));
        let read = |spec: &Node| ProfileSpec::read(spec).map_err(|error| broken(error.what));
        if name == "all" {
            let spec = Node { kind: DocumentKind::Map(Vec::new()), place: TextPosition::default() };
            let (sections, compiled) = (read(&spec)?, Arc::new(Profile::all(&config.streams)));
            return Ok(Self { name: name.to_owned(), version: None, spec, sections, compiled });
        }
        let found = table.profiles().find(|profile| profile.owner == owner && profile.name == name && !profile.is_retired);
        let found = found.ok_or_else(|| refused(Reason::UnknownProfile))?;
        let spec = document::parse(found.spec).map_err(|error| broken(error.to_string()))?;
        let sections = read(&spec)?;
        let compiled = Arc::new(Profile::compile(&sections, &config.streams));
        Ok(Self { name: name.to_owned(), version: Some(found.revision), spec, sections, compiled })
    }

    /// The section, none if the profile has nothing of the stream.
    fn section(&self, stream: &str) -> Option<Section> {
        if self.version.is_some() { self.sections.section(stream).cloned() } else { Some(Section::all()) }
    }

    /// The section as it was written.
    fn rules(&self, stream: &str) -> Node {
        match (self.version, self.spec.get(stream)) {
            (None, _) => document::parse(br#"{"include":["$"]}"#).unwrap_or_else(|_| unreachable!("it is JSON")),
            (Some(_), Some(section)) => section.clone(),
            (Some(_), None) => Node { kind: DocumentKind::Map(Vec::new()), place: TextPosition::default() },
        }
    }

    fn view(&self, stream: &Stream, seen: Option<PreviewedRecord>, config: &Config) -> StreamView {
        let name = stream.name.to_string();
        let section = self.section(&name);
        let words = section.as_ref().map(in_words).unwrap_or_default();
        let critical = section.map(|section| critical_members(&section, config.critical(stream.index), &stream.mapping));
        let critical = critical.unwrap_or_default();
        StreamView {
            rules: self.rules(&name),
            words,
            critical,
            topic: stream.topic.clone(),
            mode: stream.mode,
            ids: ids(stream),
            seen,
            name,
        }
    }
}

/// What of a stream's records is always written.
fn ids(stream: &Stream) -> String {
    let of = |source: &FieldSource| !source.is_outside_value();
    let ids = match (of(&stream.mapping.tenant), of(&stream.mapping.asset)) {
        (true, true) => "the members that name tenant and asset, with the target's ids",
        (true, false) => "the member that names the tenant, with the target's id",
        (false, true) => "the member that names the asset, with the target's id",
        (false, false) => "",
    };
    let time = if stream.mapping.time.is_some() { "the time" } else { "" };
    [ids, time].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", and ")
}

impl PreviewedRecord {
    fn of(
        found: FoundRecord,
        stream: &Stream,
        share: &WouldBe,
        profile: &Shown,
        config: &Config,
        clock: TimestampMs,
    ) -> Result<Self, Failure> {
        let FoundRecord { place, record } = found;
        let secret = config.mask_secret.as_ref().map(Secret::expose);
        let (projected, is_in_window) = match share.decide(&record, stream, config.release_rules(), secret, clock) {
            Verdict::Leaves(projected) => (projected, true),
            Verdict::OutsideWindow(projected) => (projected, false),
            Verdict::DeadLetter(refusal) => {
                let fate = PreviewFate::DeadLetter { reason: refusal.reason.as_str(), message: refusal.to_string() };
                return Ok(Self { place, fate });
            }
            Verdict::Filtered(error) => return Ok(Self { place, fate: PreviewFate::Filtered(error) }),
            Verdict::Foreign { owner, asset } => return Ok(Self { place, fate: PreviewFate::Foreign { owner, asset } }),
            Verdict::NotInProfile => return Err(refused(Reason::StreamNotInProfile)),
        };
        let node = |bytes: &[u8]| document::parse(bytes).map_err(|error| Failure::new(Exit::BadData, error));
        let (before, after) = (node(record.value.as_deref().unwrap_or_default())?, node(&projected.value)?);
        let members = profile.section(stream.name.as_str()).map(|section| members(&before, &after, &section)).unwrap_or_default();
        let leaving = Leaving { projected, timestamp: record.timestamp, is_in_window, members };
        Ok(Self { place, fate: PreviewFate::Leaves(Box::new(leaving)) })
    }
}
