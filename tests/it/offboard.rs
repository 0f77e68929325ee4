//! `tenant offboard` on a cluster: what a tenant has to do with others ends, its topics go, and nothing of others does.

use serde_json::Value;

use super::broker::shared;
use super::instance::{await_that, output, printed, run};
use super::upserts::Details;

fn told(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_tenant_leaves_with_all_that_it_has_and_only_that() {
    let details = Details::new(shared(), 2, &[], "");
    let world = &details.world;
    let config = world.config("cli");
    let engine = world.start_ready("a");
    world.partners("o", "t");
    world.partners("o", "u");
    let (t, u) = (world.tenant("t"), world.tenant("u"));
    let document = details.document("a1", "one");
    details.feed(1, [("a1", Some(&*document)), ("a2", Some(&*document))]);
    let kept = details.share("a2", "u", "k");
    details.share("a1", "t", "k1");
    world.share("o", "a", "t");
    world.share("o", "a", "u");
    world.await_decided_by(&[&engine]);
    world.feed(0, [world.record("o", "a", 1)]);
    world.await_outputs("t", 1);
    world.await_outputs("u", 1);
    details.await_standing("t", [details.shown("t", "k1", "one")]);
    details.await_standing("u", [details.shown("u", "k", "one")]);

    // Whoever writes it may be behind.
    let exists = |topic: &str| world.cluster.admin().topic(topic).unwrap().is_some();
    await_that("the topics of their shares", || [&t, &u].iter().all(|tenant| exists(&format!("share.{tenant}.shares"))));
    let unknown = output(&config, &format!("tenant offboard {} --yes", t.to_uppercase()));
    assert!(unknown.status.code() == Some(1) && told(&unknown).contains(&format!("Is {t} meant?")), "{unknown:?}");
    let refused = output(&config, &format!("tenant --as {u} offboard {t} --yes"));
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    let asked = output(&config, &format!("tenant offboard {t} --delete-topics"));
    assert!(asked.status.code() == Some(64) && told(&asked).contains("nothing was written"), "{asked:?}");
    // The review names what would go.
    for named in [world.output("t"), details.output("t"), format!("share.{t}.shares"), "ACTIVE -> REVOKED".to_owned()] {
        assert!(told(&asked).contains(&named), "{named} in {asked:?}");
    }
    assert!(!told(&asked).contains(&world.output("u")), "{asked:?}");

    let ended: Value = serde_json::from_str(&run(&config, &format!("tenant offboard {t} --yes --wait -o json"), 0)).unwrap();
    assert_eq!(ended["events"].as_array().unwrap().len(), 1, "the partnership takes both shares with it: {ended}");
    assert!(ended["shares"].as_array().unwrap().iter().all(|share| share["after"] == "REVOKED"), "{ended}");
    assert!(ended["certain"].is_string() && ended["deleted_topics"].as_array().unwrap().is_empty(), "{ended}");
    world.feed(0, [world.record("o", "a", 2)]);
    world.await_outputs("u", 2);
    assert_eq!(world.await_outputs("t", 1).len(), 1, "no record came after the certain end");

    // Again: what is left are its topics.
    let gone: Value = serde_json::from_str(&run(&config, &format!("tenant offboard {t} --delete-topics --yes -o json"), 0)).unwrap();
    assert!(gone["events"].as_array().unwrap().is_empty() && gone["certain"].is_string(), "{gone}");
    let mut deleted: Vec<&str> = gone["deleted_topics"].as_array().unwrap().iter().map(|topic| topic.as_str().unwrap()).collect();
    deleted.sort_unstable();
    let mut expected = [world.output("t"), details.output("t"), format!("share.{t}.shares")];
    expected.sort_unstable();
    assert_eq!(deleted, expected);
    assert!(expected.iter().all(|topic| !exists(topic)));
    assert!(exists(&world.output("u")) && exists(&details.output("u")) && exists(&format!("share.{u}.shares")));
    let nothing = output(&config, &format!("tenant offboard {t} --delete-topics --yes"));
    assert!(printed(&nothing).contains("0 partnerships and 0 shares ended, 0 topics deleted"), "{nothing:?}");
    // The engine flows on, and makes none of them again.
    world.feed(0, [world.record("o", "a", 3)]);
    let two = details.document("a2", "two");
    details.feed(1, [("a2", Some(&*two)), ("a1", Some(&*two))]);
    world.await_outputs("u", 3);
    details.await_standing("u", [details.shown("u", "k", "two")]);
    assert!(expected.iter().all(|topic| !exists(topic)));
    assert_eq!(run(&config, &format!("share list --as {u} --state active --share {kept} -o id"), 0), format!("{kept}\n"));
    engine.terminate();
}

#[test]
fn what_stands_in_its_topics_is_taken_back_before_they_go() {
    let details = Details::new(shared(), 2, &[], "");
    let world = &details.world;
    let config = world.config("cli");
    let engine = world.start_ready("a");
    world.partners("o", "t");
    let assets: Vec<String> = (0..200).map(|n| format!("a{n}")).collect();
    let documents: Vec<String> = assets.iter().map(|asset| details.document(asset, "one")).collect();
    details.feed(0, assets.iter().map(String::as_str).zip(documents.iter().map(|document| Some(document.as_str()))));
    assets.iter().for_each(|asset| drop(details.share(asset, "t", asset)));
    details.await_standing("t", assets.iter().map(|asset| details.shown("t", asset, "one")));
    let t = world.tenant("t");
    await_that("the topic of its shares", || world.cluster.admin().topic(&format!("share.{t}.shares")).unwrap().is_some());
    let done = run(&config, &format!("tenant offboard {t} --delete-topics --yes"), 0);
    assert!(done.contains("1 partnerships and 200 shares ended, 2 topics deleted"), "{done}");
    engine.terminate();
    // A route to a topic that is gone would be told.
    assert_eq!(world.cluster.admin().topic(&details.output("t")).unwrap(), None);
}
