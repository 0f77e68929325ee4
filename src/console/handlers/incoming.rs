//! Incoming: accept, decline, leave.

use std::sync::Arc;

use crate::console::ask::{Ask, Reply};
use crate::console::desk::{Desk, ROWS};
use crate::console::handlers::editing::field_of;
use crate::console::handlers::{said, sentence};
use crate::console::model::{ShownShare, query};
use crate::console::pages::incoming::{AcceptForm, IncomingPage, incoming, leave as leave_of, share as share_of};
use crate::console::shell::PagePlace;
use crate::console::status::SharingStatus;
use crate::serve::problem::Problem;
use crate::serve::view::{CallerView, ShareQuery};
use crate::serve::write::order::{DataBuilder, WriteOrder};
use crate::serve::write::receipt::WriteReceipt;
use crate::share::event::kind::EventType;
use crate::share::state::{Reason, State};
use crate::share::view::by_tenant::ShareSide;
use crate::share::view::list::ShareFilter;

pub(crate) fn page(desk: &Desk, ask: &Ask, view: &CallerView, typed: Option<AcceptForm>) -> Reply {
    let side = view.tenant().map(|_| ShareSide::Target);
    let shows_over = ask.fields.has("over");
    let list = |states: &[State], before: &str| {
        let filter = ShareFilter { states: states.to_vec(), ..ShareFilter::default() };
        let before = Some(before).filter(|share| !share.is_empty());
        let found = view.shares(&ShareQuery { side, invited: None, filter }, before, ROWS);
        let next = found.as_ref().and_then(|page| page.next).map(str::to_owned);
        let shares = found.into_iter().flat_map(|page| page.shares).map(|share| desk.shown(share, view));
        (shares.collect::<Vec<ShownShare>>(), next)
    };
    let is_open = |share: &ShownShare| share.status == SharingStatus::Pending && share.target.is_some();
    let (mut offers, more_offers) = list(&[State::Pending], &ask.fields.text("offers"));
    offers.retain(is_open);
    let live = [State::Active, State::Paused];
    let ended = [State::Revoked, State::Left, State::Expired];
    let states = if shows_over { [&live[..], &ended[..]].concat() } else { live.to_vec() };
    let (mut received, more_received) = list(&states, &ask.fields.text("received"));
    received.retain(|share| share.accepted_at.is_some() && (shows_over || !share.status.is_over()));
    let over = view.over_count();
    let over_in_address = if shows_over { "1" } else { "" };
    let more = |name, share: Option<String>| share.map(|share| format!("/incoming{}", query(&[("over", over_in_address), (name, &share)])));
    let page = IncomingPage {
        offers,
        received,
        over,
        shows_over,
        typed,
        // An acceptance is the target's own; the operator accepts nothing for others here.
        may_write: ask.may_write() && view.tenant().is_some(),
        seal: ask.seal(desk),
        said: said(desk, ask, view),
        is_operator: ask.caller().is_operator(),
        more_offers: more("offers", more_offers),
        more_received: more("received", more_received),
    };
    Reply::page("Incoming", PagePlace::Incoming, incoming(&page))
}

fn received(desk: &Desk, ask: &Ask, view: &CallerView) -> Result<ShownShare, Problem> {
    let share = view.share(&ask.fields.text("share")).ok_or_else(Problem::unknown_share)?;
    Ok(desk.shown(share, view))
}

pub(crate) fn share(desk: &Desk, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let shown = received(desk, ask, view)?;
    let may_write = ask.may_write() && !shown.is_own;
    Ok(Reply::page(shown.target_asset.clone().unwrap_or_default(), PagePlace::Incoming, share_of(&shown, &[], may_write)))
}

/// An acceptance as it was typed.
pub(crate) fn typed(ask: &Ask) -> AcceptForm {
    AcceptForm {
        share: ask.fields.text("share"),
        target_asset: ask.fields.text("target_asset"),
        streams: ask.fields.all("streams"),
        errors: Vec::new(),
    }
}

/// Accepts, or says beside which field why not.
pub(crate) async fn try_accept(desk: &Arc<Desk>, ask: &Ask, form: &mut AcceptForm, code: Option<&str>) -> Result<(), ()> {
    if form.target_asset.is_empty() {
        form.errors.push(("target_asset", "Say under which id you want its records.".to_owned()));
    }
    if form.streams.is_empty() {
        form.errors.push(("streams", "Tick one at least, or decline.".to_owned()));
    }
    if !form.errors.is_empty() {
        return Err(());
    }
    let data = DataBuilder::default()
        .text("share", &form.share)
        .text("target_asset", &form.target_asset)
        .texts_if("streams", Some(&form.streams))
        .text_if("code", code)
        .build();
    let order = WriteOrder::one(EventType::ShareAccepted, &form.share, data);
    match desk.serve.write(ask.caller(), order, ask.key()).await.and_then(WriteReceipt::single) {
        Ok(_) => Ok(()),
        Err(problem) => {
            let field = match (field_of(problem.reason.map(Reason::code)), problem.reason) {
                (_, Some(Reason::InvalidId)) => "target_asset",
                ("target_asset", _) => "target_asset",
                ("streams", _) => "streams",
                _ => "",
            };
            form.errors.push((field, sentence(&problem)));
            Err(())
        }
    }
}

pub(crate) async fn accept(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let mut form = typed(ask);
    view.share(&form.share).ok_or_else(Problem::unknown_share)?;
    match try_accept(desk, ask, &mut form, None).await {
        Ok(()) => Ok(Reply::see(format!("/incoming{}", query(&[("done", "accepted"), ("on", &form.share)])))),
        Err(()) => Ok(page(desk, ask, &desk.serve.view(ask.caller()), Some(form))),
    }
}

pub(crate) async fn decline(desk: &Arc<Desk>, ask: &Ask) -> Result<Reply, Problem> {
    let share = ask.fields.text("share");
    let order = WriteOrder::one(EventType::ShareDeclined, &share, DataBuilder::default().text("share", &share).build());
    desk.serve.write(ask.caller(), order, ask.key()).await.and_then(WriteReceipt::single)?;
    Ok(Reply::see(format!("/incoming{}", query(&[("done", "declined"), ("on", &share)]))))
}

pub(crate) fn leave_page(desk: &Desk, ask: &Ask, view: &CallerView, error: Option<&str>) -> Result<Reply, Problem> {
    let shown = received(desk, ask, view)?;
    Ok(Reply::page("Leave", PagePlace::Incoming, leave_of(&shown, &ask.seal(desk), error)))
}

pub(crate) async fn leave(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let share = ask.fields.text("share");
    let order = WriteOrder::one(EventType::ShareLeft, &share, DataBuilder::default().text("share", &share).build());
    match desk.serve.write(ask.caller(), order, ask.key()).await.and_then(WriteReceipt::single) {
        Ok(_) => Ok(Reply::see(format!("/incoming{}", query(&[("done", "left"), ("on", &share)])))),
        Err(problem) => leave_page(desk, ask, view, Some(&sentence(&problem))),
    }
}
