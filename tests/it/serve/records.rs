//! Records before and after: previews, explanations, a profile on a record, the directory.

use serde_json::json;

use super::server::Door;
use crate::broker::shared;
use crate::fixture::World;
use crate::instance::await_that;

#[test]
fn an_owner_sees_what_leaves_and_why_and_a_target_its_own_share_alone() {
    let door = Door::new(World::new(shared(), 1, ""), "");
    door.partners();
    let (o, server) = (door.tenant("o"), door.serve("a"));
    door.world.feed(0, [format!(r#"{{"tenant":"{o}","asset":"NW-7","ts":1760000000,"n":1,"hidden":2}}"#)]);
    let spec = json!({"telemetry": {"include": ["$.n"]}});
    server.post("o", "/api/v1/profiles", &json!({"profile": "few", "spec": spec})).ok(201);
    let offer =
        json!({"asset": "NW-7", "target_tenant": door.tenant("t"), "target_asset": "mine", "streams": ["telemetry"], "profile": "few"});
    let preview = server.post("o-viewer", "/api/v1/preview", &offer).ok(200);
    let stream = &preview["previews"][0]["streams"][0];
    assert_eq!(
        (stream["value"]["n"].as_i64(), stream["value"]["asset"].as_str(), stream["value"].get("hidden")),
        (Some(1), Some("mine"), None)
    );
    assert_eq!((stream["record"]["hidden"].as_i64(), preview["previews"][0]["state"].as_str()), (Some(2), Some("PENDING")));
    let share = server.post("o", "/api/v1/shares", &offer).ok(201)["share"].as_str().unwrap().to_owned();
    server.post("t", &format!("/api/v1/shares/{share}/accept"), &json!({})).ok(200);

    let why = server.get("o", "/api/v1/explain?stream=telemetry&asset=NW-7").ok(200);
    assert_eq!((why["shares"][0]["decision"].as_str(), why["record"]["asset"].as_str()), (Some("suppressed"), Some("NW-7")));
    let why = server.get("t", &format!("/api/v1/explain?stream=telemetry&share={share}")).ok(200);
    assert_eq!(why["shares"][0]["rule"], "before_window");
    assert!(!why.to_string().contains("NW-7") && !why.to_string().contains("hidden"), "{why}");
    assert_eq!(
        server.get("t", "/api/v1/explain?stream=telemetry&asset=NW-7").ok(200)["shares"],
        json!([]),
        "of its own asset of that name"
    );
    assert_eq!(server.get("o", "/api/v1/explain?stream=telemetry&partition=0&offset=0").reason(403), "not_operator");
    let at = server.get("operator", "/api/v1/explain?stream=telemetry&partition=0&offset=0").ok(200);
    assert_eq!(at["shares"][0]["share"], share);
    let then = server.get("operator", "/api/v1/explain?stream=telemetry&partition=0&offset=0&epoch=1").ok(200);
    assert_eq!(then["shares"], json!([]), "the share was not there yet");
    assert_eq!(server.get("operator", "/api/v1/explain?stream=telemetry&partition=0&offset=99").status, 404);

    let rendered = server.post("o", "/api/v1/profiles/few/render", &json!({"stream": "telemetry", "asset": "NW-7"})).ok(200);
    assert_eq!((rendered["value"]["n"].as_i64(), rendered["record"]["hidden"].as_i64()), (Some(1), Some(2)));
    let draft = json!({"stream": "telemetry", "record": {"tenant": o, "asset": "x", "ts": 1, "a": 1, "b": 2}, "source": "telemetry: { include: [$.b] }"});
    assert_eq!(server.post("o", "/api/v1/profiles/render", &draft).ok(200)["value"]["b"], 2);
    let wrong =
        server.post("o", "/api/v1/profiles/render", &json!({"stream": "telemetry", "record": {}, "source": "telemetry: { include: [b] }"}));
    assert!(wrong.reason(400) == "invalid_profile" && wrong.text.contains("source:1:"), "{}", wrong.text);
    let publication = json!({"spec": {"telemetry": {"include": ["$.hidden"]}}});
    let changes = server.post("o", "/api/v1/profiles/few/preview", &publication).ok(200);
    assert_eq!((changes["changes"][0]["gains"][0].as_str(), changes["changes"][0]["loses"][0].as_str()), (Some("$.hidden"), Some("$.n")));
}

#[test]
fn assets_have_names_for_their_owner_and_the_operator() {
    let mut world = World::new(shared(), 1, "");
    let stream = format!(
        "streams:\n  details: {{ mode: upsert, topic: {}, tenant: key.tenant, asset: key.asset, key_format: '{{tenant}}/{{asset}}' }}\n",
        world.input
    );
    world.set_more(&stream);
    let door = Door::new(world, "  directory: { stream: details, name: $.name, reference: \"$['license.plate']\" }\n");
    let server = door.serve("a");
    let o = door.tenant("o");
    door.world.feed_keyed(&format!("{o}/NW-7"), Some(r#"{"name":"Excavator 36 t","license.plate":"B-HX 360"}"#));
    door.world.feed_keyed(&format!("{o}/NW-8"), Some(r#"{"name":"Crane"}"#));
    door.world.feed_keyed(&format!("{o}/NW-9"), Some(r#"{"name":"Gone"}"#));
    door.world.feed_keyed(&format!("{o}/NW-9"), None);
    // With the one that is gone for a moment, where it is read in the middle.
    let all = json!({"assets": [{"asset": "NW-7", "name": "Excavator 36 t", "reference": "B-HX 360"}, {"asset": "NW-8", "name": "Crane"}]});
    await_that("the directory has them", || server.get("o", "/api/v1/assets").body == all);
    assert_eq!(server.get("o", "/api/v1/assets?q=crane").ok(200), json!({"assets": [{"asset": "NW-8", "name": "Crane"}]}));
    assert_eq!(server.get("operator", &format!("/api/v1/assets?owner={o}&limit=1")).ok(200)["assets"][0]["asset"], "NW-7");
    assert_eq!(server.get("t", "/api/v1/assets").ok(200), json!({"assets": []}));
    assert_eq!(server.get("t", &format!("/api/v1/assets?owner={o}")).reason(403), "not_owner");
    let page = server.get("o", "/api/v1/assets?limit=1").ok(200);
    let second = server.get("o", &format!("/api/v1/assets?limit=1&cursor={}", page["next"].as_str().unwrap())).ok(200);
    assert_eq!(second, json!({"assets": [{"asset": "NW-8", "name": "Crane"}]}));
}
