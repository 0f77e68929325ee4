//! Under `partnerships: invited`: from an invitation by way of a mail to a partnership, a share and data.

use serde_json::{Value, json};

use super::server::{Door, Server};
use crate::broker::{shared, unique};
use crate::fixture::World;
use crate::instance::{Instance, await_that, run};
use crate::mails::sink::Sink;

fn invite(server: &Server, asset: &str, more: &[(&str, &str)]) -> String {
    let mut body = json!({"asset": asset, "invitee": "ann@b.example", "streams": ["telemetry"], "profile": "all", "label": "Digger"});
    more.iter().for_each(|(name, value)| body[*name] = Value::from(*value));
    server.post("o", "/api/v1/invitations", &body).ok(201)["share"].as_str().unwrap().to_owned()
}

#[test]
fn the_code_of_a_mail_makes_partners_a_share_and_a_flow_and_no_other_code_does() {
    let (sink, prefix) = (Sink::start(false), unique("invited"));
    let more = format!(
        "partnerships: invited\ntopics: {{ prefix: {prefix}, status: \"st-{prefix}.{{tenant}}\" }}\n\
         mail: {{ from: sharing@example.com, smtp: {{ host: localhost, port: {}, tls: none }} }}\n",
        sink.port
    );
    let door = Door::new(World::new(shared(), 1, &more), "  public_url: \"https://s.example.com\"\n");
    let (engine, server) = (door.world.start_ready("engine"), door.serve("a"));
    let mailer = Instance::start_as(&door.config("m"), &["mailer"], &[]);
    mailer.await_ready();

    // The token of a tenant that no event has named is made while the server runs.
    let new = door.tenant("new");
    let token = run(&door.config("cli"), &format!("token new {new} --role admin"), 0).trim().to_owned();
    server.instance.signal("HUP");
    server.instance.await_line(&["configuration reloaded", "tokens"]);
    let accept = |code: &str| server.post(&token, "/api/v1/invitations/accept", &json!({"code": code, "target_asset": "mine"}));

    let share = invite(&server, "NW-7", &[]);
    let first = sink.await_mails(1).remove(0).code();
    for wrong in ["", "aaaaaaaaaaaaaaaaaaaaaaaaaa", &first[1..]] {
        assert_eq!(accept(wrong).reason(409), "wrong_code");
    }
    assert_eq!(server.get("operator", "/api/v1/partnerships").ok(200)["partnerships"], json!([]));
    server.post("o", &format!("/api/v1/invitations/{share}/resend"), &json!({})).ok(200);
    let second = sink.await_mails(2).remove(1).code();
    assert_eq!(accept(&first).reason(409), "wrong_code", "a resend's code takes the place of the one before");
    let accepted = accept(&second).ok(200);
    assert_eq!(
        (accepted["share"].as_str(), accepted["state"].as_str(), accepted["target_tenant"].as_str()),
        (Some(share.as_str()), Some("ACTIVE"), Some(new.as_str()))
    );
    let partners = server.get("o", "/api/v1/partnerships").ok(200);
    assert_eq!((partners["partnerships"][0]["state"].as_str(), partners["partnerships"].as_array().unwrap().len()), (Some("ACTIVE"), 1));
    assert_eq!(accept(&second).reason(409), "wrong_code", "a link is good once");
    // The server has folded it; the engine decides by a view of its own.
    door.world.await_decided_by(&[&engine]);
    let o = door.tenant("o");
    // The clock of a record in seconds may lie just before the acceptance.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 2;
    door.world.feed(0, [format!(r#"{{"tenant":"{o}","asset":"NW-7","ts":{now},"n":1}}"#)]);
    assert!(door.world.await_outputs("new", 1)[0].value.as_deref().unwrap().contains(r#""asset":"mine""#));

    let cancelled = invite(&server, "NW-8", &[]);
    let code = sink.await_mails(3).remove(2).code();
    server.post("o", &format!("/api/v1/invitations/{cancelled}/cancel"), &json!({})).ok(200);
    assert_eq!(accept(&code).reason(409), "wrong_code");

    // Its mail must have come before.
    let soon = sharecast::time::TimestampMs(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64 + 15_000);
    let lapsed = invite(&server, "NW-9", &[("offer_expires", &soon.moment().to_string())]);
    let code = sink.await_mails(4).remove(3).code();
    let state = || server.get("o", &format!("/api/v1/invitations/{lapsed}")).ok(200)["state"].clone();
    await_that("the offer has lapsed", || state() == "EXPIRED");
    let late = accept(&code);
    assert!(["offer_lapsed", "wrong_code"].contains(&late.reason(409)), "{}", late.text);
    let resent = server.post("o", &format!("/api/v1/invitations/{lapsed}/resend"), &json!({}));
    assert_eq!(resent.reason(409), "wrong_state", "a new one is made");
    mailer.terminate();
    engine.terminate();
}
