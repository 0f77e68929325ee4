//! What one client may cost, and what is open to everybody.

use serde_json::json;
use sharecast::serve::rest::routes::operations;

use super::server::Door;
use crate::broker::shared;
use crate::fixture::World;

#[test]
fn a_token_has_its_requests_a_second_and_a_body_its_bytes() {
    let door = Door::new(World::new(shared(), 1, ""), "  limits: { requests: 5, body: 2048 }\n");
    let server = door.serve("a");
    // Together: one after the other they may be slow enough for the limit.
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..40).map(|_| scope.spawn(|| server.get("t", "/api/v1/stats"))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let limited: Vec<_> = statuses.iter().filter(|answered| answered.status == 429).collect();
    assert!(!limited.is_empty() && statuses.iter().any(|answered| answered.status == 200), "{statuses:?}");
    assert!(limited.iter().all(|answered| answered.retry_after.as_deref() == Some("1") && answered.kind == "application/problem+json"));
    assert_eq!(server.get("o", "/api/v1/stats").status, 200, "each token by itself");
    let long = json!({"asset": "x".repeat(3000), "streams": [], "profile": "all"});
    assert_eq!(server.post("operator", "/api/v1/shares", &long).status, 413);
    let text = server.send("operator", "/api/v1/shares", "asset=1", "application/x-www-form-urlencoded", None);
    assert_eq!(text.status, 415);
    let wrong = server.send("operator", "/api/v1/shares", "{", "application/json", None);
    assert_eq!(wrong.status, 400);
}

#[test]
fn the_document_is_open_and_has_every_route() {
    let door = Door::new(World::new(shared(), 1, ""), "");
    let server = door.serve("a");
    let document = server.get("", "/api/v1/openapi.json").ok(200);
    assert_eq!(document["openapi"], "3.1.0");
    for (path, methods) in operations() {
        for method in methods {
            let operation = &document["paths"][&path][method.to_lowercase()];
            assert!(operation["responses"].is_object(), "{method} {path}");
        }
    }
    assert_eq!(server.get("o", "/api/v1/none").status, 404);
    assert_eq!(server.get("o", "/api/v1/none").kind, "application/problem+json");
    assert_eq!(server.post("o", "/api/v1/stats", &json!({})).status, 405);
    assert_eq!(server.get("o", "/api/v1/shares?sttae=active").status, 400, "a slip of the pen is no filter");
    assert_eq!((server.get("", "/livez").status, server.get("", "/readyz").status), (200, 200));
    assert!(server.get("", "/metrics").text.contains("sharecast_api_requests_total"));
}

#[test]
fn whoever_reaches_a_loopback_address_may_be_the_operator() {
    let door = Door::new(World::new(shared(), 1, ""), "  auth: { mode: none }\n");
    let server = door.serve("a");
    assert_eq!(server.get("", "/api/v1/tenants").status, 200);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let asked = |name: &str, value: &str| {
        let request = agent.get(format!("{}/api/v1/tenants", server.base)).header(name, value);
        request.call().unwrap().status().as_u16()
    };
    assert_eq!((asked("host", "rebound.example"), asked("origin", "http://evil.example")), (403, 403));
}
