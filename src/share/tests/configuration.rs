//! `control.configured`: the fold depends on the log alone.

use proptest::prelude::*;

use crate::record::mapping::{Mode, Stream};
use crate::share::configuration::PartnershipNeed;
use crate::share::snapshot;
use crate::share::snapshot::SnapshotError;
use crate::share::status::Audience;
use crate::share::table::{FoldRules, Outcome, ShareTable};
use crate::share::tests::fixture::{World, code, rules};
use crate::share::tests::fold_properties::{check_indexes, kept, origin};
use crate::share::tests::random_log::{configured_log, fold, step};

const BOTH: &str = r#"{"streams":{"telemetry":"append","details":"upsert"},"partnerships":"required","unreadable":"halt"}"#;

/// Rules of a process that is configured for these streams, in this order.
fn with(names: &[(&str, Mode)], partnerships: PartnershipNeed, halts: bool) -> FoldRules {
    let known = rules();
    let stream = |(index, (name, mode)): (usize, &(&str, Mode))| Stream {
        name: crate::id::StreamName::parse(name).unwrap(),
        index: crate::id::StreamIndex(index as u8),
        mode: *mode,
        ..known.streams[0].clone()
    };
    FoldRules { streams: names.iter().enumerate().map(stream).collect(), partnerships, halts_on_unreadable: halts, ..known }
}

fn fewer() -> FoldRules {
    with(&[("telemetry", Mode::Append)], PartnershipNeed::Required, true)
}

fn configured(world: &mut World, data: &str) {
    world.ok("sharecast", "control.configured", data);
}

#[test]
fn what_follows_is_judged_by_the_log() {
    let mut world = World::new(fewer());
    configured(&mut world, BOTH);
    world.ok("operator", "partnership.established", r#"{"tenants":["acme","zenith"]}"#);
    let offer = |id: &str, streams: &str, profile: &str| {
        format!(
            r#"{{"share":"{id}","asset":"A","target_tenant":"zenith","streams":{streams},"profile":"{profile}","target_asset":"{id}"}}"#
        )
    };
    world.ok("acme", "share.offered", &offer("s1", r#"["details","telemetry"]"#, "all"));
    assert_eq!(world.document("s1")["streams"], serde_json::json!(["details", "telemetry"]), "named, though only others read it");
    world.ok("acme", "share.offered", &offer("s2", r#"["extras"]"#, "all"));
    assert_eq!(world.document("s2")["reason"], "unknown_stream");
    world.ok("zenith", "share.accepted", r#"{"share":"s1","streams":["details"]}"#);
    assert_eq!(world.document("s1")["streams"], serde_json::json!(["details"]));
    let graph = world.table.graph();
    assert_eq!(
        graph.asset("acme", "A").unwrap().grants().next().unwrap().streams,
        crate::id::StreamSet::default(),
        "nothing to be read here"
    );

    configured(&mut world, r#"{"streams":{"telemetry":"append","faults":"append"},"partnerships":"open"}"#);
    assert_eq!(world.document("s1")["streams"], serde_json::json!(["details"]), "no share is touched");
    assert_eq!(world.state("s1"), "ACTIVE");
    world.ok("acme", "share.offered", &offer("s3", r#"["details"]"#, "all"));
    assert_eq!(world.document("s3")["reason"], "unknown_stream");
    world.ok("acme", "profile.published", r#"{"profile":"f","spec":{"faults":{"include":["$"]}}}"#);
    world.ok("acme", "share.offered", &offer("s4", r#"["faults"]"#, "f"));
    assert_eq!(world.state("s4"), "PENDING");
    world.ok("acme", "share.offered", &offer("s5", r#"["telemetry"]"#, "f"));
    assert_eq!(world.document("s5")["reason"], "stream_not_in_profile");
    let stranger = offer("s6", r#"["faults"]"#, "all").replace("zenith", "stranger");
    world.ok("acme", "share.offered", &stranger);
    assert_eq!(world.state("s6"), "PENDING", "open");
}

#[test]
fn the_mode_of_a_stream_is_the_logs_where_a_profile_takes_samples() {
    let publish = r#"{"profile":"p","spec":{"details":{"include":["$"],"sample":{"every":"5m"}}}}"#;
    let mut world = World::new(rules());
    world.no("invalid_profile", "acme", "profile.published", publish);
    configured(&mut world, r#"{"streams":{"details":"append"},"partnerships":"required"}"#);
    world.ok("acme", "profile.published", publish);
    configured(&mut world, r#"{"streams":{"telemetry":"append"},"partnerships":"required"}"#);
    world.ok("acme", "profile.published", &publish.replace("5m", "6m"));
    configured(&mut world, BOTH);
    world.no("invalid_profile", "acme", "profile.published", publish);
}

#[test]
fn an_acceptance_of_what_is_no_longer_configured_is_unknown_and_not_more_than_offered() {
    let mut world = World::partners();
    world.offer("s1", "");
    configured(&mut world, r#"{"streams":{"telemetry":"append"},"partnerships":"required"}"#);
    world.no("unknown_stream", "zenith", "share.accepted", r#"{"share":"s1","streams":["details"]}"#);
    world.no("more_than_offered", "zenith", "share.accepted", r#"{"share":"s1","streams":["extras"]}"#);
    world.ok("zenith", "share.accepted", r#"{"share":"s1"}"#);
    assert_eq!(world.document("s1")["streams"], serde_json::json!(["telemetry", "details"]));
    world.no("unknown_stream", "acme", "share.updated", r#"{"share":"s1","streams":["details"]}"#);
}

#[test]
fn who_may_send_it_and_what_makes_it_unreadable() {
    let good = r#"{"streams":{"telemetry":"append"},"partnerships":"open"}"#;
    let mut world = World::new(rules());
    world.no("not_operator", "acme", "control.configured", good);
    world.ok("operator", "control.configured", good);
    for bad in [
        "{}",
        r#"{"streams":{"telemetry":"append"}}"#,
        r#"{"partnerships":"open"}"#,
        r#"{"streams":["telemetry"],"partnerships":"open"}"#,
        r#"{"streams":{"telemetry":"table"},"partnerships":"open"}"#,
        r#"{"streams":{"telemetry":null},"partnerships":"open"}"#,
        r#"{"streams":{"Telemetry":"append"},"partnerships":"open"}"#,
        r#"{"streams":{"telemetry":"append"},"partnerships":"closed"}"#,
        r#"{"streams":{"telemetry":"append"},"partnerships":"open","unreadable":"wait"}"#,
        r#"{"streams":{"telemetry":"append"},"partnerships":"open","unreadable":true}"#,
        r#"{"streams":{"telemetry":"append"},"partnerships":"open","rules":0}"#,
        r#"{"streams":{"telemetry":"append"},"partnerships":"open","rules":2}"#,
        r#"{"streams":{"telemetry":"append"},"partnerships":"open","rules":"1"}"#,
        r#"{"streams":{"telemetry":"append"},"partnerships":"open","rules":1.5}"#,
    ] {
        for sender in ["operator", "acme"] {
            assert_eq!(code(&world.send(sender, "control.configured", bad).outcome), "unreadable", "{bad}");
        }
    }
    assert_eq!(world.table.configuration().partnerships, PartnershipNeed::Open);
    for fine in [
        r#"{"streams":{},"partnerships":"required"}"#,
        r#"{"streams":{"telemetry":"append"},"partnerships":"invited","unreadable":null,"rules":null,"more":1}"#,
        r#"{"streams":{"telemetry":"x","telemetry":"upsert"},"partnerships":"invited","rules":1}"#,
    ] {
        world.ok("operator", "control.configured", fine);
    }
    assert_eq!(world.table.configuration().streams.values().collect::<Vec<_>>(), [&Mode::Upsert], "of a repeated name the last counts");
}

#[test]
fn whether_the_unreadable_halts_is_the_logs_to_say() {
    let mut world = World::new(rules());
    world.ok("operator", "control.configured", r#"{"streams":{},"partnerships":"open","unreadable":"skip"}"#);
    assert!(matches!(world.fold(b"{").outcome, Outcome::SetAside(_)));
    world.ok("operator", "control.configured", r#"{"streams":{},"partnerships":"open"}"#);
    assert!(matches!(world.fold(b"{").outcome, Outcome::SetAside(_)), "absent is unchanged");
    world.ok("operator", "control.configured", r#"{"streams":{},"partnerships":"open","unreadable":"halt"}"#);
    assert!(matches!(world.fold(b"{").outcome, Outcome::Unreadable(_)));
}

/// Two that begin at once write the same id; the second one sees who was first.
#[test]
fn the_second_writer_of_the_first_configuration_changes_nothing() {
    let mut world = World::new(rules());
    world.send("sharecast", "control.tick", "{}");
    assert!(world.table.has_only_ticks());
    world.send_as("configured-0", "sharecast", "control.configured", BOTH);
    assert!(!world.table.has_only_ticks());
    let first = world.table.configured_at();
    assert_eq!(code(&world.send_as("configured-0", "sharecast", "control.configured", BOTH).outcome), "repeated");
    let other = r#"{"streams":{"telemetry":"append"},"partnerships":"open"}"#;
    assert_eq!(code(&world.send_as("configured-0", "sharecast", "control.configured", other).outcome), "id_reused");
    assert_eq!((world.table.configuration().streams.len(), world.table.configured_at()), (2, first));
}

/// A beginning that was judged by a smaller local configuration is another one; that is known, and only where it matters.
#[test]
fn a_beginning_that_was_judged_without_a_stream_is_known() {
    let offer = r#"{"share":"s1","asset":"A","target_tenant":"zenith","streams":["details"],"profile":"all"}"#;
    let mut world = World::new(fewer());
    world.ok("acme", "share.offered", offer);
    configured(&mut world, BOTH);
    assert_eq!(world.table.misjudged_streams().iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["details"]);
    let read = snapshot::read(&kept(&world.table), &origin(), ShareTable::new(fewer())).unwrap();
    assert_eq!(read.misjudged_streams(), world.table.misjudged_streams());

    let mut world = World::new(fewer());
    world.ok("acme", "share.offered", &offer.replace("details", "extras"));
    configured(&mut world, BOTH);
    assert!(world.table.misjudged_streams().is_empty(), "who is configured for details judged it alike");

    let mut world = World::new(fewer());
    for n in 0..300 {
        world.ok("acme", "share.offered", &offer.replace("s1", &format!("s{n}")).replace("details", &format!("x{n}")));
    }
    let bytes = kept(&world.table);
    configured(&mut world, BOTH);
    assert_eq!(world.table.misjudged_streams().len(), 1, "more names than are remembered: each stream that is not read here");
    let mut read = World::new(fewer());
    read.table = snapshot::read(&bytes, &origin(), ShareTable::new(fewer())).unwrap();
    configured(&mut read, BOTH);
    assert_eq!(read.table.misjudged_streams(), world.table.misjudged_streams());
}

#[test]
fn a_snapshot_is_read_under_another_configuration_where_the_log_has_its_own_from_the_beginning() {
    let mut world = World::new(rules());
    world.send("sharecast", "control.tick", "{}");
    configured(&mut world, BOTH);
    world.ok("operator", "partnership.established", r#"{"tenants":["acme","zenith"]}"#);
    let offer = r#"{"share":"s1","asset":"A","target_tenant":"zenith","streams":["details","telemetry"],"profile":"all"}"#;
    world.ok("acme", "share.offered", offer);
    let bytes = kept(&world.table);
    for local in [fewer(), with(&[("extras", Mode::Append), ("details", Mode::Upsert)], PartnershipNeed::Open, false)] {
        let read = snapshot::read(&bytes, &origin(), ShareTable::new(local)).unwrap();
        let document = |table: &ShareTable| table.share("s1").unwrap().to_json(Audience::Owner);
        assert_eq!(document(&read), document(&world.table));
        assert_eq!(read.configuration(), world.table.configuration());
    }
    let mut world = World::partners();
    configured(&mut world, BOTH);
    let refused = snapshot::read(&kept(&world.table), &origin(), ShareTable::new(fewer()));
    assert!(matches!(refused, Err(SnapshotError::OtherRules("streams"))), "its beginning was judged by the local one");
    let local = FoldRules { partnerships: PartnershipNeed::Open, ..rules() };
    let refused = snapshot::read(&kept(&world.table), &origin(), ShareTable::new(local));
    assert!(matches!(refused, Err(SnapshotError::OtherRules("partnerships"))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases * 3 / 16))]

    /// The same log gives the same table and documents on each instance, whatever it is configured for, from the beginning or from
    /// another one's snapshot.
    #[test]
    fn every_local_configuration_folds_a_configured_log_alike(steps in prop::collection::vec(step(), 1..140), stop in 0usize..140) {
        let log = configured_log(&steps);
        let locals = [
            with(&[], PartnershipNeed::Open, true),
            with(&[("faults", Mode::Append), ("telemetry", Mode::Upsert)], PartnershipNeed::Invited, true),
            with(&[("extras", Mode::Append), ("details", Mode::Upsert), ("telemetry", Mode::Append), ("x", Mode::Append)], PartnershipNeed::Open, false),
        ];
        let mut table = ShareTable::new(rules());
        let mut others = locals.clone().map(ShareTable::new);
        let stop = stop % log.len();
        for (offset, (now, event)) in log.iter().enumerate() {
            if offset == stop {
                let bytes = kept(&others[2]);
                others[0] = snapshot::read(&bytes, &origin(), ShareTable::new(locals[0].clone())).unwrap();
            }
            let folded = fold(&mut table, offset, *now, event);
            for other in &mut others {
                let same = fold(other, offset, *now, event);
                prop_assert_eq!(&same.outcome, &folded.outcome, "{}", event);
                prop_assert_eq!((&same.documents, &same.touched, &same.closed, same.profile), (&folded.documents, &folded.touched, &folded.closed, folded.profile));
            }
        }
        for other in &others {
            prop_assert_eq!(other.configuration(), table.configuration());
            check_indexes(other)?;
            let documents = |table: &ShareTable| table.shares().map(|share| share.to_json(Audience::Owner)).collect::<Vec<_>>();
            prop_assert_eq!(documents(other), documents(&table));
        }
    }
}
