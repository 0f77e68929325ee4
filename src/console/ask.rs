//! One request of a browser, read: who asks, by which session, for what; and the answer to it.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use maud::Markup;

use crate::access::session::Session;
use crate::access::{Caller, Party};
use crate::console::assets::gzip;
use crate::console::cookies;
use crate::console::desk::Desk;
use crate::console::fields::FormFields;
use crate::console::parts::FormSeal;
use crate::console::shell::{PagePlace, Surround, Theme, page};
use crate::serve::view::CallerView;

/// What the pages may do: what is the site's own, and nothing written into a page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// A request of somebody who has signed in, or of nobody yet.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// Of the query, or of the form that was sent.
    pub(crate) fields: FormFields,
    pub(crate) session: Option<Session>,
    /// What forms are signed with.
    nonce: String,
    is_new_visit: bool,
    pub(crate) theme: Theme,
    /// So that each form of an answer writes once.
    key: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(header::HeaderName, String)>,
    pub(crate) body: ReplyBody,
}

/// What an answer holds.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    Page {
        title: String,
        place: PagePlace,
        body: Markup,
    },
    /// A part of a page.
    Fragment(Markup),
    Nothing,
}

impl Reply {
    pub(crate) fn page(title: impl Into<String>, place: PagePlace, body: Markup) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: ReplyBody::Page { title: title.into(), place, body } }
    }

    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// After a write: the browser fetches the page that shows it.
    pub(crate) fn see(address: impl Into<String>) -> Self {
        Self { status: StatusCode::SEE_OTHER, headers: vec![(header::LOCATION, address.into())], body: ReplyBody::Nothing }
    }

    pub(crate) fn fragment(body: Markup) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: ReplyBody::Fragment(body) }
    }

    pub(crate) fn with(mut self, name: header::HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Ask {
    /// Reads a request.
    pub(crate) async fn read(desk: &Desk, method: Method, path: &str, query: &str, headers: HeaderMap, body: &Bytes) -> Self {
        let cookie = headers.get(header::COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let session = desk.session(cookies::value(&cookie, cookies::SESSION), &headers).await;
        let visit = cookies::value(&cookie, cookies::VISIT).filter(|visit| visit.len() == 26).map(str::to_owned);
        let is_new_visit = session.is_none() && visit.is_none();
        let nonce = session.as_ref().map(|session| session.nonce.clone()).or(visit).unwrap_or_else(|| desk.random());
        let fields = if method == Method::POST { FormFields::read(&String::from_utf8_lossy(body)) } else { FormFields::read(query) };
        Self {
            path: path.to_owned(),
            query: query.to_owned(),
            fields,
            session,
            nonce,
            is_new_visit,
            theme: Theme::parse(cookies::value(&cookie, cookies::THEME).unwrap_or_default()),
            key: desk.random(),
            method,
            headers,
        }
    }

    /// Whether a form is one of this visitor's, sent from this site.
    pub(crate) fn is_own_form(&self, desk: &Desk) -> bool {
        let is_elsewhere = self.headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
        !is_elsewhere && desk.key.is_form_token(&self.nonce, self.fields.raw("csrf"))
    }

    /// Who has signed in. Pages for who has not do not call this.
    pub(crate) fn caller(&self) -> &Caller {
        &self.session.as_ref().expect("the router lets nobody in without").caller
    }

    /// The tenant in whose name the caller acts; of the operator the one that `owner` names.
    pub(crate) fn owner(&self) -> Option<String> {
        match &self.caller().who {
            Party::Tenant(tenant) => Some(tenant.to_string()),
            Party::Operator => Some(self.fields.text("owner")).filter(|owner| !owner.is_empty()),
        }
    }

    /// The owner as addresses name it: only for the operator.
    pub(crate) fn owner_in_address(&self) -> Option<String> {
        self.owner().filter(|_| self.caller().is_operator())
    }

    pub(crate) fn may_write(&self) -> bool {
        self.caller().may_write()
    }

    /// Of the forms of the answer.
    pub(crate) fn seal(&self, desk: &Desk) -> FormSeal {
        // A form that is shown again with an error is the same form.
        let sent = self.fields.raw("key");
        let key = if self.method == Method::POST && is_key(sent) { sent.to_owned() } else { self.key.clone() };
        FormSeal { csrf: self.csrf(desk), key }
    }

    pub(crate) fn csrf(&self, desk: &Desk) -> String {
        desk.key.form_token(&self.nonce)
    }

    /// The key of the form that was sent.
    pub(crate) fn key(&self) -> Option<&str> {
        Some(self.fields.raw("key")).filter(|key| is_key(key))
    }

    fn address(&self) -> String {
        // What was sent by a form has no address to come back to.
        if self.method == Method::GET && !self.query.is_empty() { format!("{}?{}", self.path, self.query) } else { self.path.clone() }
    }

    /// The answer as HTTP.
    pub(crate) fn answer(&self, desk: &Desk, view: Option<&CallerView>, reply: Reply) -> Response<Body> {
        let Reply { status, headers, body } = reply;
        let is_page = matches!(body, ReplyBody::Page { .. });
        let html = match body {
            ReplyBody::Page { title, place, body } => Some(page(&self.surround(desk, view), &title, place, &body).into_string()),
            ReplyBody::Fragment(markup) => Some(markup.into_string()),
            ReplyBody::Nothing => None,
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        guard(response.headers_mut());
        let set = |headers: &mut HeaderMap, name: header::HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.append(name, value);
            }
        };
        for (name, value) in headers {
            set(response.headers_mut(), name, &value);
        }
        if self.is_new_visit && is_page {
            set(response.headers_mut(), header::SET_COOKIE, &cookies::set(cookies::VISIT, &self.nonce, None, desk.is_https));
        }
        if let Some(html) = html {
            set(response.headers_mut(), header::CONTENT_TYPE, "text/html; charset=utf-8");
            *response.body_mut() = packed(&self.headers, html.into_bytes(), response.headers_mut());
        }
        response
    }

    fn surround(&self, desk: &Desk, view: Option<&CallerView>) -> Surround {
        let waiting = view.map_or(0, |view| desk.waiting_offers(view));
        Surround {
            caller: self.session.as_ref().map(|session| session.caller.clone()),
            csrf: self.csrf(desk),
            theme: self.theme,
            address: self.address(),
            epoch: desk.serve.epoch(),
            waiting_offers: waiting,
            search: if self.path == "/assets" { self.fields.text("q") } else { String::new() },
        }
    }
}

/// As forms carry it.
fn is_key(key: &str) -> bool {
    (20..=300).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':'))
}

/// What every answer of the console has: nothing from elsewhere, nothing kept, no address told to others.
pub(crate) fn guard(headers: &mut HeaderMap) {
    let all = [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ];
    for (name, value) in all {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Compressed where the browser takes it so and it is worth it.
fn packed(asked: &HeaderMap, text: Vec<u8>, headers: &mut HeaderMap) -> Body {
    let takes = asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("gzip"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let packed = (takes && text.len() > 1024).then(|| gzip(&text).ok()).flatten();
    if packed.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Body::from(packed.unwrap_or(text))
}
