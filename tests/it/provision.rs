//! Topics made by command, snapshots on demand, and the ACLs that a broker then holds everybody to (docs/rules/events.md,
//! docs/rules/outputs.md, docs/rules/cli.md).

use super::broker::{shared, unique};
use super::fixture::World;
use super::instance::{output, run};

/// A configuration with an upsert stream that provisions nothing by itself.
fn manual(world: &World<'_>, stream: &str) -> String {
    let name = &world.name;
    format!(
        "streams:\n  telemetry: {{ topic: {}, tenant: $.tenant, asset: $.asset, time: $.ts }}\n  {stream}: {{ mode: upsert, topic: docs-{name}, \
         tenant: key.tenant, asset: key.asset, key_format: \"{{tenant}}/{{asset}}\" }}\noutput: {{ topic: \"out-{name}.{{tenant}}.{{stream}}\", \
         provision: manual, partitions: 3 }}\n",
        world.input
    )
}

fn states(printed: &str) -> Vec<(String, String)> {
    let each = printed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    each.map(|topic| (topic["topic"].as_str().unwrap().to_owned(), topic["state"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn what_is_missing_is_made_as_it_must_be_and_what_is_wrong_is_said() {
    let mut world = World::new(shared(), 1, "");
    // What is stored is kept by stream, so this world needs a name of its own for it.
    let stream = unique("d");
    let more = manual(&world, &stream);
    world.set_more(&more);
    let config = world.config("cli");
    let docs = format!("docs-{}", world.name);
    let admin = world.cluster.admin();
    // An input is not ours to make; that it is missing is said.
    let said = run(&config, "provision --check -o ndjson", 2);
    assert!(states(&said).contains(&(world.control.clone(), "missing".to_owned())) && said.contains(&docs), "{said}");
    assert!(admin.topic(&world.control).unwrap().is_none(), "--check makes nothing");
    let spec = sharecast::kafka::TopicSpec {
        name: docs.clone(),
        partitions: 4,
        replication: -1,
        config: [("cleanup.policy".to_owned(), "compact".to_owned())].into(),
    };
    admin.create(&[spec]).unwrap();
    run(&config, "provision", 0);
    world.partners("o", "t");
    let (o, t) = (world.tenant("o"), world.tenant("t"));
    let offer = |share: &str, asset: &str, streams: &str| {
        format!(
            r#"{{"share":"{share}","asset":"{asset}","owner":"{o}","target_tenant":"{t}","streams":{streams},"profile":"all","history":true}}"#
        )
    };
    world.event("/operator", "share.offered", &offer(&unique("share"), "a", r#"["telemetry"]"#));
    world.event("/operator", "share.offered", &offer(&unique("share"), "b", &format!(r#"["{stream}"]"#)));
    let route = |tenant: &str, stream: &str| format!("out-{}.{tenant}.{stream}", world.name);
    let own = [route(&t, "telemetry"), route(&t, &stream), format!("share.{o}.shares"), format!("share.{t}.shares")];
    let missing = states(&run(&config, "provision --dry-run -o ndjson", 2));
    for topic in &own {
        assert!(missing.contains(&(topic.clone(), "missing".to_owned())), "{topic}: {missing:?}");
    }
    let made = states(&run(&config, "provision -o ndjson", 0));
    assert!(own.iter().all(|topic| made.contains(&(topic.clone(), "made".to_owned()))), "{made:?}");
    assert!(states(&run(&config, "provision --check -o ndjson", 0)).iter().all(|(_, state)| state == "ok"));
    let partitions = |topic: &str| admin.topic(topic).unwrap().unwrap().partitions;
    let policy = |topic: &str| admin.topic_config(topic).unwrap().remove("cleanup.policy").unwrap();
    assert_eq!((partitions(&own[0]), policy(&own[0])), (3, "delete".to_owned()));
    assert_eq!((partitions(&own[1]), policy(&own[1])), (3, "compact".to_owned()));
    assert_eq!((partitions(&own[3]), policy(&own[3])), (1, "compact".to_owned()));
    let standing = format!("sharecast.standing.{stream}");
    assert_eq!(policy("sharecast.invitations"), "compact");
    assert_eq!((partitions(&standing), policy(&standing)), (4, "compact".to_owned()));
    // Topics of the version before keep tombstones for a day; what else is set there stays.
    let retention = |topic: &str| admin.topic_config(topic).unwrap().remove("delete.retention.ms").unwrap();
    assert_eq!([&own[1], &own[2]].map(|topic| retention(topic)), ["2592000000", "2592000000"]);
    assert_eq!((retention(&own[0]), retention(&standing)), ("86400000".to_owned(), "86400000".to_owned()));
    admin.alter_topic(&own[1], &[("delete.retention.ms", None)]).unwrap();
    let said = run(&config, "provision --check -o ndjson", 2);
    assert!(said.contains("delete.retention.ms is 86400000; `sharecast provision` sets it to 2592000000"), "{said}");
    assert!(states(&run(&config, "provision -o ndjson", 0)).contains(&(own[1].clone(), "set".to_owned())));
    assert_eq!((retention(&own[1]), policy(&own[1])), ("2592000000".to_owned(), "compact".to_owned()));
    run(&config, "provision --check", 0);
    // An engine that makes nothing flows on what was made.
    let engine = world.start_ready("a");
    world.feed(0, [world.record("o", "a", 1)]);
    assert_eq!(world.await_outputs("t", 1).len(), 1);
    engine.terminate();
    // Somebody made the topics of the next tenant as they came.
    world.partners("o", "u");
    let u = world.tenant("u");
    let as_it_came = |name: String| sharecast::kafka::TopicSpec { name, partitions: 2, replication: -1, config: Default::default() };
    admin.create(&[as_it_came(format!("share.{u}.shares")), as_it_came(route(&u, &stream))]).unwrap();
    world.event("/operator", "share.offered", &offer(&unique("share"), "b", &format!(r#"["{stream}"]"#)).replace(&t, &u));
    let said = run(&config, "provision -o json", 78);
    for wrong in ["it has 2 partitions and needs 1", "it has 2 partitions and needs 3", "cleanup.policy is delete; set it to compact"] {
        assert!(said.contains(wrong), "{wrong}: {said}");
    }
    run(&config, "provision --check", 2);
}

/// Under prefixes of their own two installations read one input whole, and neither touches what is the other's or nobody's.
#[test]
fn two_installations_live_on_one_cluster() {
    let installation = |input: Option<&String>| {
        let mut world = World::new(shared(), 1, "");
        let prefix = format!("own-{}", world.name);
        world.input = input.unwrap_or(&world.input).clone();
        world.control = format!("{prefix}.control");
        let more = format!(
            "topics: {{ prefix: {prefix}, status: \"st-{}.{{tenant}}.all\" }}\nkafka: {{ bootstrap: \"{}\", instance: one }}\ncontrol: {{}}\n",
            world.name, world.cluster.bootstrap
        );
        world.set_more(&more);
        (world, prefix)
    };
    let (first, first_prefix) = installation(None);
    let (second, second_prefix) = installation(Some(&first.input));
    // Instances of one name: under one group they would fence each other.
    let engines = [first.start_ready("one"), second.start_ready("one")];
    let shares = [&first, &second].map(|world| {
        world.partners("o", "t");
        world.share("o", "a", "t")
    });
    first.await_decided_by(&[&engines[0]]);
    second.await_decided_by(&[&engines[1]]);
    first.feed(0, (0..100).flat_map(|n| [first.record("o", "a", n), second.record("o", "a", n)]));
    for (world, prefix, share) in [(&first, &first_prefix, &shares[0]), (&second, &second_prefix, &shares[1])] {
        assert_eq!(world.await_outputs("t", 100).len(), 100);
        let config = world.config("one");
        let said = run(&config, "provision --check -o ndjson", 0);
        let own = states(&said);
        for name in ["control", "shares", "dead-letters", "state", "invitations"] {
            assert!(own.contains(&(format!("{prefix}.{name}"), "ok".to_owned())), "{name}: {said}");
        }
        assert!(own.contains(&(format!("st-{}.{}.all", world.name, world.tenant("t")), "ok".to_owned())), "{said}");
        assert!(!said.contains("sharecast."), "{said}");
        // Reads status documents and the reports of the workers.
        let revoked = output(&config, &format!("share revoke {share} --as {} --wait", world.tenant("o")));
        assert!(revoked.status.success() && String::from_utf8_lossy(&revoked.stderr).contains("every member"), "{revoked:?}");
    }
    engines.into_iter().for_each(super::instance::Instance::terminate);
}

/// The snapshot on demand is the engine's own: written beside a running engine, read by the next start.
#[test]
fn a_snapshot_on_demand_is_what_the_engine_starts_from() {
    let world = World::new(shared(), 1, "");
    let config = world.config("a");
    let engine = world.start_ready("a");
    world.partners("o", "t");
    let share = world.share("o", "a", "t");
    let aside = config.with_file_name("aside.snapshot");
    let said = run(&config, &format!("snapshot --out {}", aside.display()), 0);
    assert!(said.contains("1 shares") && aside.exists(), "{said}");
    // The engine's own file, while it runs.
    run(&config, "snapshot", 0);
    let file = config.with_file_name("a.snapshot");
    let left: Vec<_> =
        std::fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| !name.ends_with(".new")), "{left:?}");
    engine.kill();
    let engine = world.start_ready("a");
    engine.await_line(&["read from the snapshot"]);
    world.feed(0, [world.record("o", "a", 1)]);
    assert!(world.await_outputs("t", 1)[0].value.as_deref().unwrap().contains(&share));
    engine.terminate();
    world.control(b"nobody understands this");
    let refused = output(&config, "snapshot");
    assert!(refused.status.code() == Some(1) && String::from_utf8_lossy(&refused.stderr).contains("control.skipped"), "{refused:?}");
}
