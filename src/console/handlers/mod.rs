//! What is done at each address. A handler asks the desk for what the caller may see, and makes a page of it; a form that writes is
//! answered by the address of the page that shows what became of it.

mod assets;
mod editing;
mod incoming;
mod invitation_link;
mod invitations;
mod operator;
mod partnerships;
mod profiles;
mod session;
mod showing;
mod visibility;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode, header};
use axum::routing::any;
use maud::{Markup, html};

use crate::access::TokenHash;
use crate::console::ask::{Ask, Reply};
use crate::console::desk::Desk;
use crate::console::model::query;
use crate::console::pages::sign_in::failed;
use crate::console::parts::{NoticeTone, notice};
use crate::console::shell::PagePlace;
use crate::serve::Serve;
use crate::serve::problem::Problem;
use crate::serve::view::CallerView;

/// Every address of the console.
const ADDRESSES: &[&str] = &[
    "/",
    "/sign-in",
    "/sign-out",
    "/theme",
    "/live",
    "/static/{file}",
    "/assets",
    "/assets/sharing",
    "/assets/stop",
    "/assets/leaves",
    "/assets/why",
    "/assets/invitations",
    "/assets/history",
    "/invitations",
    "/invitations/invite",
    "/invitations/resend",
    "/invitations/cancel",
    "/visibility",
    "/visibility/review",
    "/visibility/edit",
    "/visibility/results",
    "/visibility/remove",
    "/visibility/remove/review",
    "/incoming",
    "/incoming/share",
    "/incoming/accept",
    "/incoming/decline",
    "/incoming/leave",
    "/partnerships",
    "/partnerships/offer",
    "/partnerships/accept",
    "/partnerships/decline",
    "/partnerships/end",
    "/profiles",
    "/profiles/edit",
    "/profiles/show",
    "/profiles/render",
    "/profiles/retire",
    "/tenants",
    "/health",
    "/health/skip",
    "/invitation",
    "/invitation/accept",
];

/// The console.
pub fn router(serve: Arc<Serve>) -> Router {
    let desk = Desk::new(serve);
    let routes = ADDRESSES.iter().fold(Router::new(), |routes, address| routes.route(address, any(answer)));
    routes.with_state(desk)
}

async fn answer(State(desk): State<Arc<Desk>>, request: Request) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    if parts.uri.path().starts_with("/static/") {
        return Ok(session::static_file(parts.uri.path(), &parts.headers));
    }
    let Ok(body) = axum::body::to_bytes(body, desk.config().api.limits.body_bytes).await else {
        let mut response = Response::new(Body::from("what was sent is too long"));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(response);
    };
    let query = parts.uri.query().unwrap_or_default();
    let ask = Ask::read(&desk, parts.method, parts.uri.path(), query, parts.headers, &body).await;
    if let Some(session) = &ask.session {
        let counted_as = session.holder.unwrap_or_else(|| TokenHash::of(&session.nonce));
        if let Err(problem) = desk.serve.count(&counted_as) {
            let wait = problem.retry_after.unwrap_or(1).to_string();
            return Ok(ask.answer(&desk, None, refused(&problem).with(header::RETRY_AFTER, wait)));
        }
    }
    if ask.path == "/live" {
        return Ok(session::live(&desk, &ask));
    }
    let reply = route(&desk, &ask).await.unwrap_or_else(|problem| refused(&problem));
    // After a write the page shows it: the view is taken last.
    let view = ask.session.as_ref().map(|session| desk.serve.view(&session.caller));
    Ok(ask.answer(&desk, view.as_ref(), reply))
}

async fn route(desk: &Arc<Desk>, ask: &Ask) -> Result<Reply, Problem> {
    let (is_post, path) = (ask.method == Method::POST, ask.path.as_str());
    if !is_post && ask.method != Method::GET && ask.method != Method::HEAD {
        return Ok(page_of(StatusCode::METHOD_NOT_ALLOWED, "Not here", "This address takes no such request.", None));
    }
    if is_post && !ask.is_own_form(desk) {
        let what = "The form was of another session, or too old. Nothing was done. Go back, load the page again, and send it once more.";
        return Ok(page_of(StatusCode::FORBIDDEN, "That form is no longer good", what, Some(("/assets", "Go to your assets"))));
    }
    // What needs no session.
    match (is_post, path) {
        (false, "/sign-in") => return Ok(session::sign_in_page(desk, ask)),
        (true, "/sign-in") => return session::sign_in(desk, ask).await,
        (true, "/theme") => return Ok(session::theme(desk, ask)),
        (false, "/invitation") => return Ok(invitation_link::opened(desk, ask)),
        (true, "/invitation") => return Ok(invitation_link::go_on(desk, ask)),
        _ => {}
    }
    if ask.session.is_none() {
        let to = if ask.method == Method::GET && !ask.query.is_empty() { format!("{path}?{}", ask.query) } else { path.to_owned() };
        return Ok(Reply::see(format!("/sign-in{}", query(&[("to", &to)]))));
    }
    if is_post && !ask.may_write() && !matches!(path, "/sign-out" | "/profiles/render" | "/profiles/show") {
        return Err(Problem::new(403, "Your token sees, and changes nothing. Ask for one with the role admin."));
    }
    if is_post && ask.key().is_none() && !matches!(path, "/sign-out" | "/profiles/render" | "/profiles/show") {
        return Err(Problem::malformed("The form has lost its key. Load the page again."));
    }
    let view = desk.serve.view(ask.caller());
    let view = &view;
    match (is_post, path) {
        (false, "/") => Ok(Reply::see("/assets")),
        (true, "/sign-out") => Ok(session::sign_out(desk)),
        (false, "/assets") => Ok(assets::list(desk, ask, view)),
        (false, "/assets/sharing") => editing::sharing(desk, ask, view).await,
        (true, "/assets/sharing") => editing::save(desk, ask, view).await,
        (false, "/assets/stop") => assets::stop_page(desk, ask, view, None),
        (true, "/assets/stop") => assets::stop(desk, ask, view).await,
        (false, "/assets/leaves") => showing::leaves(desk, ask, view).await,
        (false, "/assets/why") => showing::why(desk, ask, view).await,
        (false, "/assets/history") => showing::history(desk, ask, view).await,
        (false, "/assets/invitations" | "/invitations") => invitations::list(desk, ask, view).await,
        (false, "/invitations/invite") => Ok(invitations::invite_page(desk, ask, view)),
        (true, "/invitations/invite") => invitations::invite(desk, ask, view).await,
        (true, "/invitations/resend") => invitations::resend(desk, ask).await,
        (true, "/invitations/cancel") => invitations::cancel(desk, ask).await,
        (false, "/visibility") => Ok(visibility::page(desk, ask, view)),
        (true, "/visibility/edit") => Ok(visibility::page(desk, ask, view)),
        (true, "/visibility/review") => visibility::review(desk, ask, view).await,
        (true, "/visibility") => visibility::confirm(desk, ask, view).await,
        (false, "/visibility/results") => visibility::results(desk, ask, view),
        (false, "/visibility/remove") => Ok(visibility::remove_page(desk, ask, view)),
        (true, "/visibility/remove/review") => Ok(visibility::remove_review(desk, ask, view)),
        (true, "/visibility/remove") => visibility::remove(desk, ask, view).await,
        (false, "/incoming") => Ok(incoming::page(desk, ask, view, None)),
        (false, "/incoming/share") => incoming::share(desk, ask, view),
        (true, "/incoming/accept") => incoming::accept(desk, ask, view).await,
        (true, "/incoming/decline") => incoming::decline(desk, ask).await,
        (false, "/incoming/leave") => incoming::leave_page(desk, ask, view, None),
        (true, "/incoming/leave") => incoming::leave(desk, ask, view).await,
        (true, "/invitation/accept") => invitation_link::accept(desk, ask, view).await,
        (false, "/partnerships") => Ok(partnerships::page(desk, ask, view, None)),
        (true, "/partnerships/offer" | "/partnerships/accept" | "/partnerships/decline" | "/partnerships/end") => {
            partnerships::write(desk, ask, view).await
        }
        (false, "/profiles") => Ok(profiles::list(desk, ask, view)),
        (false, "/profiles/edit") => profiles::edit(desk, ask, view).await,
        (true, "/profiles/show") => profiles::show(desk, ask, view),
        (true, "/profiles/render") => Ok(profiles::render(desk, ask, view)),
        (true, "/profiles/edit") => profiles::publish(desk, ask, view).await,
        (true, "/profiles/retire") => profiles::retire(desk, ask).await,
        (false, "/tenants") => operator::tenants(desk, ask, view),
        (true, "/tenants") => operator::suspend(desk, ask).await,
        (false, "/health") => operator::health(desk, ask, view),
        (true, "/health/skip") => operator::skip(desk, ask).await,
        _ => Err(Problem::not_there()),
    }
}

fn page_of(status: StatusCode, title: &str, what: &str, way_out: Option<(&str, &str)>) -> Reply {
    Reply::page(title, PagePlace::Elsewhere, failed(title, what, way_out)).status(status)
}

/// What came to nothing, as a page.
fn refused(problem: &Problem) -> Reply {
    let title = match problem.status {
        404 => "There is nothing here",
        403 => "You may not do this",
        503 => "This cannot be done at the moment",
        _ => "This was not done",
    };
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    page_of(status, title, &sentence(problem), Some(("/assets", "Go to your assets")))
}

/// A refusal as a person reads it.
fn sentence(problem: &Problem) -> String {
    let mut letters = problem.detail.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let all = format!("{first}{}", letters.as_str());
    if all.ends_with(['.', '?', '!']) { all } else { format!("{all}.") }
}

/// The message of the page after a write, with the opposite action. It is said from what the address names, not from its words.
fn said(desk: &Desk, ask: &Ask, view: &CallerView) -> Option<Markup> {
    let done = ask.fields.text("done");
    let id = ask.fields.text("on");
    let share = view.share(&id).map(|share| desk.shown(share, view));
    let (words, action): (String, Option<Markup>) = match (done.as_str(), &share) {
        ("", _) => return None,
        ("stopped", Some(share)) => {
            let asset = share.asset.clone().unwrap_or_default();
            let pairs = [
                ("to", share.receiver()),
                ("asset", &asset),
                ("owner", &ask.owner_in_address().unwrap_or_default()),
                ("profile", &share.profile),
            ];
            let again = html! { a.button href={ "/visibility" (query(&pairs)) } { "Share it again" } };
            (format!("Sharing {} with {} is stopped.", share.machine(), share.receiver()), ask.may_write().then_some(again))
        }
        ("taken", Some(share)) => (format!("The offer of {} to {} is taken back.", share.machine(), share.receiver()), None),
        ("saved", _) => ("Saved.".to_owned(), None),
        ("moved", _) => ("The share with the old target is stopped, and a new one is offered.".to_owned(), None),
        ("accepted", Some(share)) => {
            let leave = html! { a.button href={ "/incoming/leave" (query(&[("share", &share.share)])) } { "Leave it again" } };
            (format!("Accepted. Data of {} flows as {}.", share.owner, share.target_asset.as_deref().unwrap_or("your asset")), Some(leave))
        }
        ("declined", Some(share)) => (format!("The offer of {} is declined. It can offer again.", share.owner), None),
        ("left", Some(share)) => (format!("You have left what {} shared. It can offer it again.", share.owner), None),
        ("invited", Some(share)) => {
            let cancel = html! { a.button href={ "/invitations" (query(&[("open", &share.share)])) } { "Look at it, or cancel" } };
            (format!("{} is invited. The mail is on its way.", share.receiver()), Some(cancel))
        }
        ("resent", Some(share)) => (format!("Sent again to {}. The old code is worth nothing now.", share.receiver()), None),
        ("cancelled", Some(share)) => {
            let asset = share.asset.clone().unwrap_or_default();
            let again = html! { a.button href={ "/invitations/invite" (query(&[("asset", &asset)])) } { "Invite again" } };
            (format!("The invitation of {} is cancelled.", share.receiver()), ask.may_write().then_some(again))
        }
        ("partner-offered", _) => ("The partnership is offered.".to_owned(), None),
        ("partner-accepted", _) => ("You are partners now.".to_owned(), Some(html! { a.button href="/visibility" { "Share visibility" } })),
        ("partner-declined", _) => ("The partnership is declined.".to_owned(), None),
        ("partner-ended", _) => ("The partnership is ended, and its shares with it.".to_owned(), None),
        ("published", _) => ("The profile is published. What leaves follows it from now on.".to_owned(), None),
        ("retired", _) => ("The profile is retired: its shares release nothing. Publish it to have them flow again.".to_owned(), None),
        ("suspended", _) => ("The tenant is suspended: all its shares are paused.".to_owned(), None),
        ("lifted", _) => ("The suspension is lifted.".to_owned(), None),
        ("skipped", _) => ("The control record is skipped.".to_owned(), None),
        _ => return None,
    };
    Some(notice(NoticeTone::Done, &html! { p { (words) } }, action.as_ref()))
}
