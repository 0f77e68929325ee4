//! Signing in and out, the theme, static files, and news for pages that are open.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use futures_util::stream;

use crate::access::session::SESSION_MS;
use crate::console::ask::{Ask, Reply, guard};
use crate::console::assets::{ICON, SCRIPT, STYLE};
use crate::console::cookies;
use crate::console::desk::Desk;
use crate::console::handlers::invitation_link;
use crate::console::pages::sign_in;
use crate::console::shell::{PagePlace, Theme};
use crate::id::Epoch;
use crate::serve::problem::Problem;

/// An open stream says that it lives, so that proxies keep it.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Where a form may lead back to: an address of this site.
fn own_address(to: &str) -> &str {
    let is_own = to.starts_with('/') && !to.starts_with("//") && !to.contains('\\') && !to.contains(char::is_control);
    if is_own { to } else { "/assets" }
}

pub(crate) fn sign_in_page(desk: &Desk, ask: &Ask) -> Reply {
    if ask.session.is_some() {
        return Reply::see(own_address(&ask.fields.text("to")));
    }
    let body = sign_in::sign_in(&ask.csrf(desk), own_address(&ask.fields.text("to")), "", None);
    Reply::page("Sign in", PagePlace::Elsewhere, body)
}

pub(crate) async fn sign_in(desk: &Arc<Desk>, ask: &Ask) -> Result<Reply, Problem> {
    let (to, code) = (ask.fields.text("to"), ask.fields.text("code"));
    let Some(session) = desk.sign_in(ask.fields.raw("token").trim()).await else {
        let body = sign_in::sign_in(
            &ask.csrf(desk),
            own_address(&to),
            &code,
            Some("This token is not known here. Check that all of it was pasted."),
        );
        return Ok(Reply::page("Sign in", PagePlace::Elsewhere, body).status(StatusCode::UNAUTHORIZED));
    };
    let cookie = cookies::set(cookies::SESSION, &desk.key.seal(&session), Some(SESSION_MS / 1000), desk.is_https);
    let reply = if code.is_empty() { Reply::see(own_address(&to)) } else { invitation_link::after_sign_in(desk, ask, &session, &code) };
    Ok(reply.with(header::SET_COOKIE, cookie))
}

pub(crate) fn sign_out(desk: &Desk) -> Reply {
    Reply::see("/sign-in").with(header::SET_COOKIE, cookies::set(cookies::SESSION, "", Some(0), desk.is_https))
}

pub(crate) fn theme(desk: &Desk, ask: &Ask) -> Reply {
    let chosen = Theme::parse(ask.fields.raw("theme"));
    let age = if chosen == Theme::System { 0 } else { 365 * 24 * 3600 };
    let cookie = cookies::set(cookies::THEME, chosen.word().unwrap_or_default(), Some(age), desk.is_https);
    Reply::see(own_address(&ask.fields.text("to"))).with(header::SET_COOKIE, cookie)
}

/// The style sheet, the script, the icon.
pub(crate) fn static_file(path: &str, asked: &HeaderMap) -> Response<Body> {
    let name = path.trim_start_matches("/static/");
    let mut response = Response::new(Body::empty());
    guard(response.headers_mut());
    let file = [&*STYLE, &*SCRIPT].into_iter().find(|file| file.name() == name);
    let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
    match file {
        Some(file) => {
            let takes =
                asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("gzip"));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
            headers.insert(header::CACHE_CONTROL, kept);
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
            if takes {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                *response.body_mut() = Body::from(file.gzip.clone());
            } else {
                *response.body_mut() = Body::from(file.plain);
            }
        }
        None if name == "icon.svg" => {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
            *response.body_mut() = Body::from(ICON);
        }
        None => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    response
}

/// Says that what a page shows may be another thing now; the page asks again for what it shows.
pub(crate) fn live(desk: &Arc<Desk>, ask: &Ask) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    guard(response.headers_mut());
    let Some(session) = ask.session.clone() else {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        return response;
    };
    let before =
        ask.headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok()).or_else(|| ask.fields.text("after").parse().ok());
    let follow = LiveFollower {
        epochs: desk.serve.epochs(),
        reports: desk.engines.changes(),
        told: before.map_or_else(|| desk.serve.epoch(), Epoch),
        desk: Arc::clone(desk),
        session,
        is_first: true,
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    *response.body_mut() = Body::from_stream(stream::unfold(follow, |mut follow| async move {
        let text = follow.next().await?;
        Some((Ok::<Bytes, Infallible>(Bytes::from(text)), follow))
    }));
    response
}

struct LiveFollower {
    desk: Arc<Desk>,
    session: crate::access::session::Session,
    epochs: tokio::sync::watch::Receiver<Epoch>,
    reports: tokio::sync::watch::Receiver<u64>,
    told: Epoch,
    is_first: bool,
}

impl LiveFollower {
    async fn next(&mut self) -> Option<String> {
        if std::mem::take(&mut self.is_first) {
            return Some("retry: 1000\n\n".to_owned());
        }
        loop {
            if self.desk.serve.is_stopping() || self.session.expires <= crate::clock::Clock::wall(&crate::clock::SystemClock) {
                return None;
            }
            let epoch = *self.epochs.borrow_and_update();
            if epoch > self.told {
                let view = self.desk.serve.view(&self.session.caller);
                let is_news = !view.changed_since(self.told).is_empty();
                self.told = epoch;
                if is_news {
                    return Some(format!("event: change\nid: {}\ndata: \n\n", epoch.0));
                }
            }
            tokio::select! {
                changed = self.epochs.changed() => { changed.ok()?; }
                changed = self.reports.changed() => {
                    changed.ok()?;
                    self.reports.borrow_and_update();
                    return Some(format!("event: change\nid: {}\ndata: \n\n", self.told.0));
                }
                () = tokio::time::sleep(ALIVE_EVERY) => return Some(": alive\n\n".to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::own_address;

    #[test]
    fn nobody_is_led_elsewhere() {
        assert_eq!(own_address("/assets?q=1"), "/assets?q=1");
        for other in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nset-cookie: x"] {
            assert_eq!(own_address(other), "/assets", "{other}");
        }
    }
}
