//! What a snapshot of the version before has, byte by byte: whoever changes one of these changes the format.

use crate::share::snapshot;
use crate::share::snapshot::SnapshotOrigin;
use crate::share::snapshot::stored::*;
use crate::share::status::Audience;
use crate::share::table::ShareTable;
use crate::share::tests::fixture::{World, rules};

#[test]
fn every_word_keeps_its_number() {
    let states = ["FAILED", "PENDING", "ACTIVE", "PAUSED", "DECLINED", "CANCELLED", "EXPIRED", "REVOKED", "LEFT"];
    for (number, word) in (0..).zip(states) {
        assert_eq!(state_of(number).map(State::word), Some(word));
    }
    for (number, word) in (0..).zip(["view", "edit", "manage"]) {
        assert_eq!(permission_of(number).map(Permission::word), Some(word));
    }
    let reasons = [
        "self_share",
        "not_owner",
        "not_target",
        "no_partnership",
        "unknown_profile",
        "stream_not_in_profile",
        "unknown_stream",
        "unknown_share",
        "duplicate_share",
        "wrong_state",
        "offer_lapsed",
        "target_in_use",
        "more_than_offered",
        "invalid_id",
        "invalid_window",
        "invalid_profile",
        "invalid_event",
        "not_operator",
        "tenant_cycle",
        "id_reused",
        "partnership_ended",
        "tenant_suspended",
        "access_ended",
        "by_owner",
        "by_target",
        "by_operator",
        "wrong_code",
    ];
    for (number, word) in (0..).zip(reasons) {
        assert_eq!(reason_of(number).map(Reason::code), Some(word));
    }
    assert_eq!([0, 1].map(|code| mode_of(code).map(Mode::word)), [Some("append"), Some("upsert")]);
    assert_eq!([0, 1, 2].map(|code| need_of(code).map(PartnershipNeed::word)), [Some("required"), Some("open"), Some("invited")]);
    assert_eq!((mode_of(2), need_of(3)), (None, None));
    assert_eq!((state_of(9), permission_of(3), reason_of(reasons.len() as u32)), (None, None, None));
    assert_eq!(State::ALL.len() + Permission::ALL.len() + Reason::ALL.len(), states.len() + 3 + reasons.len(), "each has a number here");
    for holder in [Holders::OPERATOR, Holders::OWNER, Holders::SUSPENSION, Holders::TARGET] {
        assert_eq!(holders_of(holders_code(holder)), holder);
    }
    let words = |code| holders_of(code).words().collect::<Vec<_>>();
    assert_eq!([1, 2, 4, 8].map(words), [["operator"], ["owner"], ["suspension"], ["target"]]);
}

/// Shares in every state that a snapshot can hold, with every member.
fn world() -> World {
    let mut world = World::partners();
    let mut offer = |share: &str, more: &str| {
        let data = format!(
            r#"{{"share":"{share}","asset":"A-{share}","target_tenant":"zenith","streams":["telemetry","details"],"profile":"hire"{more}}}"#
        );
        world.ok("acme", "share.offered", &data);
    };
    offer("pending", r#","offer_expires":"2027-01-01T00:00:00.5Z","message":"Hello","label":"Excavator""#);
    offer(
        "active",
        r#","target_asset":"Z-1","starts":"2026-01-02T00:00:00Z","ends":"2027-01-01T00:00:00.000000001Z","permission":"manage""#,
    );
    offer("paused", r#","history":true"#);
    offer("declined", "");
    offer("cancelled", "");
    offer("revoked", "");
    offer("left", r#","permission":"edit""#);
    for share in ["active", "paused", "revoked", "left"] {
        world.ok("zenith", "share.accepted", &format!(r#"{{"share":"{share}"}}"#));
    }
    for (who, what, share) in [
        ("acme", "share.paused", "active"),
        ("acme", "share.resumed", "active"),
        ("zenith", "share.paused", "paused"),
        ("zenith", "share.declined", "declined"),
        ("acme", "share.cancelled", "cancelled"),
        ("acme", "share.revoked", "revoked"),
        ("zenith", "share.left", "left"),
    ] {
        world.now.0 += 60_000;
        world.ok(who, what, &format!(r#"{{"share":"{share}"}}"#));
    }
    let hash = "0123456789abcdef".repeat(4);
    let invited = format!(
        r#"{{"share":"invited","asset":"A-9","invitee":"a@example.org","code_hash":"{hash}","streams":["telemetry"],"profile":"only-t"}}"#
    );
    world.ok("acme", "share.offered", &invited);
    world.ok("operator", "partnership.established", r#"{"tenants":["acme","third"]}"#);
    world.ok("third", "partnership.ended", r#"{"partner":"acme"}"#);
    let data = r#"{"streams":{"telemetry":"append","faults":"append"},"partnerships":"invited"}"#;
    world.ok("operator", "control.configured", data);
    world
}

fn origin() -> SnapshotOrigin {
    SnapshotOrigin { cluster: "cluster-1".into(), topic: "sharecast.control".into() }
}

/// The event types that the writer knew stand before this; there may be more of them by now.
fn behind_types(bytes: &[u8]) -> &[u8] {
    // `late_grace`, whether there were events and began under the local configuration, and the first stream of that.
    let streams = b"\x01\x01\x03\x07details\x01\x06extras\x00\x09telemetry\x00";
    let at = bytes.windows(streams.len()).position(|window| window == streams);
    // The checksum is over the types too.
    at.map_or(&[], |at| &bytes[at..bytes.len() - 8])
}

fn hex(bytes: &[u8]) -> String {
    let lines: Vec<String> = bytes.chunks(40).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
    lines.join("\n")
}

fn bytes_of(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn a_snapshot_has_the_layout_of_its_format() {
    let written_before = bytes_of(include_str!("snapshot.hex"));
    let world = world();
    let mut bytes = Vec::new();
    snapshot::write(&world.table, &origin(), &mut bytes).unwrap();
    assert!(bytes.starts_with(b"sharecst\x06\x09cluster-1\x11sharecast.control"));
    assert_eq!(hex(behind_types(&bytes)), hex(behind_types(&written_before)), "the whole is\n{}", hex(&bytes));
    let read = snapshot::read(&bytes, &origin(), ShareTable::new(rules())).unwrap();
    let documents = |table: &ShareTable| table.shares().map(|share| share.to_json(Audience::Owner)).collect::<Vec<_>>();
    assert_eq!(documents(&read), documents(&world.table));
}

/// The one holds neither the log's configuration nor when a partnership ended, the other one not what changed last.
#[test]
fn a_snapshot_of_an_older_format_is_refused() {
    for (format, written) in [(3, include_str!("format-3.hex")), (5, include_str!("format-5.hex"))] {
        let written = bytes_of(written);
        assert!(written.starts_with(b"sharecst") && written[8] == format);
        assert!(matches!(snapshot::read(&written, &origin(), ShareTable::new(rules())), Err(snapshot::SnapshotError::Format)));
    }
}
