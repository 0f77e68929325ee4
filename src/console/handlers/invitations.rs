//! Asset invitations: the list, inviting, sending again, cancelling.

use std::sync::Arc;

use crate::console::ask::{Ask, Reply};
use crate::console::desk::{Desk, ROWS, ends};
use crate::console::handlers::assets::head;
use crate::console::handlers::editing::{capital, field_of};
use crate::console::handlers::showing::told;
use crate::console::handlers::{said, sentence};
use crate::console::pages::invitations::{
    InvitationPage, InvitationPanel, InvitationQuery, InviteForm, ShownInvitation, invitations, invite as invite_of,
};
use crate::console::shell::PagePlace;
use crate::console::status::outcome_of_code;
use crate::serve::problem::Problem;
use crate::serve::view::{CallerView, InvitationFilter, SeenShare};
use crate::serve::write::order::{DataBuilder, WriteOrder};
use crate::serve::write::receipt::WriteReceipt;
use crate::share::event::kind::EventType;
use crate::share::state::{Permission, Reason};
use crate::share::view::invitations::InvitationOutcome;
use crate::time::TimestampNs;

pub(crate) async fn list(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let is_of_asset = ask.path == "/assets/invitations";
    let head = if is_of_asset { Some(head(desk, ask)?) } else { None };
    let asked = InvitationQuery {
        search: ask.fields.text("q"),
        status: outcome_of_code(&ask.fields.text("status")),
        permission: ask.fields.text("permission"),
        open: ask.fields.text("open"),
        after: ask.fields.text("after"),
        asset: head.as_ref().map(|head| (head.asset.clone(), head.owner.clone())),
    };
    let filter = InvitationFilter {
        search: Some(asked.search.clone()).filter(|text| !text.is_empty()),
        permission: Permission::parse(&asked.permission),
        asset: head.as_ref().map(|head| head.asset.clone()),
        owner: head.as_ref().and_then(|_| ask.owner()),
    };
    let found = view.invitations(&filter, asked.status, &asked.after, desk.now(view), ROWS);
    let next = found.invitations.last().filter(|_| found.has_more).map(|(share, _)| share.id().to_owned());
    let rows = found.invitations.into_iter().map(|(share, outcome)| shown(desk, view, share, outcome)).collect();
    let panel = panel(desk, ask, view, &asked.open).await;
    let page = InvitationPage {
        counts: found.counts,
        rows,
        next,
        panel,
        may_write: ask.may_write(),
        seal: ask.seal(desk),
        said: said(desk, ask, view),
        head,
        asked,
    };
    let place = if is_of_asset { PagePlace::Assets } else { PagePlace::Invitations };
    Ok(Reply::page("Asset invitations", place, invitations(&page)))
}

fn outcome(share: SeenShare<'_>, now: TimestampNs) -> Option<InvitationOutcome> {
    InvitationOutcome::of(share.state(), share.was_accepted(), share.offer_expires(), now)
}

fn shown(desk: &Desk, view: &CallerView, share: SeenShare<'_>, outcome: InvitationOutcome) -> ShownInvitation {
    let email = share.invitee().unwrap_or_default().to_owned();
    ShownInvitation { share: desk.shown(share, view), email, outcome }
}

async fn panel(desk: &Arc<Desk>, ask: &Ask, view: &CallerView, id: &str) -> Option<InvitationPanel> {
    let share = view.share(id).filter(|share| share.invitee().is_some())?;
    let outcome = outcome(share, desk.now(view))?;
    let invitation = shown(desk, view, share, outcome);
    let mut addressed = invitation.share.clone();
    addressed.invitee = Some(invitation.email.clone());
    let (history, _) = told(desk, view, std::slice::from_ref(&addressed)).await;
    let owner = ask.caller().is_operator().then(|| invitation.share.owner.clone());
    Some(InvitationPanel { invitation, history, owner })
}

fn typed(ask: &Ask) -> InviteForm {
    let text = |name: &str| ask.fields.text(name);
    InviteForm {
        owner: text("owner"),
        asset: text("asset"),
        email: text("email"),
        streams: ask.fields.all("streams"),
        profile: text("profile"),
        permission: text("permission"),
        until: text("until"),
        offer_expires: text("offer_expires"),
        label: text("label"),
        message: text("message"),
        errors: Vec::new(),
        critical: Vec::new(),
    }
}

pub(crate) fn invite_page(desk: &Desk, ask: &Ask, view: &CallerView) -> Reply {
    let mut form = typed(ask);
    if form.streams.is_empty() {
        form.streams = desk.streams(view);
    }
    show(desk, ask, view, &form)
}

fn show(desk: &Desk, ask: &Ask, view: &CallerView, form: &InviteForm) -> Reply {
    let choices = desk.choices(view, ask.owner().as_deref(), ask.caller().is_operator(), "");
    Reply::page("Invite", PagePlace::Invitations, invite_of(form, &choices, &ask.seal(desk)))
}

pub(crate) async fn invite(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let mut form = typed(ask);
    let needed = [
        ("asset", &form.asset, "Say which asset."),
        ("email", &form.email, "Write the address."),
        ("profile", &form.profile, "Choose one."),
    ];
    let mut errors: Vec<(&'static str, String)> =
        needed.into_iter().filter(|(_, value, _)| value.is_empty()).map(|(field, _, what)| (field, what.to_owned())).collect();
    if form.streams.is_empty() {
        errors.push(("streams", "Tick one at least.".to_owned()));
    }
    for (field, day) in [("until", &form.until), ("offer_expires", &form.offer_expires)] {
        if !day.is_empty() && ends(day).is_none() {
            errors.push((field, "This is no day. Write it as 2026-05-31.".to_owned()));
        }
    }
    if !errors.is_empty() {
        form.errors = errors;
        return Ok(show(desk, ask, view, &form));
    }
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let day = |day: &String| ends(day).map(|at| at.to_string());
    let data = DataBuilder::default()
        .text_if("owner", ask.owner_in_address().as_deref())
        .text("asset", &form.asset)
        .text("invitee", &form.email)
        .texts_if("streams", Some(&form.streams))
        .text("profile", &form.profile)
        .text_if("permission", text(&form.permission).as_deref())
        .text_if("ends", day(&form.until).as_deref())
        .text_if("offer_expires", day(&form.offer_expires).as_deref())
        .text_if("label", text(&form.label).as_deref())
        .text_if("message", text(&form.message).as_deref())
        .build();
    let order = WriteOrder::one(EventType::ShareOffered, &form.asset, data).confirmed(!ask.fields.all("critical").is_empty());
    match desk.serve.write(ask.caller(), order, ask.key()).await.and_then(WriteReceipt::single) {
        Ok(row) => Ok(Reply::see(format!(
            "/invitations{}",
            crate::console::model::query(&[("done", "invited"), ("on", row.share.as_deref().unwrap_or_default())])
        ))),
        Err(problem) => {
            form.critical.clone_from(&problem.critical);
            let what = if problem.critical.is_empty() {
                sentence(&problem)
            } else {
                "Members that are marked critical would leave. Tick each.".to_owned()
            };
            let field = match (problem.member.as_deref(), problem.reason) {
                _ if !problem.critical.is_empty() => "critical",
                (Some(member), _) if member.contains("invitee") => "email",
                (Some(member), _) if member.contains("asset") => "asset",
                (_, reason) => match field_of(reason.map(Reason::code)) {
                    "" if problem.detail.contains("invitee") => "email",
                    "to" => "email",
                    field => field,
                },
            };
            form.errors = vec![(field, what)];
            Ok(show(desk, ask, view, &form))
        }
    }
}

/// Where an answer leads back to: only to a page of invitations.
fn back(ask: &Ask, done: &str) -> String {
    let back = ask.fields.text("back");
    let is_own = back.starts_with("/invitations") || back.starts_with("/assets/invitations");
    let back = if is_own { back } else { "/invitations".to_owned() };
    let sign = if back.contains('?') { '&' } else { '?' };
    format!("{back}{sign}done={done}&on={}", crate::console::model::escape(&ask.fields.text("share")))
}

pub(crate) async fn resend(desk: &Arc<Desk>, ask: &Ask) -> Result<Reply, Problem> {
    let (share, day) = (ask.fields.text("share"), ask.fields.text("offer_expires"));
    if !day.is_empty() && ends(&day).is_none() {
        return Err(Problem::malformed(capital("the new expiry is no day: write it as 2026-05-31")));
    }
    let expires = ends(&day).map(|at| at.to_string());
    let data = DataBuilder::default().text("share", &share).text_if("offer_expires", expires.as_deref()).build();
    let order = WriteOrder::one(EventType::ShareResent, &share, data);
    desk.serve.write(ask.caller(), order, ask.key()).await.and_then(WriteReceipt::single)?;
    Ok(Reply::see(back(ask, "resent")))
}

pub(crate) async fn cancel(desk: &Arc<Desk>, ask: &Ask) -> Result<Reply, Problem> {
    let share = ask.fields.text("share");
    let order = WriteOrder::one(EventType::ShareCancelled, &share, DataBuilder::default().text("share", &share).build());
    desk.serve.write(ask.caller(), order, ask.key()).await.and_then(WriteReceipt::single)?;
    Ok(Reply::see(back(ask, "cancelled")))
}
