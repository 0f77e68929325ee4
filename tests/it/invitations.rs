//! Invitations by e-mail: the code, the mailer's topic, and what becomes of both (docs/rules/shares.md, docs/rules/outputs.md).

use std::path::Path;
use std::process::Output;

use sharecast::clock::{Clock, SystemClock};
use sharecast::kafka::TopicSpec;
use sharecast::time::TimestampMs;

use super::broker::{shared, unique};
use super::fixture::World;
use super::instance::{await_that, output, run};

const INVITATIONS: &str = "sharecast.invitations";

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The newest record of a share in the mailer's topic: none where there never was one, null for a tombstone.
fn mail(world: &World<'_>, share: &str) -> Option<String> {
    let mut all = world.cluster.read(INVITATIONS).into_iter().filter(|record| record.key.as_deref() == Some(share));
    all.next_back().map(|record| record.value.unwrap_or_else(|| "null".to_owned()))
}

fn code_of(mail: &str) -> String {
    let mail: serde_json::Value = serde_json::from_str(mail).unwrap();
    mail["code"].as_str().unwrap().to_owned()
}

/// Northwind `o` and its partner `t`, who accepts by itself nothing: it is invited.
fn partners(world: &World<'_>) -> (String, String) {
    let (o, t) = (world.tenant("o"), world.tenant("t"));
    world.event("/operator", "partnership.established", &format!(r#"{{"tenants":["{o}","{t}"]}}"#));
    (o, t)
}

fn invite(o: &str, share: &str) -> String {
    format!("share --as {o} offer --asset NW-7 --invitee ann@example.com --streams telemetry --profile all --label Digger --share {share}")
}

/// The whole way with an engine: the mail is written once the offer stands, its code alone accepts, and the mail goes.
#[test]
fn a_mailed_code_accepts_and_the_mail_goes_with_the_invitation() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    let engine = world.start_ready("a");
    let (o, t) = partners(&world);
    let (kept, declined) = (unique("share"), unique("share"));
    for share in [&kept, &declined] {
        let said = run(&config, &format!("{} -o json", invite(&o, share)), 0);
        assert!(said.contains(r#""type":"share.offered""#) && said.lines().count() == 1, "{said}");
    }
    let first = mail(&world, &kept).unwrap();
    assert!(
        first.contains(r#""address":"ann@example.com""#) && first.contains(r#""label":"Digger""#) && !first.contains("NW-7"),
        "{first}"
    );
    let code = code_of(&first);
    assert!(code.len() == 26 && code.bytes().all(|digit| matches!(digit, b'a'..=b'z' | b'2'..=b'7')), "{code}");
    let events = String::from_utf8_lossy(&std::fs::read(dump(&config)).unwrap()).into_owned();
    assert!(events.contains(&kept) && !events.contains(&code), "the log has only its hash");

    let without = output(&config, &format!("share --as {t} accept {kept} --wait"));
    assert!(without.status.code() == Some(1) && told(&without).contains("wrong_code: it is an invitation"), "{without:?}");
    assert_eq!(run(&config, &format!("share --as {t} accept --code {}", "0".repeat(28)), 1), "");
    let resent = run(&config, &format!("share --as {o} resend {kept}"), 0);
    assert!(resent.contains("share.resent"), "{resent}");
    let second = mail(&world, &kept).unwrap();
    assert_ne!(code_of(&second), code);
    let old = output(&config, &format!("share --as {t} accept {kept} --code {code} --wait"));
    assert!(old.status.code() == Some(1) && told(&old).contains("wrong_code: the code is not the one"), "{old:?}");
    let outbox = |who: &str| run(&config, &format!("share invitations --outbox -o ndjson --search ann{who}"), 0);
    assert_eq!(outbox(&format!(" --as {o}")).lines().filter(|line| *line == second).count(), 1);
    assert_eq!(outbox(&format!(" --as {t}")), "", "the codes are the owner's and the operator's");

    // As people type.
    let typed = code_of(&second).to_uppercase().replace('O', "0");
    let typed = format!("{}-{}", &typed[..13], &typed[13..]);
    let accepted = run(&config, &format!("share --as {t} accept --code {typed} --target-asset mine --wait -o json"), 0);
    assert!(accepted.contains(&kept), "{accepted}");
    assert!(run(&config, &format!("share list --share {kept} -o ndjson"), 0).contains(r#""state":"ACTIVE""#));
    run(&config, &format!("share decline {declined} --wait"), 0);
    await_that("both mails are taken back", || [&kept, &declined].into_iter().all(|share| mail(&world, share).as_deref() == Some("null")));
    assert_eq!(outbox(""), "");

    let list = run(&config, &format!("share invitations --as {o} -o ndjson"), 0);
    let found: Vec<serde_json::Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcome = |share: &str| found.iter().find(|one| one["status"]["share"] == share).map(|one| one["outcome"].clone()).unwrap();
    assert_eq!((outcome(&kept), outcome(&declined)), ("accepted".into(), "declined".into()));
    assert!(found.iter().all(|one| one["invitee"] == "ann@example.com"), "{list}");
    assert_eq!(run(&config, &format!("share invitations --as {t} -o ndjson"), 0), "");
    engine.terminate();
}

fn dump(config: &Path) -> std::path::PathBuf {
    let file = config.with_file_name("dump.ndjson");
    std::fs::write(&file, run(config, "control dump", 0)).unwrap();
    file
}

/// No engine is needed to invite; what fails is said, and nobody gets mail of it.
#[test]
fn only_an_offer_that_stands_is_mailed() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    let (o, _) = partners(&world);
    let share = unique("share");
    let failed = output(&config, &invite(&o, &share).replace("--profile all", "--profile nothing"));
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("unknown_profile"), "{failed:?}");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("nothing was written"), "{failed:?}");
    run(&config, &invite(&o, &share), 0);
    let again = output(&config, &invite(&o, &share));
    assert!(again.status.code() == Some(1) && String::from_utf8_lossy(&again.stderr).contains("duplicate_share"), "{again:?}");
    assert!(mail(&world, &share).unwrap().contains(&share));
    // Nobody took the mail back, since no engine runs: the outbox knows all the same.
    run(&config, &format!("share --as {o} cancel {share}"), 0);
    assert!(!run(&config, "share invitations --outbox -o ndjson", 0).contains(&share));
    assert!(run(&config, &format!("share invitations --as {o}"), 0).contains("cancelled"));
    // What is no open invitation is not sent again: nothing is written, and no mail.
    let lapsed = unique("share");
    // Of these two alone: other worlds write mails too.
    let is_of_them = |key: Option<&str>| key == Some(share.as_str()) || key == Some(lapsed.as_str());
    let count_mails = || world.cluster.read(INVITATIONS).iter().filter(|mail| is_of_them(mail.key.as_deref())).count();
    let (written, mails) = (world.cluster.values(&world.control).len(), count_mails());
    // Later than the offer is in the log, however slow that is.
    let until = TimestampMs(SystemClock.wall().0 + 5000);
    let data = format!(
        r#"{{"share":"{lapsed}","asset":"a","invitee":"ann@example.com","streams":["telemetry"],"profile":"all","offer_expires":"{until}"}}"#
    );
    world.event(&format!("/tenants/{o}"), "share.offered", &data);
    await_that("the offer lapses", || SystemClock.wall() > until);
    for (share, why) in [(&share, "wrong_state: it is CANCELLED"), (&lapsed, "offer_lapsed: the offer lapsed at ")] {
        let resent = output(&config, &format!("share --as {o} resend {share}"));
        assert_eq!(resent.status.code(), Some(1), "{resent:?}");
        assert!(told(&resent).contains(why) && told(&resent).contains("nothing was written"), "{resent:?}");
    }
    assert_eq!((world.cluster.values(&world.control).len(), count_mails()), (written + 1, mails));
}

/// What the target may do is shown where that is configured, and a change of it takes effect with the next record
/// (docs/rules/outputs.md#the-permission-in-provenance).
#[test]
fn an_update_of_the_permission_shows_in_the_next_record() {
    let world = World::new(shared(), 1, "provenance_permission: true\n");
    let config = world.config("cli");
    let engine = world.start_ready("a");
    world.partners("o", "t");
    let share = world.share("o", "a", "t");
    world.await_decided_by(&[&engine]);
    world.feed(0, [world.record("o", "a", 1)]);
    let before = world.await_outputs("t", 1)[0].value.clone().unwrap();
    assert!(before.ends_with(r#","permission":"view"}}"#), "{before}");
    let o = world.tenant("o");
    let updated = run(&config, &format!("share --as {o} update {share} --permission manage --wait -o json"), 0);
    assert!(updated.contains(r#""permission":"manage""#), "{updated}");
    // The view of a worker may be a second old.
    let mut number = 1;
    await_that("the new permission", || {
        number += 1;
        world.feed(0, [world.record("o", "a", number)]);
        let seen = world.await_outputs("t", number as usize);
        seen.last().unwrap().value.as_deref().unwrap().ends_with(r#","permission":"manage"}}"#)
    });
    engine.terminate();
}

/// A document that shows the permission is another one with another permission, live too (docs/rules/upserts.md#equal-documents).
#[test]
fn an_update_of_the_permission_writes_the_document_again() {
    let mut world = World::new(shared(), 1, "");
    let (stream, topic) = (unique("d"), format!("docs-{}", world.name));
    let config = [("cleanup.policy".to_owned(), "compact".to_owned())].into();
    world.cluster.admin().create(&[TopicSpec { name: topic.clone(), partitions: 1, replication: -1, config }]).unwrap();
    world.set_more(&format!(
        "streams: {{ {stream}: {{ mode: upsert, topic: {topic}, tenant: key.tenant, asset: key.asset, key_format: \"{{tenant}}/{{asset}}\" }} }}\n\
         provenance_permission: true\n"
    ));
    world.make_control();
    world.partners("o", "t");
    let (o, t, share) = (world.tenant("o"), world.tenant("t"), unique("share"));
    let offer = format!(r#"{{"share":"{share}","owner":"{o}","asset":"a","target_tenant":"{t}","streams":["{stream}"],"profile":"all"}}"#);
    world.event("/operator", "share.offered", &offer);
    world.cluster.produce(&topic, [(0, format!("{o}/a").as_str(), r#"{"name":"digger"}"#)]);
    let engine = world.start_ready("a");
    let output = format!("out-{}.{t}.{stream}", world.name);
    let last = || world.cluster.admin().topic(&output).unwrap().and_then(|_| world.cluster.values(&output).pop()).unwrap_or_default();
    await_that("the document", || last().ends_with(r#","permission":"view"}}"#));
    world.event(&format!("/tenants/{o}"), "share.updated", &format!(r#"{{"share":"{share}","permission":"edit"}}"#));
    await_that("the document again", || last().ends_with(r#","permission":"edit"}}"#));
    engine.terminate();
    assert_eq!(world.cluster.values(&output).len(), 2, "once each");
}
