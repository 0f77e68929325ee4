//! Writing: read one's own, once however often it is repeated, and all of a batch or nothing.

use serde_json::{Value, json};

use super::server::Door;
use crate::broker::{shared, unique};
use crate::fixture::World;
use crate::instance::{Instance, await_that, run};

fn door<'c>() -> Door<'c> {
    Door::new(World::new(shared(), 1, ""), "")
}

/// The assets that were offered, by the log.
fn offered(door: &Door<'_>) -> Vec<String> {
    let text = run(&door.config("cli"), "control dump", 0);
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let offers = events.filter(|event| event["type"] == "sharecast.share.offered.v1");
    offers.map(|event| event["data"]["asset"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_one_server_writes_another_shows_as_of_its_epoch() {
    let door = door();
    door.partners();
    let (a, b) = (door.serve("a"), door.serve("b"));
    let offered = a.post("o", "/api/v1/shares", &door.offer("NW-7"));
    let epoch = offered.epoch;
    let offered = offered.ok(201);
    let share = offered["share"].as_str().unwrap().to_owned();
    assert_eq!(
        (offered["state"].as_str(), offered["asset"].as_str(), offered["epoch"].as_i64()),
        (Some("PENDING"), Some("NW-7"), Some(epoch))
    );
    let seen = b.get("t", &format!("/api/v1/shares/{share}?min_epoch={epoch}"));
    assert!(seen.epoch >= epoch);
    let seen = seen.ok(200);
    assert_eq!(seen.get("asset"), None, "the owner's id is the owner's");
    let accepted = b.post("t", &format!("/api/v1/shares/{share}/accept"), &json!({"target_asset": "mine"}));
    let epoch = accepted.epoch;
    let accepted = accepted.ok(200);
    assert_eq!((accepted["state"].as_str(), accepted["target_asset"].as_str()), (Some("ACTIVE"), Some("mine")));
    let listed = a.get("o", &format!("/api/v1/shares?state=active&min_epoch={epoch}")).ok(200);
    assert_eq!((listed["shares"].as_array().unwrap().len(), listed["shares"][0]["asset"].as_str()), (1, Some("NW-7")));
    let shown = a.get("o", &format!("/api/v1/shares/{share}?history=true")).ok(200);
    let events: Vec<_> =
        shown["events"].as_array().unwrap().iter().map(|event| (event["type"].as_str().unwrap(), event["actor"].as_str())).collect();
    assert_eq!(
        events,
        [("sharecast.share.offered.v1", Some("o")), ("sharecast.share.accepted.v1", None)],
        "who acted is told to its own side"
    );
    // What the log does not have is waited for, and not for ever; it is no failure of the server.
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| a.get("o", &format!("/api/v1/shares?state=revoked&min_epoch={}", epoch + 1)));
        b.post("o", &format!("/api/v1/shares/{share}/revoke"), &json!({})).ok(200);
        assert_eq!(waits.join().unwrap().ok(200)["shares"].as_array().unwrap().len(), 1);
    });
    for ahead in [2, 1_000_000, i64::MAX - epoch] {
        let late = a.get("o", &format!("/api/v1/shares?min_epoch={}", epoch + ahead));
        assert!(late.status == 400 && late.body["member"] == "min_epoch", "{late:?}");
    }
}

#[test]
fn a_write_is_done_once_under_its_key_and_answers_the_same() {
    let door = door();
    door.partners();
    let server = door.serve("a");
    let offer = door.offer("NW-7");
    let first = server.post_as("o", "/api/v1/shares", &offer, Some("k1")).ok(201);
    assert_eq!(server.post_as("o", "/api/v1/shares", &offer, Some("k1")).ok(201), first);
    let share = first["share"].as_str().unwrap();
    let accepted = server.post_as("t", &format!("/api/v1/shares/{share}/accept"), &json!({}), Some("k1")).ok(200);
    assert_eq!(accepted["state"], "ACTIVE", "another caller's key is another one");
    assert_eq!(server.post_as("o", "/api/v1/shares", &offer, Some("k1")).ok(201), first, "what became of the first");
    let other = server.post_as("o", "/api/v1/shares", &door.offer("NW-8"), Some("k1"));
    assert_eq!(other.reason(409), "id_reused");
    let verb = server.post_as("o", &format!("/api/v1/shares/{share}/pause"), &json!({}), Some("k1"));
    assert_eq!(verb.reason(409), "id_reused");
    let second = server.post_as("o", "/api/v1/shares", &offer, Some("k2")).ok(201);
    assert_ne!(second["share"], first["share"]);
    assert_eq!(server.post_as("o", "/api/v1/shares", &offer, Some("k \u{fc}")).status, 400);
    // What the state makes needless is written by nobody.
    let before = server.get("o", "/api/v1/stats").epoch;
    let again = server.post("t", &format!("/api/v1/shares/{share}/accept"), &json!({}));
    assert_eq!((again.epoch, again.ok(200)["state"].as_str()), (before, Some("ACTIVE")));
    assert_eq!(offered(&door).len(), 2);
}

#[test]
fn a_batch_is_tried_as_a_whole_and_a_dry_run_writes_nothing() {
    let door = door();
    door.partners();
    let server = door.serve("a");
    let with = json!({"target_tenant": door.tenant("t"), "streams": ["telemetry"], "profile": "all"});
    let batch = |items: Value, dry: bool| json!({"verb": "offer", "with": with, "items": items, "dry_run": dry});
    let items = json!([{"asset": "NW-1"}, {"asset": "NW-2", "target_asset": "X"}]);
    let review = server.post("o", "/api/v1/shares/batch", &batch(items.clone(), true)).ok(200);
    assert_eq!(
        (review["dry_run"].as_bool(), review["to_write"].as_i64(), review["rows"][1]["target_asset"].as_str()),
        (Some(true), Some(2), Some("X"))
    );
    let bad = json!([{"asset": "NW-1"}, {"asset": "NW-2", "streams": ["none"]}]);
    let review = server.post("o", "/api/v1/shares/batch", &batch(bad.clone(), true)).ok(200);
    assert_eq!((review["refusals"][0]["index"].as_i64(), review["refusals"][0]["reason"].as_str()), (Some(1), Some("unknown_stream")));
    let refused = server.post("o", "/api/v1/shares/batch", &batch(bad, false));
    assert_eq!(refused.reason(409), "unknown_stream");
    assert_eq!(refused.body["items"][0]["name"], "NW-2");
    assert_eq!(server.get("o", "/api/v1/stats").ok(200)["total"], 0);
    let done = server.post("o", "/api/v1/shares/batch", &batch(items, false)).ok(200);
    assert_eq!((done["applied"].as_i64(), done["rows"][0]["outcome"].as_str()), (Some(2), Some("applied")));
    let shares: Vec<Value> = done["rows"].as_array().unwrap().iter().map(|row| json!({"share": row["share"]})).collect();
    let accepted = server.post("t", "/api/v1/shares/batch", &json!({"verb": "accept", "items": shares})).ok(200);
    assert_eq!((accepted["applied"].as_i64(), accepted["rows"][0]["status"]["state"].as_str()), (Some(2), Some("ACTIVE")));
    assert_eq!(accepted["rows"][0]["status"].get("asset"), None);
    let wrong = server.post("o", "/api/v1/shares/batch", &json!({"verb": "offer", "items": [{"asset": "a", "stream": "telemetry"}]}));
    assert!(wrong.status == 400 && wrong.body["member"] == "items[0]", "{}", wrong.text);
}

#[test]
fn a_batch_that_a_dying_server_wrote_in_part_is_whole_on_another_each_share_once() {
    let door = door();
    door.partners();
    let (a, b) = (door.serve("a"), door.serve("b"));
    let assets: Vec<String> = (0..3000).map(|number| format!("NW-{number}")).collect();
    let items: Vec<Value> = assets.iter().map(|asset| json!({"asset": asset})).collect();
    let with = json!({"target_tenant": door.tenant("t"), "streams": ["telemetry"], "profile": "all"});
    let body = json!({"verb": "offer", "with": with, "items": items});
    let key = unique("batch");
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| a.post_as("o", "/api/v1/shares/batch", &body, Some(&key)));
        await_that("some of it is written", || b.get("o", "/api/v1/stats").body["total"].as_i64() > Some(0));
        a.instance.signal("KILL");
        writing.join().unwrap();
    });
    let done = b.post_as("o", "/api/v1/shares/batch", &body, Some(&key)).ok(200);
    assert_eq!(done["applied"], 3000);
    let again = b.post_as("o", "/api/v1/shares/batch", &body, Some(&key)).ok(200);
    assert!(again["rows"].as_array().unwrap().iter().all(|row| row["outcome"] == "repeated"), "{again}");
    assert_eq!(b.get("o", "/api/v1/stats").ok(200)["total"], 3000);
    let of_asset = |asset: &str| b.get("o", &format!("/api/v1/shares?asset={asset}")).ok(200)["shares"].as_array().unwrap().len();
    assert_eq!((of_asset("NW-0"), of_asset("NW-2999")), (1, 1));
}

#[test]
fn a_revoke_that_is_waited_for_says_how_it_is_certain() {
    let door = door();
    door.partners();
    let engine = door.world.start_ready("engine");
    let server = door.serve("a");
    let share = server.post("o", "/api/v1/shares", &door.offer("NW-7")).ok(201)["share"].as_str().unwrap().to_owned();
    server.post("t", &format!("/api/v1/shares/{share}/accept"), &json!({})).ok(200);
    let wrong = server.post("o", &format!("/api/v1/shares/{share}/pause?wait=certain"), &json!({}));
    assert_eq!(wrong.status, 400);
    let revoked = server.post("o", &format!("/api/v1/shares/{share}/revoke?wait=certain"), &json!({})).ok(200);
    assert_eq!((revoked["state"].as_str(), revoked["certain"].is_string()), (Some("REVOKED"), true));
    engine.terminate();
}

#[test]
fn an_invitation_is_mailed_once_and_accepted_by_its_code_alone() {
    let door = door();
    door.partners();
    let server = door.serve("a");
    let body = json!({"asset": "NW-7", "invitee": "ann@example.com", "streams": ["telemetry"], "profile": "all", "label": "Digger"});
    let invited = server.post_as("o", "/api/v1/invitations", &body, Some("i1")).ok(201);
    assert_eq!(server.post_as("o", "/api/v1/invitations", &body, Some("i1")).ok(201), invited);
    let share = invited["share"].as_str().unwrap();
    let mails = || {
        door.world
            .cluster
            .read("sharecast.invitations")
            .into_iter()
            .filter(|record| record.key.as_deref() == Some(share))
            .filter_map(|record| record.value)
            .collect::<Vec<_>>()
    };
    let codes =
        || mails().iter().map(|mail| serde_json::from_str::<Value>(mail).unwrap()["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(mails().len(), 1, "a repeat writes no second one");
    assert_eq!(server.get("t", &format!("/api/v1/shares/{share}")).reason(404), "unknown_share");
    assert_eq!(server.post("t", &format!("/api/v1/shares/{share}/accept"), &json!({"code": "wrong"})).reason(404), "unknown_share");
    let wrong = server.post("t", "/api/v1/invitations/accept", &json!({"code": "wrong"}));
    assert_eq!(wrong.reason(409), "wrong_code");
    let first = codes().remove(0);
    server.post("o", &format!("/api/v1/invitations/{share}/resend"), &json!({})).ok(200);
    let second = codes().remove(1);
    assert_ne!(first, second);
    assert_eq!(server.post("t", "/api/v1/invitations/accept", &json!({"code": first})).reason(409), "wrong_code");
    let typed = second.to_uppercase();
    let accept = json!({"code": typed, "target_asset": "mine"});
    let accepted = server.post_as("t", "/api/v1/invitations/accept", &accept, Some("a1")).ok(200);
    assert_eq!(
        (accepted["state"].as_str(), accepted["target_asset"].as_str(), accepted.get("invited")),
        (Some("ACTIVE"), Some("mine"), None)
    );
    assert_eq!(server.post_as("t", "/api/v1/invitations/accept", &accept, Some("a1")).ok(200), accepted);
    let used = server.post("t", "/api/v1/invitations/accept", &json!({"code": second}));
    assert_eq!(used.reason(409), "wrong_code");
    let listed = server.get("o", "/api/v1/invitations").ok(200);
    assert_eq!(
        (listed["shares"][0]["invited"].as_str(), listed["shares"][0].get("invitee")),
        (Some("ann@example.com"), None),
        "the address stays for its owner"
    );
    assert_eq!(server.get("t", "/api/v1/invitations").ok(200)["shares"].as_array().unwrap().len(), 0);
    let log = server.instance.log();
    assert!(log.contains("/api/v1/invitations/accept") && !log.contains(&second) && !log.contains(&typed), "no code is logged");
}

#[test]
fn a_server_without_a_secret_does_not_begin() {
    let door = door();
    let config = door.config("a");
    let text = std::fs::read_to_string(&config).unwrap().replace("  secret: 0123456789abcdef\n", "");
    std::fs::write(&config, text).unwrap();
    let mut instance = Instance::start_as(&config, &["serve"], &[]);
    assert_eq!(instance.await_exit(), 78);
    assert!(instance.log().contains("api.secret"), "{}", instance.log());
}
