//! Bringing one share's document up to date: from the decision to what is written.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Sweep;
use super::changes::Work;
use super::gate::Gates;
use super::partition::{Held, State};
use super::writes::{Bytes, Writes};
use crate::clock::BootTime;
use crate::decide::{ReleaseRules, add_compared, provenance, shown_permission};
use crate::engine::deciding::provenance_headers;
use crate::engine::letters::Letter;
use crate::engine::outbox::Origin;
use crate::engine::routes::{RouteIndex, Routes};
use crate::engine::topics::TopicNames;
use crate::id::{AssetId, Epoch, Offset, ShareId, StreamIndex, StreamSet, TenantId};
use crate::profile::compile::Projection;
use crate::profile::project::{Parties, Projector};
use crate::record::dead_letter::Reason;
use crate::record::decode::Identity;
use crate::record::mapping::Stream;
use crate::share::graph::{Grant, ProfileSlot, ShareGraph};
use crate::share::query::own_end;
use crate::standing::cause::{self, Cause, Gone, Occasion};
use crate::standing::entry::{self, Digest, StandingEntry};
use crate::standing::holding::{AssetHash, Current, Stood, Then, bring};
use crate::standing::wanted;
use crate::time::{Millis, Moment};

/// Kafka's largest record around key, value and headers, with room to spare.
const AROUND: usize = 120;

/// What bringing depends on of the configuration.
#[derive(Debug, Clone)]
pub struct UpsertRules {
    /// What is read and shown.
    pub release: ReleaseRules,
    /// Names of topics.
    pub names: TopicNames,
    /// What of the configuration shows in a document besides its projection: part of the digest.
    pub form: String,
    /// `output.headers`.
    pub passes_headers: Vec<String>,
    /// `provenance: headers`.
    pub has_provenance_headers: bool,
}

/// The document at hand, loaded in the projector.
#[derive(Debug, Clone, Copy)]
pub struct AtHand<'d> {
    /// Where it lies.
    pub offset: Offset,
    /// Its Kafka timestamp.
    pub timestamp: Millis,
    /// Its bytes.
    pub text: &'d [u8],
    /// Its headers that are passed on.
    pub passed: &'d [(String, Vec<u8>)],
}

/// Scratch memory of projecting.
#[derive(Debug)]
pub struct Projecting {
    /// Holds the document at hand.
    pub projector: Projector,
    bare: Vec<u8>,
    full: Vec<u8>,
    key: Vec<u8>,
    entry: Vec<u8>,
}

impl Projecting {
    /// `mask_secret` as for the projector.
    pub fn new(mask_secret: Option<&[u8]>) -> Self {
        let none = Vec::new;
        Self { projector: Projector::new(mask_secret), bare: none(), full: none(), key: none(), entry: none() }
    }
}

/// What a route takes of documents after it refused some.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Documents that are refused, by share and where they lie: dead letters when they are brought again. Another document of the
    /// same share may be taken.
    pub documents: FxHashSet<(ShareId, Offset)>,
    /// How many documents of a route one transaction takes at most, to pin the one that is refused.
    pub most: FxHashMap<RouteIndex, usize>,
}

/// One transaction's view and where its writes go.
pub struct Bringing<'a> {
    /// The configuration.
    pub rules: &'a UpsertRules,
    /// The graph.
    pub graph: &'a ShareGraph,
    /// What was told and is not carried out.
    pub told: Told<'a>,
    /// The epoch of the newest change in it.
    pub newest_change: Epoch,
    /// The larger of the clock and the graph's control time.
    pub now: Moment,
    /// The same instant, for what routes remember.
    pub boot: BootTime,
    /// Whether a place is free.
    pub gates: &'a Gates,
    /// Routes of this worker.
    pub routes: &'a mut Routes,
    /// What is refused.
    pub refusals: &'a Refusals,
    /// Scratch.
    pub projecting: &'a mut Projecting,
    /// Where it is written.
    pub writes: &'a mut Writes,
    /// Dead letters.
    pub letters: &'a mut Vec<Letter>,
}

/// Which share, of which asset.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'s> {
    /// The share.
    pub share: &'s ShareId,
    /// As the graph holds it.
    pub grant: Option<&'s Grant>,
    /// Its asset.
    pub identity: Identity<'s>,
    /// Why it is looked at now.
    pub occasion: Occasion,
}

/// Changes that were told and are not carried out: what comes after may find their effects in the view.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Shares, in the order of their causes.
    pub todo: &'a VecDeque<Work>,
    /// So many of them are done.
    pub done: usize,
    /// Profiles whose shares are not all in `todo` yet.
    pub(super) sweeps: &'a VecDeque<Sweep>,
}

impl Told<'_> {
    /// The time of the first change that may have taken away a document of this share.
    fn first(self, gone: Gone, share: &ShareId, profile: Option<ProfileSlot>, stream: StreamIndex) -> Option<Millis> {
        let withholds = |shown: StreamSet| gone == Gone::Place || !shown.contains(stream);
        let mut of_share = self.todo.iter().skip(self.done).filter(|work| work.share == *share);
        let of_profile = self.sweeps.iter().map(|sweep| &sweep.change).filter(|change| Some(change.profile) == profile);
        let swept = of_profile.filter(|change| gone == Gone::Share && withholds(change.shown)).map(|change| change.cause).next();
        of_share.find(|work| withholds(work.shown)).map(|work| work.cause).into_iter().chain(swept).min()
    }
}

impl Bringing<'_> {
    /// Brings one share up to date in one partition.
    pub fn bring(&mut self, held: &mut Held, stream: &Stream, subject: Subject<'_>, at_hand: Option<AtHand<'_>>) {
        let source = held.source();
        let State::Active(holding) = &mut held.state else { return };
        let Subject { share, grant, identity, .. } = subject;
        let asset = AssetHash::of(identity);
        let shown = grant.and_then(|grant| Some((grant, wanted(grant, self.graph, stream.index, self.now)?)));
        let place = shown.map(|(grant, _)| (&grant.target, &grant.target_asset));
        let stood = holding.stood(share, &held.draft).cloned();
        let current = if at_hand.is_some() { Current::Here } else { holding.document(asset, &held.draft) };
        let step = bring(stood.as_ref(), place, current);
        if let (true, Some(stood)) = (step.clears, &stood) {
            let gone = match place {
                None => Gone::Share,
                Some((target, key)) if stood.target != *target || stood.key != *key => Gone::Place,
                Some(_) => Gone::Document,
            };
            let time = self.tombstone_time(gone, subject, stream.index);
            self.clear(source, stream, taken_back(subject, stream.index, time), stood, time);
            held.draft.stands(share, None);
            held.is_written = true;
        }
        let Some((grant, projection)) = shown else {
            holding.ungate(share);
            return;
        };
        match step.then {
            Then::Rest => {}
            Then::Fetch(offset) => held.wants(offset),
            Then::Compare => self.put(held, stream, subject, grant, projection, at_hand, stood.as_ref()),
            Then::First => {
                let needs = holding.gate(share, &grant.target, asset, self.newest_change);
                if !self.gates.passes(stream.index, &grant.target, needs) {
                    return;
                }
                match (at_hand, current) {
                    (None, Current::At(offset)) => held.wants(offset),
                    _ => self.put(held, stream, subject, grant, projection, at_hand, None),
                }
            }
        }
    }

    /// Writes the document at hand unless it stands already.
    #[allow(clippy::too_many_arguments)]
    fn put(
        &mut self,
        held: &mut Held,
        stream: &Stream,
        subject: Subject<'_>,
        grant: &Grant,
        projection: &Projection,
        at_hand: Option<AtHand<'_>>,
        stood: Option<&Stood>,
    ) {
        let Some(document) = at_hand else { return };
        let source = held.source();
        let parties = Parties { owner: subject.identity.tenant, target: grant.target.as_str(), target_asset: grant.target_asset.as_str() };
        let Projecting { projector, bare, full, key, entry } = self.projecting;
        bare.clear();
        projector.project(document.text, projection, &parties, None, bare);
        add_compared(grant, &self.rules.release, bare);
        let digest = Digest::of(&self.rules.form, bare);
        let asset = AssetHash::of(subject.identity);
        let stands = Stood { target: grant.target.clone(), key: grant.target_asset.clone(), digest, asset };
        if stood.is_some_and(|stood| stood.digest == digest) {
            return;
        }
        let route = self.routes.find(&grant.target, stream.index, || self.rules.names.of_stream(&grant.target, &stream.name));
        if self.refusals.most.get(&route).is_some_and(|most| self.writes.documents_to(route) >= *most) {
            held.wants(document.offset);
            return;
        }
        full.clear();
        let provenance = provenance(grant, self.graph.epoch(), &self.rules.release);
        projector.project(document.text, projection, &parties, provenance.as_ref(), full);
        let limit = self.routes.limit_at(route, self.boot);
        let is_too_large = limit.is_some_and(|limit| full.len() + grant.target_asset.as_str().len() + AROUND > limit);
        if is_too_large || self.refusals.documents.contains(&(subject.share.clone(), document.offset)) {
            self.refuse(held, stream, subject, route, document, stood);
            return;
        }
        let Some(entry_value) = entry_of(subject, grant, document.offset, digest, self.graph.epoch()) else { return };
        key.clear();
        entry::write_key(&self.routes.get(route).topic, grant.target_asset.as_str(), key);
        entry.clear();
        entry_value.write(entry);
        let target_key = grant.target_asset.as_str().as_bytes();
        let bytes = Bytes { key: target_key, value: Some(full), standing_key: key, standing_value: Some(entry) };
        let again = work_of(subject, self.graph.control_time());
        self.writes.push((route, source), again, document.timestamp, Some(document.offset), bytes);
        let mut headers = document.passed.to_vec();
        if self.rules.has_provenance_headers {
            let origin = Origin { source, offset: document.offset };
            let permission = shown_permission(grant, &self.rules.release);
            headers.extend(provenance_headers(grant, self.graph.epoch(), permission, stream.name.as_str(), origin));
        }
        self.writes.head(headers);
        held.draft.stands(subject.share, Some(stands));
        held.is_written = true;
    }

    /// The target's topic does not take this document: it is a dead letter, and the one before it does not stay in its place.
    fn refuse(
        &mut self,
        held: &mut Held,
        stream: &Stream,
        subject: Subject<'_>,
        route: RouteIndex,
        document: AtHand<'_>,
        stood: Option<&Stood>,
    ) {
        let source = held.source();
        let topic = self.routes.get(route).topic.clone();
        if let Some(stood) = stood {
            let work = taken_back(subject, stream.index, document.timestamp);
            self.clear(source, stream, work, stood, document.timestamp);
        }
        held.draft.stands(subject.share, None);
        held.is_written = true;
        self.letters.push(Letter {
            topic: stream.topic.clone(),
            partition: source.partition,
            offset: document.offset,
            timestamp: document.timestamp,
            key: subject.grant.map(|grant| grant.target_asset.as_str().as_bytes().to_vec()),
            value: Some(self.projecting.full.clone()),
            reason: Reason::Refused,
            message: format!("refused by {topic}: the document is larger than its max.message.bytes, or it does not take its timestamp"),
        });
    }

    fn tombstone_time(&self, gone: Gone, subject: Subject<'_>, stream: StreamIndex) -> Millis {
        let Subject { share, grant, occasion, .. } = subject;
        let told = self.told.first(gone, share, grant.map(|grant| grant.profile), stream);
        let ended = own_end(None, grant.and_then(|grant| grant.ends.get()), self.now);
        cause::tombstone_time(gone, Cause { occasion, told, ended }, self.graph.control_time())
    }

    /// A tombstone where a document of the share stands.
    pub fn clear(&mut self, source: crate::transport::SourcePartition, stream: &Stream, work: Work, stood: &Stood, time: Millis) {
        let route = self.routes.find(&stood.target, stream.index, || self.rules.names.of_stream(&stood.target, &stream.name));
        let key = &mut self.projecting.key;
        key.clear();
        entry::write_key(&self.routes.get(route).topic, stood.key.as_str(), key);
        let bytes = Bytes { key: stood.key.as_str().as_bytes(), value: None, standing_key: key, standing_value: None };
        self.writes.push((route, source), work, time, None, bytes);
    }
}

fn entry_of(subject: Subject<'_>, grant: &Grant, offset: Offset, digest: Digest, epoch: Epoch) -> Option<StandingEntry> {
    Some(StandingEntry {
        share: subject.share.clone(),
        owner: TenantId::parse(subject.identity.tenant).ok()?,
        asset: AssetId::parse(subject.identity.asset).ok()?,
        target: grant.target.clone(),
        offset,
        digest,
        epoch,
    })
}

/// To bring the share again.
fn work_of(subject: Subject<'_>, control_time: Millis) -> Work {
    let Subject { share, identity, occasion, .. } = subject;
    let (owner, asset) = (TenantId::parse(identity.tenant), AssetId::parse(identity.asset));
    let cause = match occasion {
        Occasion::Record(at) | Occasion::Change(at) => at,
        Occasion::Reading => control_time,
    };
    Work {
        share: share.clone(),
        // What names an asset here was checked when it was read.
        owner: owner.unwrap_or_else(|_| unreachable!("a tenant's id")),
        asset: asset.unwrap_or_else(|_| unreachable!("an asset's id")),
        cause,
        shown: StreamSet::ALL,
    }
}

/// To bring the share again, whose document of the stream was taken back at `cause`.
fn taken_back(subject: Subject<'_>, stream: StreamIndex, cause: Millis) -> Work {
    Work { cause, shown: StreamSet::ALL.without(stream), ..work_of(subject, cause) }
}
