//! Asset → Sharing: the sections, and editing a share: what would change is reviewed, then written.

use std::sync::Arc;

use crate::console::ask::{Ask, Reply};
use crate::console::desk::{Desk, begins, day_of_begin, day_of_end, ends};
use crate::console::handlers::assets::{head, own_share, shares_of};
use crate::console::handlers::{said, sentence};
use crate::console::model::ShownShare;
use crate::console::pages::sharing::{ChangeReview, ShareEdit, SharingPage, SharingSection, sharing as page_of};
use crate::console::shell::PagePlace;
use crate::document::Node;
use crate::serve::problem::Problem;
use crate::serve::view::CallerView;
use crate::serve::write::order::{DataBuilder, WriteOrder};
use crate::serve::write::receipt::WriteReceipt;
use crate::share::event::kind::EventType;
use crate::share::state::State;
use crate::time::TimestampNs;

/// FormFields of an edit, as they stand in the share.
fn standing(share: &ShownShare, stream: &str) -> ShareEdit {
    ShareEdit {
        share: share.share.clone(),
        stream: stream.to_owned(),
        to: share.target.clone().unwrap_or_default(),
        target_asset: share.target_asset.clone().unwrap_or_default(),
        profile: share.profile.clone(),
        from: day_of_begin(share.starts),
        until: day_of_end(share.ends),
        permission: share.permission.to_owned(),
        errors: Vec::new(),
    }
}

fn typed(ask: &Ask) -> ShareEdit {
    let text = |name: &str| ask.fields.text(name);
    ShareEdit {
        share: text("edit"),
        stream: text("stream"),
        to: text("to"),
        target_asset: text("target_asset"),
        profile: text("profile"),
        from: text("from"),
        until: text("until"),
        permission: text("permission"),
        errors: Vec::new(),
    }
}

/// What an edit comes to: the events that make it so.
struct EditPlan {
    sentences: Vec<String>,
    /// Of the share that is there; none if nothing of it changes, or it makes way for another.
    update: Option<Node>,
    /// Another target: the one that is there ends, and this is offered.
    offer: Option<Node>,
    is_pending: bool,
}

/// `label` is the share's whole one.
fn plan(share: &ShownShare, label: Option<&str>, edit: &mut ShareEdit) -> EditPlan {
    let before = standing(share, &edit.stream);
    let receiver = share.receiver().to_owned();
    let mut sentences = Vec::new();
    let mut say = |what: &str, old: &str, new: &str| {
        let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        sentences.push(format!("{receiver}: {what} changes from {} to {}.", or_none(old), or_none(new)));
    };
    for (day, field) in [(&edit.from, "from"), (&edit.until, "until")] {
        if !day.is_empty() && begins(day).is_none() {
            edit.errors.push((field, "This is no day. Write it as 2026-05-31.".to_owned()));
        }
    }
    let moment = |at: Option<TimestampNs>| at.map(|at| at.to_string());
    let (starts, until) = (moment(begins(&edit.from)), moment(ends(&edit.until)));
    let is_another = edit.to != before.to && share.target.is_some();
    let mut data = DataBuilder::default().text("share", &share.share);
    let mut changed = false;
    if edit.target_asset != before.target_asset {
        say("the target asset", &before.target_asset, &edit.target_asset);
        (data, changed) = (data.text("target_asset", &edit.target_asset), true);
    }
    if edit.profile != before.profile {
        say("the sharing profile", &before.profile, &edit.profile);
        (data, changed) = (data.text("profile", &edit.profile), true);
    }
    if edit.permission != before.permission {
        say("the permission", &before.permission, &edit.permission);
        (data, changed) = (data.text("permission", &edit.permission), true);
    }
    if edit.from != before.from {
        say("the beginning", &before.from, if edit.from.is_empty() { "at once" } else { &edit.from });
        (data, changed) = (data.clearable("starts", Some(starts.as_deref())), true);
    }
    if edit.until != before.until {
        say(
            "the end",
            if before.until.is_empty() { "for good" } else { &before.until },
            if edit.until.is_empty() { "for good" } else { &edit.until },
        );
        (data, changed) = (data.clearable("ends", Some(until.as_deref())), true);
    }
    let is_pending = share.accepted_at.is_none();
    let update = (changed && !is_another).then(|| data.build());
    let offer = is_another.then(|| {
        // An unchanged window is taken over to the nanosecond.
        let starts = if edit.from == before.from { moment(share.starts) } else { starts };
        let until = if edit.until == before.until { moment(share.ends) } else { until };
        DataBuilder::default()
            .text("owner", &share.owner)
            .text("asset", share.asset.as_deref().unwrap_or_default())
            .text("target_tenant", &edit.to)
            .text_if("target_asset", Some(edit.target_asset.as_str()).filter(|id| !id.is_empty()))
            .texts_if("streams", Some(&share.streams))
            .text("profile", &edit.profile)
            .text("permission", &edit.permission)
            .text_if("starts", starts.as_deref())
            .text_if("ends", until.as_deref())
            .text_if("label", label)
            .build()
    });
    if is_another {
        sentences.insert(0, format!("{receiver} gets no more of {}: this share ends.", share.machine()));
        sentences.push(format!("{} is offered {} of {}.", edit.to, share.streams.join(" and "), share.machine()));
    }
    EditPlan { sentences, update, offer, is_pending }
}

pub(crate) async fn sharing(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let edited = ask.fields.text("edit");
    let mut review = None;
    let edit = if edited.is_empty() {
        None
    } else {
        let share = own_share(desk, ask, view, "edit")?;
        let has_typed = ask.fields.has("review") || ask.fields.has("typed");
        let mut edit = if has_typed { typed(ask) } else { standing(&share, &ask.fields.text("stream")) };
        if ask.fields.has("review") {
            review = reviewed(desk, ask, &share, &mut edit).await;
        }
        Some(edit)
    };
    whole(desk, ask, view, edit, review)
}

/// What would change, if the trial takes it; else the edit has the errors.
async fn reviewed(desk: &Arc<Desk>, ask: &Ask, share: &ShownShare, edit: &mut ShareEdit) -> Option<ChangeReview> {
    let plan = plan(share, share.label.as_deref(), edit);
    if !edit.errors.is_empty() {
        return None;
    }
    let is_another = plan.offer.is_some();
    let order = match (plan.update, plan.offer) {
        (Some(update), _) => WriteOrder::one(EventType::ShareUpdated, &share.share, update),
        (None, Some(offer)) => WriteOrder::one(EventType::ShareOffered, share.machine(), offer),
        (None, None) => return Some(ChangeReview::default()),
    };
    match desk.serve.review(ask.caller(), order, None).await {
        Ok(tried) => match tried.refusals().first() {
            None => Some(ChangeReview { sentences: plan.sentences, critical: tried.critical().to_vec(), is_another_target: is_another }),
            Some(refusal) => {
                edit.errors.push((field_of(refusal.reason.map(crate::share::state::Reason::code)), capital(&refusal.detail)));
                None
            }
        },
        Err(problem) => {
            edit.errors.push((field_of(problem.reason.map(crate::share::state::Reason::code)), sentence(&problem)));
            None
        }
    }
}

/// Which field a rule is about.
pub(crate) fn field_of(reason: Option<&str>) -> &'static str {
    match reason {
        Some("no_partnership" | "self_share" | "tenant_suspended") => "to",
        Some("target_in_use") => "target_asset",
        Some("unknown_profile" | "stream_not_in_profile" | "invalid_profile") => "profile",
        Some("invalid_window") => "until",
        Some("unknown_stream" | "more_than_offered") => "streams",
        _ => "",
    }
}

pub(crate) fn capital(text: &str) -> String {
    sentence(&Problem::malformed(text))
}

pub(crate) async fn save(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let head = head(desk, ask)?;
    let share = own_share(desk, ask, view, "edit")?;
    let mut edit = typed(ask);
    let label = view.share(&share.share).and_then(|share| share.document().label);
    let plan = plan(&share, label, &mut edit);
    let is_confirmed = !ask.fields.all("critical").is_empty();
    let key = ask.key().unwrap_or_default();
    let is_moved = plan.offer.is_some();
    let written = match (plan.update, plan.offer) {
        (Some(update), _) => {
            let order = WriteOrder::one(EventType::ShareUpdated, &share.share, update).confirmed(is_confirmed);
            desk.serve.write(ask.caller(), order, Some(key)).await.and_then(WriteReceipt::single).map(|_| ())
        }
        (None, Some(offer)) => another_target(desk, ask, &share, offer, plan.is_pending, is_confirmed, key).await,
        (None, None) => Ok(()),
    };
    match written {
        Ok(()) => Ok(Reply::see(head.address_with("sharing", &[("done", if is_moved { "moved" } else { "saved" }), ("on", &share.share)]))),
        Err(problem) => {
            let field = field_of(problem.reason.map(crate::share::state::Reason::code));
            edit.errors.push((field, sentence(&problem)));
            whole(desk, ask, view, Some(edit), None)
        }
    }
}

/// One step: the share that is there ends, then the new one is offered. What cannot be offered ends nothing.
async fn another_target(
    desk: &Arc<Desk>,
    ask: &Ask,
    share: &ShownShare,
    offer: Node,
    is_pending: bool,
    is_confirmed: bool,
    key: &str,
) -> Result<(), Problem> {
    let offer = WriteOrder::one(EventType::ShareOffered, share.machine(), offer).confirmed(is_confirmed);
    let tried = desk.serve.review(ask.caller(), offer.clone(), Some(key)).await?;
    if let Some(refusal) = tried.refusals().first() {
        return Err(refusal.reason.map_or_else(|| Problem::malformed(&refusal.detail), |reason| Problem::broken(reason, &refusal.detail)));
    }
    let kind = if is_pending { EventType::ShareCancelled } else { EventType::ShareRevoked };
    let data = DataBuilder::default().text("share", &share.share).build();
    let ended = desk
        .serve
        .view(ask.caller())
        .share(&share.share)
        .is_some_and(|share| !matches!(share.document().state, State::Pending | State::Active | State::Paused));
    if !ended {
        let end = WriteOrder::one(kind, &share.share, data);
        desk.serve.write(ask.caller(), end, Some(&format!("{key}.end"))).await.and_then(WriteReceipt::single)?;
    }
    desk.serve.write(ask.caller(), offer, Some(key)).await.and_then(WriteReceipt::single).map(|_| ())
}

fn whole(desk: &Arc<Desk>, ask: &Ask, view: &CallerView, edit: Option<ShareEdit>, review: Option<ChangeReview>) -> Result<Reply, Problem> {
    let head = head(desk, ask)?;
    let shares = shares_of(desk, ask, view, &head.asset);
    let owner = ask.owner().unwrap_or_default();
    let section = |stream: String| {
        let rows = shares.iter().filter(|share| share.streams.contains(&stream)).cloned().collect();
        SharingSection { stream, rows }
    };
    let sections = desk.streams(view).into_iter().map(section).collect();
    let page = SharingPage {
        sections,
        profiles: desk.profiles(view, &owner),
        partners: desk.partners(view, &owner).into_keys().collect(),
        edit,
        review,
        shows_over: ask.fields.has("over"),
        now: desk.now(view).millis(),
        seal: ask.seal(desk),
        said: said(desk, ask, view),
        head,
    };
    Ok(Reply::page(format!("{} · Sharing", page.head.asset), PagePlace::Assets, page_of(&page)))
}
