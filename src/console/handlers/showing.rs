//! What leaves, why, and what happened.

use std::sync::Arc;

use crate::config::Secret;
use crate::console::ask::{Ask, Reply};
use crate::console::desk::Desk;
use crate::console::evaluate::{EvaluatedRecord, evaluate};
use crate::console::handlers::assets::{head, own_share, shares_of};
use crate::console::model::ShownShare;
use crate::console::newest::newest;
use crate::console::pages::assets::AssetTab;
use crate::console::pages::leaves::{AskedRule, LeavingExample, WhyAnswer};
use crate::console::pages::sharing::HistoryLine;
use crate::console::pages::{leaves as leaves_page, sharing};
use crate::console::shell::PagePlace;
use crate::explain::members::ProfileText;
use crate::explain::{ComparedValues, Explanation, ShareExplanation};
use crate::json::document;
use crate::profile::compile::Profile;
use crate::profile::spec::ProfileSpec;
use crate::serve::problem::Problem;
use crate::serve::view::CallerView;
use crate::share::event::kind::EventType;
use crate::share::state::Reason;
use crate::share::view::history::HistoryEntry;

/// What a profile lets out of the newest record of an asset, stream by stream.
pub(crate) async fn examples(desk: &Arc<Desk>, view: &CallerView, subject: &ShownShare) -> Result<Vec<LeavingExample>, Problem> {
    let config = desk.config();
    let (owner, asset) = (subject.owner.as_str(), subject.asset.as_deref().unwrap_or_default());
    let published = view.profile(owner, &subject.profile);
    let spec = published.and_then(|profile| document::parse(profile.spec).ok()).and_then(|node| ProfileSpec::read(&node).ok());
    let is_all = published.is_none() && subject.profile == "all";
    let compiled = match (&spec, is_all) {
        (Some(spec), _) => Profile::compile(spec, &config.streams),
        (None, true) => Profile::all(&config.streams),
        (None, false) => return Ok(Vec::new()),
    };
    let text = published.map(|profile| ProfileText::of(&profile)).unwrap_or_default();
    let mut all = Vec::new();
    for name in &subject.streams {
        let Some(stream) = config.stream(name) else { continue };
        let line = subject.profile_line();
        let Some(found) = newest(&desk.serve, stream, owner, asset).await? else {
            all.push(LeavingExample {
                stream: name.clone(),
                profile: line,
                at: None,
                before: None,
                after: None,
                members: Vec::new(),
                note: Some(format!(
                    "No record of {asset} was found among the newest of {name}. Once it reports, what leaves is shown here."
                )),
            });
            continue;
        };
        let target_asset = subject.target_asset.as_deref().unwrap_or(asset);
        let record =
            EvaluatedRecord { stream, record: &found.record, at: found.at, owner, asset, target: subject.receiver(), target_asset };
        let secret = config.mask_secret.as_ref().map(Secret::expose);
        all.push(evaluate(record, &line, compiled.section(stream.index), &text, secret));
    }
    Ok(all)
}

pub(crate) async fn leaves(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let head = head(desk, ask)?;
    let wanted = ask.fields.text("share");
    let all = shares_of(desk, ask, view, &head.asset);
    let shares: Vec<ShownShare> = all.into_iter().filter(|share| !share.status.is_over() || share.share == wanted).collect();
    let chosen = if wanted.is_empty() { shares.first() } else { shares.iter().find(|share| share.share == wanted) };
    let shown = match chosen {
        Some(chosen) => examples(desk, view, chosen).await?,
        None => Vec::new(),
    };
    let body = leaves_page::leaves(&head, &shares, chosen, &shown);
    Ok(Reply::page(format!("{} · What leaves", head.asset), PagePlace::Assets, body))
}

pub(crate) async fn why(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let (head, share) = (head(desk, ask)?, own_share(desk, ask, view, "share")?);
    let wanted = ask.fields.text("stream");
    let name = share.streams.iter().find(|stream| **stream == wanted).or(share.streams.first()).cloned().unwrap_or_default();
    let Some(stream) = desk.config().stream(&name) else { return Err(Problem::not_there()) };
    let found = newest(&desk.serve, stream, &share.owner, &head.asset).await?;
    let explanation =
        view.explain(desk.config(), stream, found.as_ref().map(|found| (&found.record, found.place)), &share.owner, &head.asset);
    let own = explanation.shares.iter().find(|explained| explained.share == share.share);
    let mut answer = answered(&name, &explanation, own, &share);
    answer.has_record = found.is_some();
    answer.record_at = found.as_ref().and_then(|found| found.at);
    let body = leaves_page::why(&head, &share, &share.streams, &answer);
    Ok(Reply::page(format!("{} · Why?", head.asset), PagePlace::Assets, body))
}

fn answered(stream: &str, explanation: &Explanation, own: Option<&ShareExplanation>, share: &ShownShare) -> WhyAnswer {
    let mut answer = WhyAnswer {
        stream: stream.to_owned(),
        record_at: None,
        has_record: false,
        verdict: None,
        rules: Vec::new(),
        remedy: None,
        notes: Vec::new(),
        example: None,
    };
    if let Some(refusal) = &explanation.dead {
        answer.verdict = Some(format!("it cannot be read ({refusal})"));
        answer.remedy = Some("Whoever writes the records has to mend them; they are kept as dead letters.".to_owned());
        return answer;
    }
    if explanation.waits_for.is_some() {
        answer.verdict = Some("a control record cannot be understood, and nothing is decided while it waits".to_owned());
        answer.remedy = Some("The operator looks at it under Health.".to_owned());
        return answer;
    }
    let Some(own) = own else {
        answer.verdict = Some(format!("the share does not name {stream}"));
        return answer;
    };
    let has_failed = own.suppressed.is_some();
    let last = own.compared.len().saturating_sub(1);
    let rule =
        |(at, compared): (usize, &ComparedValues)| AskedRule { words: rule_in_words(compared), has_failed: has_failed && at == last };
    answer.rules = own.compared.iter().enumerate().map(rule).collect();
    answer.notes.clone_from(&own.unknown);
    if let Some(reason) = own.suppressed {
        let last = own.compared.last();
        let is_state = last.is_some_and(|last| last.left == "state");
        let (verdict, remedy) = because(reason, is_state, share);
        // That a share is paused needs no second saying.
        let compared = last.filter(|_| !is_state).map(|last| format!(" ({})", rule_in_words(last))).unwrap_or_default();
        (answer.verdict, answer.remedy) = (Some(format!("{verdict}{compared}")), Some(remedy));
    }
    answer
}

/// What a rule compared, in the words of the pages.
fn rule_in_words(compared: &ComparedValues) -> String {
    let ComparedValues { left, op, right } = compared;
    match left.as_str() {
        "state" => format!("the share is {}", right.to_lowercase()),
        "reason" => Reason::ALL.iter().find(|reason| reason.code() == right).map_or(right.as_str(), |reason| reason.in_words()).to_owned(),
        "ended_at" => format!("it ended at {right}"),
        _ => format!("{left} {} {right}", in_words(op)),
    }
}

fn in_words(op: &str) -> &str {
    match op {
        "<" => "is before",
        "<=" => "is not after",
        ">" => "is after",
        "=" => "is",
        other => other,
    }
}

/// The reason as a sentence, and what would have to change. `is_state`: it is the share's state now, whatever the record's time.
fn because(reason: &str, is_state: bool, share: &ShownShare) -> (&'static str, String) {
    let to = share.receiver();
    match reason {
        "pending" => ("nobody has accepted the offer yet", format!("{to} has to accept it.")),
        "paused" => (
            if is_state { "the share is paused" } else { "the share was paused when the record was true" },
            "Whoever paused it resumes it; of a suspended tenant that is the operator.".to_owned(),
        ),
        "ended" => ("the share is over", "Offer it again.".to_owned()),
        "before_window" => {
            ("the record was true before the share began", "Let the share begin earlier, or wait for newer records.".to_owned())
        }
        "after_window" => (
            "the record was true after the share's end, or the share has ended",
            "Edit the share and give it a later end, or offer it again.".to_owned(),
        ),
        "profile_missing" => (
            "the sharing profile is retired, or has no section for this stream",
            "Publish the profile again, with a section for the stream.".to_owned(),
        ),
        "filtered" => (
            "the profile's condition is not true of the record",
            "Change the condition `when` of the profile, or wait for a record of which it is true.".to_owned(),
        ),
        "sampled" => (
            "the profile lets only some records through, and not this one",
            "Wait for the next, or change `sample` in the profile.".to_owned(),
        ),
        "deleted" => ("the document was deleted", "Write it again.".to_owned()),
        _ => ("a rule withholds it", "Ask whoever runs this installation.".to_owned()),
    }
}

/// A longer log is not read again while a person waits: the documents say what they know.
const LONGEST_LOG: i64 = 100_000;
/// Of the newest so many shares of an asset the log is asked.
const MOST_SHARES: usize = 100;

pub(crate) async fn history(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let head = head(desk, ask)?;
    let shares = shares_of(desk, ask, view, &head.asset);
    let (mut lines, is_whole) = told(desk, view, &shares).await;
    lines.sort_by_key(|line| std::cmp::Reverse((line.at, line.offset)));
    let body = maud::html! { (head.markup(AssetTab::History)) (sharing::history(&lines, is_whole)) };
    Ok(Reply::page(format!("{} · History", head.asset), PagePlace::Assets, body))
}

/// What the log tells of these shares; where it is too long, or cannot be read, what their documents say. And whether it is the log.
pub(crate) async fn told(desk: &Arc<Desk>, view: &CallerView, shares: &[ShownShare]) -> (Vec<HistoryLine>, bool) {
    let ids: Vec<&str> = shares.iter().map(|share| share.share.as_str()).collect();
    let is_short = !ids.is_empty() && ids.len() <= MOST_SHARES && view.epoch().0 < LONGEST_LOG;
    let read = if is_short { desk.serve.histories(view, &ids).await.ok() } else { None };
    match read {
        Some(histories) => {
            let of = |(share, entries): (&ShownShare, Vec<HistoryEntry>)| {
                entries.into_iter().map(|entry| line(share, entry)).collect::<Vec<_>>()
            };
            (shares.iter().zip(histories).flat_map(of).collect(), true)
        }
        None => (shares.iter().flat_map(moments).collect(), ids.is_empty()),
    }
}

/// One event, in words: what was done, by whom, and what became of it.
fn line(share: &ShownShare, entry: HistoryEntry) -> HistoryLine {
    let kind = EventType::parse(&entry.kind);
    let is_invitation = share.invitee.is_some();
    let what = match kind {
        Some(EventType::ShareOffered) if is_invitation => format!("invited {}", share.invitee.as_deref().unwrap_or_default()),
        Some(EventType::ShareOffered) => format!("offered to {}", share.receiver()),
        Some(EventType::ShareAccepted) => "accepted".to_owned(),
        Some(EventType::ShareDeclined) => "declined".to_owned(),
        Some(EventType::ShareCancelled) => "took the offer back".to_owned(),
        Some(EventType::ShareResent) => "sent it again".to_owned(),
        Some(EventType::ShareUpdated) => "changed it".to_owned(),
        Some(EventType::SharePaused) => "paused it".to_owned(),
        Some(EventType::ShareResumed) => "resumed it".to_owned(),
        Some(EventType::ShareRevoked) => "stopped it".to_owned(),
        Some(EventType::ShareLeft) => "left it".to_owned(),
        Some(EventType::ShareExpired) => "its time was over".to_owned(),
        Some(EventType::PartnershipEnded) => "ended the partnership".to_owned(),
        Some(EventType::TenantUpdated) => "changed a tenant".to_owned(),
        _ => entry.kind.trim_start_matches("sharecast.").to_owned(),
    };
    let source = match entry.source.as_str() {
        "/operator" => "the operator",
        "/engine" => "the engine",
        other => other.strip_prefix("/tenants/").unwrap_or(other),
    };
    let outcome = match (entry.outcome, entry.reason) {
        ("applied", _) => "Done".to_owned(),
        ("rejected", Some(code)) => {
            let words = Reason::ALL.iter().find(|reason| reason.code() == code).map_or(code, |reason| reason.in_words());
            format!("Refused: {words}")
        }
        ("repeated", _) => "Done before".to_owned(),
        _ => "It cannot be understood".to_owned(),
    };
    HistoryLine {
        offset: entry.offset.0,
        at: entry.time,
        share: share.share.clone(),
        what,
        by: entry.actor.map_or_else(|| source.to_owned(), |actor| format!("{actor} ({source})")),
        outcome,
    }
}

/// What a share's document says of its life.
pub(crate) fn moments(share: &ShownShare) -> Vec<HistoryLine> {
    let line = |offset: i64, at, what: String, by: &str| HistoryLine {
        offset,
        at,
        share: share.share.clone(),
        what,
        by: by.to_owned(),
        outcome: share.status.badge().word.to_owned(),
    };
    let offered = if share.invitee.is_some() {
        format!("invited {}", share.invitee.as_deref().unwrap_or_default())
    } else {
        format!("offered to {}", share.receiver())
    };
    let mut all = vec![line(0, share.offered_at, offered, &share.owner)];
    if let Some(at) = share.accepted_at {
        all.push(line(1, at, "accepted".to_owned(), share.target.as_deref().unwrap_or("the receiver")));
    }
    if let (Some(at), true) = (share.ended_at, share.status.is_over()) {
        let (what, by) = match share.status {
            crate::console::status::SharingStatus::Left => ("left", share.receiver()),
            crate::console::status::SharingStatus::Declined => ("declined", share.receiver()),
            crate::console::status::SharingStatus::Ended(_) | crate::console::status::SharingStatus::OfferOver => {
                ("ended by its time", "its time")
            }
            _ => ("ended", share.ended_by.as_deref().unwrap_or(&share.owner)),
        };
        all.push(line(2, at.millis(), what.to_owned(), by));
    }
    all
}
