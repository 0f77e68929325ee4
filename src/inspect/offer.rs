//! What a target would see of an offer, before anything is written: the profile in words, and records as `run` would project them, by the
//! same code, under the ids of the offer.

use std::sync::Arc;

use crate::config::{Config, Secret};
use crate::document::{DocumentKind, Node, TextPosition};
use crate::explain::RecordPlace;
use crate::id::{AssetId, Label, StreamSet, TenantId};
use crate::inspect::record_search::FoundRecord;
use crate::inspect::would_be::{Projected, Verdict, WouldBe};
use crate::json::document;
use crate::json::writer::{ObjectWriter, object};
use crate::profile::compile::Profile;
use crate::profile::condition::ConditionError;
use crate::profile::critical::{CriticalMember, critical_members};
use crate::profile::parties::Parties;
use crate::profile::preview::{MemberView, in_words, members};
use crate::profile::spec::{ProfileSpec, Section};
use crate::record::mapping::{FieldSource, Mode, Stream};
use crate::release::Suppressed;
use crate::share::state::{Permission, Reason, State};
use crate::share::table::ShareTable;
use crate::time::{TimestampMs, TimestampNs};

/// The tenant of an invitation, which nobody knows yet.
pub const INVITEE: &str = "INVITEE";

/// Why there is nothing to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreviewError {
    /// The offer would be refused.
    #[error("the offer would be refused: {}: {}", .0.code(), .0.in_words())]
    Refused(Reason),
    /// The profile cannot be read.
    #[error("{0}")]
    Broken(String),
    /// What leaves cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

/// Between whom an asset is to be shared.
#[derive(Debug, Clone)]
pub struct OfferSubject {
    /// Whose asset it is.
    pub owner: TenantId,
    /// The asset, in its owner's words.
    pub asset: AssetId,
    /// None of an invitation.
    pub target: Option<TenantId>,
    /// The asset, in the target's words.
    pub target_asset: AssetId,
}

impl OfferSubject {
    /// The target's id, or what stands for it.
    pub fn shown_target(&self) -> &str {
        self.target.as_ref().map_or(INVITEE, TenantId::as_str)
    }

    /// The share that the offer would make.
    pub fn share(&self, data: &Node, streams: &[&Stream], profile: Arc<Profile>, control_time: TimestampMs) -> WouldBe {
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

/// One stream of the offer.
pub struct StreamView {
    /// Its name.
    pub name: String,
    /// Its input topic.
    pub topic: String,
    /// Whether it keeps documents.
    pub mode: Mode,
    /// What of its records is always written.
    pub ids: String,
    /// The profile's section, as it was written.
    pub rules: Node,
    /// The same in words.
    pub words: Vec<(&'static str, String)>,
    /// Members that leave and are marked as critical.
    pub critical: Vec<CriticalMember>,
    /// The record that was looked at.
    pub seen: Option<PreviewedRecord>,
}

impl StreamView {
    /// Why the record that was looked at leaves for nobody.
    pub fn unusable(&self) -> Option<String> {
        let PreviewedRecord { place, fate } = self.seen.as_ref()?;
        let what = match fate {
            PreviewFate::Leaves(_) | PreviewFate::Filtered(_) => return None,
            PreviewFate::DeadLetter { reason, message } => format!("this record would be a dead letter: {reason}: {message}"),
            PreviewFate::Foreign { owner, asset } => {
                format!("this record is of asset {} of {owner}: the offer has no part in it", asset)
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
pub struct PreviewedRecord {
    /// Where it is; none of one that was given by hand.
    pub place: Option<RecordPlace>,
    /// What `run` would make of it.
    pub fate: PreviewFate,
}

/// What `run` would make of a record.
pub enum PreviewFate {
    /// It leaves.
    Leaves(Box<Leaving>),
    /// The profile's condition withholds it; why, where it has no value.
    Filtered(Option<ConditionError>),
    /// It is set aside.
    DeadLetter {
        /// Why.
        reason: &'static str,
        /// The same in words.
        message: String,
    },
    /// It is of another asset.
    Foreign {
        /// Whose.
        owner: String,
        /// Which.
        asset: String,
    },
}

/// A record as the target would see it.
pub struct Leaving {
    /// What the target gets.
    pub projected: Projected,
    /// The record's own Kafka timestamp.
    pub timestamp: TimestampMs,
    /// Whether it would leave now, and not only while the access lasts.
    pub is_in_window: bool,
    /// Member by member.
    pub members: Vec<MemberView>,
}

/// What an offer would show.
pub struct OfferPreview<'p> {
    /// The asset, in its owner's words.
    pub asset: &'p str,
    /// Between whom.
    pub parties: Parties<'p>,
    /// By which profile.
    pub profile: &'p OfferedProfile,
    /// To which state the offer leads, or which rule it breaks.
    pub would: Result<State, Reason>,
}

impl OfferPreview<'_> {
    /// One stream of it.
    pub fn to_json(&self, view: &StreamView) -> Vec<u8> {
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

/// The profile of an offer.
pub struct OfferedProfile {
    /// Its name.
    pub name: String,
    /// 1 at its first publication; none of the built-in one.
    pub version: Option<u32>,
    /// As it was published.
    spec: Node,
    sections: ProfileSpec,
    compiled: Arc<Profile>,
}

impl OfferedProfile {
    /// The one that the owner has published under this name.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn of(table: &ShareTable, owner: &str, name: &str, config: &Config) -> Result<Self, PreviewError> {
        let broken = |what: String| PreviewError::Broken(format!("profile {name}: {what}"));
        let read = |spec: &Node| ProfileSpec::read(spec).map_err(|error| broken(error.what));
        if name == "all" {
            let spec = Node { kind: DocumentKind::Map(Vec::new()), place: TextPosition::default() };
            let (sections, compiled) = (read(&spec)?, Arc::new(Profile::all(&config.streams)));
            return Ok(Self { name: name.to_owned(), version: None, spec, sections, compiled });
        }
        let found = table.profile_slot(owner, name).and_then(|slot| table.profile_in(slot)).filter(|profile| !profile.is_retired);
        let found = found.ok_or(PreviewError::Refused(Reason::UnknownProfile))?;
        let spec = document::parse(found.spec).map_err(|error| broken(error.to_string()))?;
        let sections = read(&spec)?;
        let compiled = Arc::new(Profile::compile(&sections, &config.streams));
        Ok(Self { name: name.to_owned(), version: Some(found.revision), spec, sections, compiled })
    }

    /// Compiled.
    pub fn compiled(&self) -> Arc<Profile> {
        Arc::clone(&self.compiled)
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

    /// What it says of a stream, with the record that was looked at.
    pub fn view(&self, stream: &Stream, seen: Option<PreviewedRecord>, config: &Config) -> StreamView {
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
    /// What `run` would make of a record at `clock`.
    ///
    /// # Errors
    /// The profile has nothing of the stream, or what leaves cannot be read.
    pub fn of(
        found: FoundRecord,
        stream: &Stream,
        share: &WouldBe,
        profile: &OfferedProfile,
        config: &Config,
        clock: TimestampMs,
    ) -> Result<Self, PreviewError> {
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
            Verdict::NotInProfile => return Err(PreviewError::Refused(Reason::StreamNotInProfile)),
        };
        let node = |bytes: &[u8]| document::parse(bytes).map_err(|error| PreviewError::Unreadable(error.to_string()));
        let (before, after) = (node(record.value.as_deref().unwrap_or_default())?, node(&projected.value)?);
        let members = profile.section(stream.name.as_str()).map(|section| members(&before, &after, &section)).unwrap_or_default();
        let leaving = Leaving { projected, timestamp: record.timestamp, is_in_window, members };
        Ok(Self { place, fate: PreviewFate::Leaves(Box::new(leaving)) })
    }
}
