//! What a caller may not see does not exist: each route of the document, with each id of another tenant, by each role.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sharecast::serve::rest::routes::{document_text, operations};

use super::events::{follow, next};
use super::server::{Answered, Door, Server};
use crate::broker::shared;
use crate::fixture::World;

/// What `z` has nothing to do with.
struct Foreign {
    active: String,
    pending: String,
    invited: String,
}

fn foreign(door: &Door<'_>, server: &Server) -> Foreign {
    let offer = |asset: &str| server.post("o", "/api/v1/shares", &door.offer(asset)).ok(201)["share"].as_str().unwrap().to_owned();
    let (active, pending) = (offer("SECRET-1"), offer("SECRET-2"));
    server.post("t", &format!("/api/v1/shares/{active}/accept"), &json!({"target_asset": "SECRET-T"})).ok(200);
    let spec = json!({"telemetry": {"include": ["$.SECRET"]}});
    server.post("o", "/api/v1/profiles", &json!({"profile": "SECRET-P", "spec": spec})).ok(201);
    let invite = json!({"asset": "SECRET-3", "invitee": "secret@example.com", "streams": ["telemetry"], "profile": "all"});
    let invited = server.post("o", "/api/v1/invitations", &invite).ok(201)["share"].as_str().unwrap().to_owned();
    Foreign { active, pending, invited }
}

/// A body that the route takes, so that it is refused for what it names, and for nothing else.
fn body(path: &str, door: &Door<'_>, share: &str) -> Value {
    let (o, t) = (door.tenant("o"), door.tenant("t"));
    let offer = json!({"owner": o, "asset": "SECRET-1", "target_tenant": t, "streams": ["telemetry"], "profile": "SECRET-P"});
    match path {
        "/api/v1/shares" => offer,
        "/api/v1/invitations" => {
            json!({"owner": o, "asset": "SECRET-1", "invitee": "a@b.example", "streams": ["telemetry"], "profile": "SECRET-P"})
        }
        "/api/v1/shares/batch" => json!({"verb": "revoke", "items": [{"share": share}]}),
        "/api/v1/invitations/accept" => json!({"code": "aaaaaaaaaaaaaaaaaaaaaaaaaa"}),
        "/api/v1/partnerships" => json!({"tenants": [o, t]}),
        "/api/v1/tenants" => json!({"tenant": o, "suspended": true}),
        "/api/v1/profiles" => json!({"profile": "SECRET-P", "owner": o, "spec": {"telemetry": {"include": ["$"]}}}),
        "/api/v1/profiles/render" => {
            json!({"stream": "telemetry", "asset": "SECRET-1", "owner": o, "spec": {"telemetry": {"include": ["$"]}}})
        }
        "/api/v1/profiles/{profile}/render" => json!({"stream": "telemetry", "asset": "SECRET-1", "owner": o}),
        "/api/v1/profiles/{profile}/preview" => json!({"owner": o, "spec": {"telemetry": {"include": ["$"]}}}),
        "/api/v1/profiles/{profile}/retire" => json!({"owner": o}),
        "/api/v1/preview" => offer,
        "/api/v1/tenants/{tenant}/update" => json!({"suspended": true}),
        // Verbs that need no more than the path.
        _ if path.contains("{share}/") || path.contains("{partnership}/") => json!({}),
        new => panic!("{new}: which body would change something of others?"),
    }
}

/// The paths of a route with ids that the caller has nothing to do with.
fn named(path: &str, door: &Door<'_>, foreign: &Foreign) -> Vec<(String, String)> {
    let shares = [&foreign.active, &foreign.pending, &foreign.invited];
    let (o, t) = (door.tenant("o"), door.tenant("t"));
    match path {
        _ if path.contains("{share}") => shares.map(|share| (path.replace("{share}", share), share.clone())).into(),
        _ if path.contains("{partnership}") => {
            [format!("{o}~{t}"), format!("{t}~{o}"), t].map(|id| (path.replace("{partnership}", &id), String::new())).into()
        }
        _ if path.contains("{tenant}") => [o, t].map(|id| (path.replace("{tenant}", &id), String::new())).into(),
        _ if path.contains("{profile}") => vec![(path.replace("{profile}", "SECRET-P"), String::new())],
        "/api/v1/shares/batch" => shares.map(|share| (path.to_owned(), share.clone())).into(),
        "/api/v1/explain" => shares
            .map(|share| (format!("{path}?stream=telemetry&share={share}"), share.clone()))
            .into_iter()
            .chain([
                (format!("{path}?stream=telemetry&asset=SECRET-1&owner={o}"), String::new()),
                (format!("{path}?stream=telemetry&partition=0&offset=0"), String::new()),
            ])
            .collect(),
        _ => vec![(path.to_owned(), String::new())],
    }
}

/// What others have, for a parameter that the document names. None is of no thing of anybody's.
fn foreign_values(parameter: &str, door: &Door<'_>, foreign: &Foreign) -> Vec<String> {
    let (o, t) = (door.tenant("o"), door.tenant("t"));
    match parameter {
        "owner" | "target" => vec![o, t],
        "share" => vec![foreign.active.clone(), foreign.pending.clone(), foreign.invited.clone()],
        "asset" => ["SECRET-1", "SECRET-T"].map(str::to_owned).into(),
        "profile" => vec!["SECRET-P".to_owned()],
        "label" => vec!["Digger".to_owned()],
        "invitee" => vec!["secret@example.com".to_owned()],
        "q" => ["SECRET", "secret@", "igge"].map(str::to_owned).into_iter().chain([o, t, foreign.active.clone()]).collect(),
        "partition" | "offset" => vec!["0".to_owned()],
        "role" => ["owner", "target"].map(str::to_owned).into(),
        "stream" => vec!["telemetry".to_owned()],
        "state" | "permission" | "limit" | "cursor" | "min_epoch" | "history" | "time" | "at" | "epoch" | "after" | "wait" => Vec::new(),
        new => panic!("{new}: which of its values name something of others?"),
    }
}

/// The parameters of a query, as the document has them.
fn parameters(path: &str, method: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document_text()).unwrap();
    let operation = document["paths"][path][method.to_lowercase()].clone();
    let all = operation["parameters"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|one| one["in"] == "query").map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

/// Everything that only others may know.
fn assert_tells_nothing(answered: &Answered, door: &Door<'_>, foreign: &Foreign, asked: &str) {
    // What was asked is no news; the rest of it would be.
    let text =
        asked.split(['/', '?', '=', '&']).filter(|part| !part.is_empty()).fold(answered.text.clone(), |text, part| text.replace(part, ""));
    for secret in ["SECRET", "secret@example.com", &door.tenant("t"), &foreign.active, &foreign.pending, &foreign.invited, "Digger"] {
        assert!(!text.contains(secret), "{asked} tells of {secret}: {}", answered.text);
    }
}

/// What was answered, without when.
fn said(answered: &Answered) -> (u16, Value) {
    let mut body = answered.body.clone();
    if let Some(explained) = body.as_object_mut().filter(|body| body.contains_key("now")) {
        explained.remove("now");
        explained["record"].as_object_mut().unwrap().remove("time");
    }
    (answered.status, body)
}

#[test]
fn no_route_shows_or_changes_anything_of_others() {
    let door = Door::new(World::new(shared(), 1, ""), "");
    door.partners();
    let server = door.serve("a");
    let foreign = foreign(&door, &server);
    let before = server.get("operator", "/api/v1/shares?limit=1000").ok(200);
    let (mut tried, mut with_parameters) = (BTreeSet::new(), 0);
    for (path, methods) in operations() {
        for (asked, share) in named(&path, &door, &foreign) {
            for method in &methods {
                if path.ends_with("/events") {
                    continue;
                }
                tried.insert((path.clone(), *method));
                let answered = match *method {
                    "GET" => server.get("z", &asked),
                    "POST" => server.post("z", &asked, &body(&path, &door, &share)),
                    other => panic!("{other} {path} is tried by nobody here"),
                };
                assert!([200, 201, 400, 403, 404, 409].contains(&answered.status), "{method} {asked}: {}", answered.text);
                let is_named = path.contains('{') || asked.contains("share=");
                if is_named {
                    // With a tenant that it is no partner of there is nothing to accept or to end.
                    let is_own = path.contains("{partnership}") && !asked.contains('~') && *method == "POST";
                    assert!(
                        is_own && answered.reason(409) == "no_partnership" || [403, 404].contains(&answered.status),
                        "{method} {asked}: {} {}",
                        answered.status,
                        answered.text
                    );
                }
                assert_tells_nothing(&answered, &door, &foreign, &asked);
                if path.contains("{share}") {
                    // As if it had never been there: the same words for an id that nobody has.
                    let unknown = asked.replace(&share, "aaaaaaaaaaaaaaaaaaaaaaaaaa");
                    let of_none =
                        if *method == "GET" { server.get("z", &unknown) } else { server.post("z", &unknown, &body(&path, &door, &share)) };
                    assert_eq!((answered.status, &answered.text), (of_none.status, &of_none.text), "{method} {asked}");
                }
                // Each parameter that the document has, with what others have.
                if *method == "GET" {
                    for parameter in parameters(&path, method) {
                        for value in foreign_values(&parameter, &door, &foreign) {
                            let asked = format!("{asked}{}{parameter}={value}", if asked.contains('?') { '&' } else { '?' });
                            let answered = server.get("z", &asked);
                            assert!([200, 400, 403, 404].contains(&answered.status), "{asked}: {}", answered.text);
                            assert_tells_nothing(&answered, &door, &foreign, &asked);
                            assert_eq!(said(&server.get("z-viewer", &asked)), said(&answered), "{asked}");
                            with_parameters += 1;
                        }
                    }
                }
                // Who only sees for the same tenant sees the same, and changes nothing.
                if *method == "GET" {
                    let viewer = server.get("z-viewer", &asked);
                    assert_eq!(said(&viewer), said(&answered), "{asked}");
                } else {
                    let viewer = server.post("z-viewer", &asked, &body(&path, &door, &share));
                    let looks = ["/preview", "/render"].iter().any(|look| path.ends_with(look));
                    // What nobody can understand is so said to both.
                    let is_same = viewer.status == answered.status && (looks || answered.status == 400);
                    assert!([403, 404].contains(&viewer.status) || is_same, "{asked}: {}", viewer.text);
                    assert_tells_nothing(&viewer, &door, &foreign, &asked);
                }
                // Nobody at all, and one who only sees.
                let nobody = if *method == "GET" { server.get("", &asked) } else { server.post("", &asked, &json!({})) };
                assert_eq!(nobody.status, 401, "{method} {asked}");
                assert_eq!(server.get("not-a-token", &asked).status, 401, "{asked}");
                let changes = *method == "POST" && !["/preview", "/render"].iter().any(|look| path.ends_with(look));
                if changes {
                    let viewer = server.post("o-viewer", &asked, &body(&path, &door, &share));
                    assert!(viewer.status >= 400, "{method} {asked} by a viewer: {} {}", viewer.status, viewer.text);
                }
            }
        }
    }
    let all: BTreeSet<_> =
        operations().into_iter().flat_map(|(path, methods)| methods.into_iter().map(move |method| (path.clone(), method))).collect();
    assert_eq!(server.post("z-viewer", "/api/v1/partnerships", &json!({"partner": door.tenant("o")})).status, 403);
    let untried: Vec<_> = all.difference(&tried).filter(|(path, _)| !path.ends_with("/events")).collect();
    assert!(untried.is_empty() && with_parameters > 50, "{untried:?} {with_parameters}");
    assert_eq!(server.get("operator", "/api/v1/shares?limit=1000").ok(200), before, "nothing has changed");
}

/// From the beginning of the log on, and as it happens.
#[test]
fn nobody_is_told_of_what_happens_to_others() {
    let door = Door::new(World::new(shared(), 1, ""), "");
    door.partners();
    let server = door.serve("a");
    let foreign = foreign(&door, &server);
    let heard = ["z", "z-viewer"].map(|token| [Some(0), None].map(|after| follow(&server, token, after)));
    for heard in heard.iter().flatten() {
        let first = next(heard);
        assert_eq!((first.kind.as_str(), first.data.as_object().unwrap().len()), ("open", 1), "{first:?}");
    }
    server.post("o", &format!("/api/v1/shares/{}/pause", foreign.active), &json!({})).ok(200);
    server.post("o", "/api/v1/profiles/SECRET-P/retire", &json!({})).ok(200);
    server.post("o", &format!("/api/v1/invitations/{}/resend", foreign.invited), &json!({})).ok(200);
    server.post("operator", &format!("/api/v1/tenants/{}/update", door.tenant("t")), &json!({"suspended": true})).ok(200);
    server.post("t", &format!("/api/v1/partnerships/{}/end", door.tenant("o")), &json!({})).ok(200);
    server.post("z", "/api/v1/partnerships", &json!({"partner": door.tenant("o")})).ok(201);
    for heard in heard.iter().flatten() {
        let sent = next(heard);
        assert_eq!((sent.kind.as_str(), sent.data["offered_by"].as_str()), ("partnership", Some(door.tenant("z").as_str())), "{sent:?}");
    }
}

#[test]
fn lists_counts_searches_and_cursors_know_the_callers_own_alone() {
    let door = Door::new(World::new(shared(), 1, ""), "");
    door.partners();
    let server = door.serve("a");
    let foreign = foreign(&door, &server);
    for path in ["/api/v1/shares", "/api/v1/invitations"] {
        for query in ["", "?q=SECRET", "?asset=SECRET-1", "?label=Digger", "?state=active", "?role=owner", "?invitee=secret@example.com"] {
            let listed = server.get("z", &format!("{path}{query}")).ok(200);
            assert_eq!(listed, json!({"shares": []}), "{path}{query}");
        }
    }
    for query in ["", "?q=SECRET", "?state=pending"] {
        assert_eq!(server.get("z", &format!("/api/v1/stats{query}")).ok(200)["total"], 0);
    }
    // A target does not find a share by what only its owner sees.
    for (query, count) in
        [("?q=SECRET-1", 0), ("?q=SECRET-T", 1), ("?asset=SECRET-1", 0), ("?asset=SECRET-T", 1), ("?q=digger", 2), ("?q=secret@", 0)]
    {
        let listed = server.get("t", &format!("/api/v1/shares{query}")).ok(200);
        assert_eq!(listed["shares"].as_array().unwrap().len(), count, "{query}: {listed}");
        assert_eq!(server.get("t", &format!("/api/v1/stats{query}")).ok(200)["total"], count, "{query}");
    }
    let profiles = |token: &str| server.get(token, "/api/v1/profiles").ok(200)["profiles"].as_array().unwrap().len();
    assert_eq!((profiles("o"), profiles("t"), profiles("z"), profiles("operator")), (1, 0, 0, 1));
    let tenants = |token: &str| server.get(token, "/api/v1/tenants").ok(200)["tenants"].as_array().unwrap().len();
    assert_eq!((tenants("o"), tenants("z")), (2, 1));
    // A cursor is of one caller and its filters.
    let page = server.get("o", "/api/v1/shares?limit=1").ok(200);
    let cursor = page["next"].as_str().unwrap();
    assert!(!cursor.is_empty());
    let second = server.get("o", &format!("/api/v1/shares?limit=1&cursor={cursor}")).ok(200);
    assert_ne!(second["shares"], page["shares"]);
    assert_eq!(server.get("operator", &format!("/api/v1/shares?limit=1&cursor={cursor}")).status, 400);
    assert_eq!(server.get("t", &format!("/api/v1/shares?limit=1&cursor={cursor}")).status, 400);
    assert_eq!(server.get("o", &format!("/api/v1/shares?limit=1&state=pending&cursor={cursor}")).status, 400);
    assert_eq!(server.get("o", "/api/v1/shares?cursor=AAAA").status, 400);
    // All pages together are all shares, each once.
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let page = server.get("o", &format!("/api/v1/shares?limit=2{next}")).ok(200);
        all.extend(page["shares"].as_array().unwrap().iter().map(|share| share["share"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(all, [foreign.invited, foreign.pending, foreign.active], "the newest offer first");
}
