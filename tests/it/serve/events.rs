//! Changes as they happen, and going on where a stream was cut.

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::server::{Door, Server};
use crate::broker::{PATIENCE, shared};
use crate::fixture::World;

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sent {
    pub(super) kind: String,
    pub(super) id: Option<i64>,
    pub(super) data: Value,
}

/// Follows a stream on a thread of its own, which ends with it.
pub(super) fn follow(server: &Server, token: &str, after: Option<i64>) -> Receiver<Sent> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = agent.get(format!("{}/api/v1/events", server.base)).header("authorization", format!("Bearer {token}"));
    if let Some(after) = after {
        request = request.header("last-event-id", after.to_string());
    }
    let response = request.call().unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let (told, heard) = channel();
    std::thread::spawn(move || {
        let mut sent = Sent::default();
        for line in BufReader::new(response.into_body().into_reader()).lines().map_while(Result::ok) {
            match line.split_once(": ").unwrap_or((&line, "")) {
                ("event", kind) => kind.clone_into(&mut sent.kind),
                ("id", id) => sent.id = id.parse().ok(),
                ("data", data) => sent.data = serde_json::from_str(data).unwrap(),
                ("", _) if !sent.kind.is_empty() && told.send(std::mem::take(&mut sent)).is_err() => return,
                _ => {}
            }
        }
    });
    heard
}

pub(super) fn next(heard: &Receiver<Sent>) -> Sent {
    heard.recv_timeout(PATIENCE).expect("an event")
}

#[test]
fn each_caller_is_told_of_its_own_view_and_goes_on_where_it_was_cut() {
    let door = Door::new(World::new(shared(), 1, ""), "");
    door.partners();
    let server = door.serve("a");
    let (owner, target, other) = (follow(&server, "o", None), follow(&server, "t", None), follow(&server, "z", None));
    for heard in [&owner, &target, &other] {
        let open = next(heard);
        assert_eq!((open.kind.as_str(), open.id, open.data["epoch"].as_i64()), ("open", open.data["epoch"].as_i64(), open.id));
    }
    let offered = server.post("o", "/api/v1/shares", &door.offer("NW-7")).ok(201);
    let share = offered["share"].as_str().unwrap();
    let sent = next(&owner);
    assert_eq!((sent.kind.as_str(), &sent.data, sent.id), ("share", &offered, offered["epoch"].as_i64()));
    let sent = next(&target);
    assert_eq!((sent.data["share"].as_str(), sent.data.get("asset")), (Some(share), None));
    let first = sent.id.unwrap();
    let accepted = server.post("t", &format!("/api/v1/shares/{share}/accept"), &json!({})).ok(200);
    assert_eq!(next(&target).data, accepted);
    server.post("o", "/api/v1/partnerships", &json!({"partner": door.tenant("z")})).ok(201);
    assert_eq!(next(&owner).data["state"], "ACTIVE");
    for heard in [&owner, &other] {
        let sent = next(heard);
        assert_eq!((sent.kind.as_str(), sent.data["state"].as_str()), ("partnership", Some("OFFERED")));
    }
    // Who was cut after the offer hears what came since, on this server and on another one.
    let second = door.serve("b");
    for server in [&server, &second] {
        let heard = follow(server, "t", Some(first));
        let sent = next(&heard);
        assert_eq!((sent.kind.as_str(), &sent.data, sent.id), ("share", &accepted, accepted["epoch"].as_i64()));
        assert_eq!(next(&heard).kind, "open");
        let heard = follow(server, "t", accepted["epoch"].as_i64());
        assert_eq!(next(&heard).kind, "open", "nothing was missed");
    }
    let wrong = server.get("t", "/api/v1/events?from=1");
    assert_eq!(wrong.status, 400);
}

#[test]
fn a_cascade_is_one_epoch_whose_id_is_on_its_last_message() {
    let door = Door::new(World::new(shared(), 1, ""), "");
    door.partners();
    let server = door.serve("a");
    for asset in ["NW-1", "NW-2", "NW-3"] {
        let share = server.post("o", "/api/v1/shares", &door.offer(asset)).ok(201)["share"].as_str().unwrap().to_owned();
        server.post("t", &format!("/api/v1/shares/{share}/accept"), &json!({})).ok(200);
    }
    let heard = follow(&server, "o", None);
    next(&heard);
    let ended = server.post("t", &format!("/api/v1/partnerships/{}/end", door.tenant("o")), &json!({}));
    let epoch = ended.epoch;
    assert_eq!(ended.ok(200)["state"], "ENDED");
    let sent: Vec<Sent> = (0..4).map(|_| next(&heard)).collect();
    assert_eq!(sent.iter().map(|sent| sent.id).collect::<Vec<_>>(), [None, None, None, Some(epoch)], "{sent:?}");
    assert!(sent[..3].iter().all(|sent| sent.data["state"] == "REVOKED") && sent[3].data["state"] == "ENDED", "{sent:?}");
}

#[test]
fn a_stream_ends_with_its_token() {
    let door = Door::new(World::new(shared(), 1, ""), "");
    let server = door.serve("a");
    let heard = follow(&server, "t", None);
    next(&heard);
    door.write_tokens(&["operator", "o"]);
    server.instance.signal("HUP");
    server.instance.await_line(&["configuration reloaded", "tokens"]);
    assert_eq!(server.get("t", "/api/v1/shares").status, 401);
    assert_eq!(server.get("o", "/api/v1/shares").status, 200);
    assert!(heard.recv_timeout(PATIENCE).is_err(), "the stream ended");
}
