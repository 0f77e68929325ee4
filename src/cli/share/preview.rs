//! `share offer --preview`: what the target would see, before anything is written.
//!
//! The profile in words, and the asset's newest record of each stream as `run` would project it: by the same code, under the ids of
//! the offer.

mod output;

use std::path::PathBuf;

use crate::cli::args::ActorArgs;
use crate::cli::control_fold::{ControlFold, StartFrom};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{PrintError, exit, shown};
use crate::cli::random::random;
use crate::cli::share::args::OfferArgs;
use crate::cli::share::bulk;
use crate::cli::share::look::newest;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ProvenanceForm};
use crate::document::Node;
use crate::explain::record::WholeRecord;
use crate::id::{AssetId, ProfileName};
use crate::inspect::offer::{OfferPreview, OfferSubject, OfferedProfile, PreviewError, PreviewedRecord, StreamView};
use crate::inspect::record_search::{FoundRecord, Search};
use crate::profile::parties::Parties;
use crate::record::mapping::Stream;
use crate::share::bulk::ids::Run;
use crate::share::bulk::input::{InputRef, Named};
use crate::share::bulk::{BulkPlan, Intent, Why};
use crate::share::event::kind::EventType;
use crate::share::state::{Reason, State};
use crate::share::table::ShareTable;

/// Runs the command. A record that would be a dead letter, or is not of the asset, is shown as that, and is exit 65.
pub(in crate::cli) fn run(config: &Config, acting: &ActorArgs, offer: &OfferArgs) -> Result<Exit, Failure> {
    let patience = acting.patience_of_reader()?;
    let subject = subject(acting, offer)?;
    let bits = random()?;
    let draft = offer.draft(|| bits);
    let by_hand = by_hand(config, offer)?;
    let table = ControlFold::open(config, patience, StartFrom::Snapshot)?.fold_to_end()?;
    let profile = OfferedProfile::of(&table, subject.owner.as_str(), &offer.profile, config).map_err(failure)?;
    let streams: Vec<&Stream> = offer.streams.iter().filter_map(|name| config.stream(name)).collect();
    let share = subject.share(&draft.data, &streams, profile.compiled(), table.control_time());
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
            None => {
                let search = Search { config, stream, owner, asset, newest: offer.search, searches_all_documents: true, patience };
                newest(&search)?
            }
        };
        let seen = found.map(|found| PreviewedRecord::of(found, stream, &share, &profile, config, clock)).transpose().map_err(failure)?;
        views.push(profile.view(stream, seen, config));
    }
    let parties = Parties { owner, target: subject.shown_target(), target_asset: subject.target_asset.as_str() };
    let all = OfferPreview { asset, parties, profile: &profile, would };
    let shows_share = config.provenance == ProvenanceForm::Payload;
    exit(output::print(&all, &views, shows_share, acting.output).map_err(PrintError::from))?;
    let unusable: Vec<String> = views.iter().filter_map(StreamView::unusable).collect();
    match (would, unusable.as_slice()) {
        (Ok(_), []) => Ok(Exit::Ok),
        (Err(reason), []) => Err(refused(reason)),
        (Ok(_), _) => Err(Failure::new(Exit::BadData, unusable.join("\n"))),
        (Err(reason), _) => Err(Failure::new(Exit::BadData, format!("{}\n{}", unusable.join("\n"), refused(reason)))),
    }
}

fn refused(reason: Reason) -> Failure {
    failure(PreviewError::Refused(reason))
}

fn subject(acting: &ActorArgs, offer: &OfferArgs) -> Result<OfferSubject, Failure> {
    let usage = |what: String| Failure::new(Exit::Usage, what);
    let owner = acting.actor.clone().or_else(|| offer.owner.clone());
    let owner = owner.ok_or_else(|| usage("whose asset is it? Say --as OWNER, or as the operator --owner OWNER".to_owned()))?;
    let asset = |option: &str, text: &str| AssetId::parse(text).map_err(|error| usage(format!("{option} '{}': {error}", shown(text))));
    let own = offer.asset.first().map(String::as_str).unwrap_or_default();
    let target_asset = offer.target_asset.as_deref().map(|text| asset("--target-asset", text)).transpose()?;
    let own = asset("--asset", own)?;
    ProfileName::parse(&offer.profile).map_err(|error| usage(format!("--profile '{}': {error}", shown(&offer.profile))))?;
    Ok(OfferSubject { owner, target: offer.to.clone(), target_asset: target_asset.unwrap_or_else(|| own.clone()), asset: own })
}

/// As commands end for it.
fn failure(error: PreviewError) -> Failure {
    let exit = match error {
        PreviewError::Refused(_) | PreviewError::Broken(_) => Exit::Failed,
        PreviewError::Unreadable(_) => Exit::BadData,
    };
    Failure::new(exit, shown(&error.to_string()))
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
