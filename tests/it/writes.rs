//! Commands that write: what they refuse before anything is written, what is written untried, and what is written once.

use std::path::Path;
use std::process::Output;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use sharecast::share::event::invitation_code::CodeHash;
use sharecast::share::event::write_token::WriteToken;

use super::broker::{PATIENCE, shared, unique};
use super::fixture::World;
use super::instance::{command, file, output, printed};

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that must end with this code and print this to standard error.
fn refused(config: &Path, line: &str, code: i32, texts: &[&str]) {
    let output = output(config, line);
    assert_eq!((output.status.code(), printed(&output).as_str()), (Some(code), ""), "{line}: {output:?}");
    for text in texts {
        assert!(told(&output).contains(text), "{line}: {text}: {}", told(&output));
    }
}

fn done(config: &Path, line: &str) -> String {
    let output = output(config, line);
    assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
    printed(&output)
}

fn log(world: &World<'_>) -> Vec<String> {
    world.cluster.values(&world.control)
}

/// Neither needs a cluster to be refused.
#[test]
fn what_cannot_be_an_id_and_what_contradicts_itself_is_a_usage_error() {
    let nobody = tempfile::tempdir().unwrap();
    let config = file(nobody.path(), "c.yaml", "kafka: { bootstrap: \"127.0.0.1:1\" }\n");
    let long = "x".repeat(129);
    for id in ["u1,u2", "*", " u1", "u1 ", "", "u\u{7}1", "é", long.as_str()] {
        for verb in ["accept", "decline", "cancel", "resend", "pause", "resume", "revoke", "leave", "show"] {
            let one = command(&config, &["share", verb, id]);
            assert!(one.status.code() == Some(64) && told(&one).contains("1 to 128 of"), "{verb} {id:?}: {one:?}");
        }
        let among_others = command(&config, &["share", "revoke", "u0", id, "--as", "o", "--yes"]);
        assert_eq!(among_others.status.code(), Some(64), "{id:?}: {among_others:?}");
        for arguments in [
            vec!["share", "list", "--share", id],
            vec!["share", "list", "--as", id],
            vec!["share", "watch", "--owner", id],
            vec!["share", "revoke", "u1", "--event-id", id],
            vec!["share", "list", "--stream", id],
            vec!["share", "list", "--profile", id],
            vec!["profile", "retire", id, "--as", "o"],
            vec!["partnership", "offer", id, "--as", "o"],
            vec!["tenant", "update", id],
            vec!["share", "offer", "--as", "o", "--asset", "a", "--to", "t", "--streams", "telemetry", "--profile", "all", "--share", id],
            vec!["share", "offer", "--as", "o", "--asset", "a", "--to", "t", "--streams", "telemetry", "--profile", id],
        ] {
            let refused = command(&config, &arguments);
            assert!(refused.status.code() == Some(64) && printed(&refused).is_empty(), "{arguments:?}: {refused:?}");
        }
    }
    let control = "a\u{1}";
    let asset = command(&config, &["share", "offer", "--as", "o", "--asset", control, "--to", "t", "--streams", "s", "--profile", "all"]);
    assert!(asset.status.code() == Some(64) && told(&asset).contains("--asset"), "{asset:?}");

    let offer = "share offer --as o --asset a --to t --streams telemetry --profile all";
    for (line, text) in [
        ("share update u1 --as o --ends 2027-05-01T00:00:00Z --clear ends".to_owned(), "--clear ends"),
        ("share update u1 --as o --starts today --clear label,starts".to_owned(), "--clear starts"),
        ("share update u1 --as o --label x --clear label,label".to_owned(), "--clear label"),
        ("share update u1 --as o --ends 7d --ends 8d".to_owned(), "--ends"),
        ("share update u1 --as o".to_owned(), "nothing is to be changed"),
        ("share --as o revoke u1 --as t".to_owned(), "--as is given twice"),
        ("share -o json revoke u1 --output table".to_owned(), "--output is given twice"),
        (format!("{offer} --invite ann@example.com"), "--invite"),
        (format!("{offer} --owner t"), "--owner says t"),
        (offer.replace("--as o ", ""), "--owner OWNER"),
        (format!("{offer} --ends yesterday"), "--ends 'yesterday': it is no time"),
        (format!("{offer} --offer-expires 2026-02-30"), "--offer-expires '2026-02-30': there is no such day"),
        (format!("{offer} --record r.json"), "--preview"),
        (format!("{offer} --preview --yes"), "leave --yes"),
        (format!("{offer} --preview --wait"), "leave --wait"),
        (format!("{offer} --batch monday"), "--batch is for more than one"),
        (format!("{offer} --repeat aaaaaaaaaaaaaaaaaaaaaaaaaa --event-id e"), "leave --event-id out"),
        (format!("{offer} --repeat short"), "26 letters and digits"),
        (format!("{offer} --asset b --repeat aaaaaaaaaaaaaaaaaaaaaaaaaa --yes"), "--repeat is for one event"),
        (format!("{offer} --timeout 0s"), "--timeout"),
        ("share accept u1 --as t --target-tenant o".to_owned(), "--target-tenant says o"),
        ("share list --repeat aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(), "leave --wait"),
        ("profile retire p --as o --owner t".to_owned(), "--owner says t"),
        ("profile retire p".to_owned(), "--owner OWNER"),
        ("tenant update t --suspend --unsuspend".to_owned(), "--unsuspend"),
        ("tenant update t --parent a --no-parent".to_owned(), "--no-parent"),
        ("control skip -1 --note n".to_owned(), "-1"),
    ] {
        refused(&config, &line, 64, &[text]);
    }
    // A mistake in a list is the list's.
    let list = file(nobody.path(), "list", "u1\nu 2\n");
    refused(&config, &format!("share revoke --as o --yes --shares-from {}", list.display()), 65, &["list:2: share u 2: ", "1 to 128 of"]);
}

/// One event and many by the same trial, with the same words and codes.
#[test]
fn what_the_table_would_refuse_is_not_written() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    world.partners("o", "t");
    let (o, t, live) = (world.tenant("o"), world.tenant("t"), world.share("o", "a", "t"));
    let before = log(&world);
    let offer = format!("share offer --as {o} --asset b --to {t} --streams telemetry --profile all");
    for (line, texts) in [
        (
            format!("{offer} --ends 2025-02-01T00:00:00Z --wait"),
            ["asset b: invalid_window: ", "end at 2025-02-01T00:00:00Z, which is past"],
        ),
        (format!("{offer} --ends 2029-02-01 --starts 2029-03-01"), ["invalid_window: ", "begin at 2029-03-01T00:00:00Z"]),
        (offer.replace("telemetry", "telemetri"), ["unknown_stream: telemetri is not configured", "telemetry"]),
        (offer.replace("--profile all", "--profile hire"), ["unknown_profile: ", "no profile hire"]),
        (offer.replace(&format!("--to {t}"), "--to stranger"), ["no_partnership: ", "partnership offer stranger"]),
        (format!("{offer} --share {live}"), ["duplicate_share: ", "--share"]),
        (format!("{offer} --target-asset a"), ["target_in_use: ", &live]),
        (format!("share revoke {live}x --as {o}"), ["unknown_share: there is no such share; did you mean", &live]),
        (format!("share cancel {live} --as {o}"), ["wrong_state: it is ACTIVE", "`share revoke`"]),
        (format!("share resend {live} --as {o}"), ["wrong_state: it is ACTIVE", "sent again"]),
        (format!("share revoke {live} --as {t}"), ["not_owner: ", "`share leave`"]),
        (format!("share leave {live} --as {o}"), ["not_target: ", "`share revoke`"]),
        (format!("share update {live} --as {t} --label x"), ["not_owner: ", "--target-asset alone"]),
        (format!("partnership accept {t} --as {o}"), ["wrong_state: ", "are partners already"]),
        (format!("partnership end stranger --as {o}"), ["no_partnership: ", "have no partnership"]),
        (format!("profile retire hire --as {o}"), ["profile hire: unknown_profile: ", "has published none"]),
        (format!("tenant update {t} --parent {t}"), ["tenant_cycle: ", "ring"]),
        ("control skip 0 --note n".to_owned(), ["wrong_state: ", "no control record waits"]),
    ] {
        refused(&config, &line, 1, &[texts[0], texts[1], "nothing was written"]);
    }
    // The same of two.
    for (line, text) in [
        (
            format!("{offer} --asset c --ends 2025-02-01T00:00:00Z --yes"),
            "argument: asset b: invalid_window: access would end at 2025-02-01",
        ),
        (format!("share revoke {live} {live}x --as {o} --yes"), "x: unknown_share: there is no such share; did you mean"),
        (format!("share cancel {live} {live}x --as {o} --yes"), "wrong_state: it is ACTIVE: only a PENDING offer"),
    ] {
        refused(&config, &line, 1, &[text, "nothing was written"]);
    }
    assert_eq!(log(&world), before);
    // What is so already is no error, of one or of many.
    assert!(done(&config, &format!("share pause {live} --as {o}")).starts_with("share.paused written"));
    assert!(
        done(&config, &format!("share pause {live} --as {o}"))
            .starts_with(&format!("share.paused already so  share {live}  PAUSED (by owner)"))
    );
    assert_eq!(log(&world).len(), before.len() + 1);
    // The time that was understood is in the answer.
    let updated = done(&config, &format!("share update {live} --as {o} --ends 2099-12-01 -o json"));
    assert!(updated.contains(r#""times":{"ends":"2099-12-02T00:00:00Z"}"#), "{updated}");
    let dir = tempfile::tempdir().unwrap();
    let list = file(dir.path(), "fleet.csv", "NW-1\n\"NW-2\"\nNW-3,Digger\n");
    let offered = output(&config, &format!("{offer} --yes --assets-from {}", list.display()).replace("--asset b ", ""));
    assert!(offered.status.success() && told(&offered).contains("fleet.csv:2 and 1 more: "), "{offered:?}");
}

#[test]
fn a_write_is_repeated_by_its_token_and_done_once() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    let (o, t) = (world.tenant("o"), world.tenant("t"));
    world.event("/operator", "partnership.established", &format!(r#"{{"tenants":["{o}","{t}"]}}"#));
    let bits = |name: &str| {
        let mut bits = [0; 16];
        unique(name).bytes().rev().zip(&mut bits).for_each(|(byte, bit)| *bit = byte);
        WriteToken::new(bits)
    };
    let token = bits("offer");
    let offer = format!("share offer --as {o} --asset a --to {t} --streams telemetry --profile all --ends 7d --repeat {token} -o json");
    let first = done(&config, &offer);
    assert!(first.contains(&format!(r#"{{"event":"{}","#, token.event_id())), "{first}");
    assert!(first.contains(&format!(r#""share":"{}""#, token.share_id())) && first.contains(r#""outcome":"written""#), "{first}");
    let written = log(&world);
    assert!(!written.iter().any(|value| value.contains(&token.to_string())), "the token stands in no event");
    let again = || {
        let repeated = done(&config, &offer);
        assert!(repeated.contains(r#""outcome":"applied""#) && repeated.ends_with("\"repeated\":true}\n"), "{repeated}");
        assert!(repeated.contains(r#""state":"PENDING""#) && repeated.contains(r#""epoch":1}"#), "{repeated}");
    };
    again();
    // What became of it is told also when more has, and when the snapshot has it behind it.
    done(&config, &format!("share cancel {} --as {o}", token.share_id()));
    done(&config, "snapshot");
    again();
    refused(&config, &offer.replace("--ends 7d", "--ends 2099-01-01"), 1, &["id_reused: ", "nothing was written"]);
    refused(&config, &offer.replace("--asset a", "--asset b"), 1, &["id_reused: ", "share.offered of share", "at control offset 1"]);
    // One that was refused, by the log of that time.
    let late = bits("late");
    let event = format!(
        r#"{{"specversion":"1.0","id":"{}","source":"/tenants/{o}","type":"sharecast.share.revoked.v1","data":{{"share":"nowhere"}}}}"#,
        late.event_id()
    );
    world.control(event.as_bytes());
    let rejected = output(&config, &format!("share revoke nowhere --as {o} --repeat {late}"));
    assert!(rejected.status.code() == Some(1) && printed(&rejected).contains("rejected before (unknown_share)"), "{rejected:?}");
    assert_eq!(log(&world).len(), written.len() + 2);
}

/// The event of an invitation is in the log, its record is not: as after a write that timed out.
#[test]
fn the_repeat_of_an_invitation_writes_the_record_that_is_missing() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    let o = world.tenant("o");
    let mut bits = [7; 16];
    unique("invite").bytes().rev().zip(&mut bits).for_each(|(byte, bit)| *bit = byte);
    let token = WriteToken::new(bits);
    let (share, hash) = (token.share_id(), CodeHash::of(&token.code()));
    let data = format!(
        r#"{{"share":"{share}","asset":"a","invitee":"ann@example.com","streams":["telemetry"],"profile":"all","code_hash":"{hash}"}}"#
    );
    let event = format!(
        r#"{{"specversion":"1.0","id":"{}","source":"/tenants/{o}","type":"sharecast.share.offered.v1","data":{data}}}"#,
        token.event_id()
    );
    world.control(event.as_bytes());
    let written = log(&world);
    let invite =
        format!("share offer --as {o} --asset a --invite ann@example.com --streams telemetry --profile all --repeat {token} -o json");
    let repeated = done(&config, &invite);
    assert!(repeated.contains("\"repeated\":true") && repeated.contains(&share), "{repeated}");
    let mails = || world.cluster.read("sharecast.invitations").into_iter().filter(|mail| mail.key.as_deref() == Some(&share)).count();
    let found = world.cluster.read("sharecast.invitations").into_iter().rfind(|mail| mail.key.as_deref() == Some(&share)).unwrap();
    assert!(found.value.unwrap().contains(&format!(r#""code":"{}""#, token.code())));
    done(&config, &invite);
    assert_eq!((mails(), log(&world)), (1, written));
    // Sent again by itself, under another code; and that too is done once.
    bits[0] ^= 1;
    let again = WriteToken::new(bits);
    let resend = format!("share resend {share} --as {o} --repeat {again}");
    assert!(done(&config, &resend).starts_with("share.resent written"));
    assert!(done(&config, &resend).starts_with("share.resent applied before"));
    assert_eq!(mails(), 2);
    let accepted = format!("share accept --code {} --as {o}x", again.code().to_uppercase());
    refused(&config, &accepted, 1, &["no_partnership: "]);
}

/// A transaction that nobody ends keeps the log from being read to its end.
#[test]
fn what_takes_away_is_written_where_it_cannot_be_tried_and_nothing_else_is() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    world.partners("o", "t");
    let (o, live, other) = (world.tenant("o"), world.share("o", "a", "t"), world.share("o", "b", "t"));
    let open: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &world.cluster.bootstrap)
        .set("transactional.id", unique("open"))
        .set("transaction.timeout.ms", "600000")
        .create()
        .unwrap();
    open.init_transactions(PATIENCE).unwrap();
    open.begin_transaction().unwrap();
    open.send(BaseRecord::<str, str>::to(&world.control).partition(0).payload("{}")).map_err(|error| error.0).unwrap();
    open.flush(PATIENCE).unwrap();
    let brief = |line: &str| format!("{line} --timeout 8s");
    for line in [format!("share resume {live} --as {o}"), format!("share update {live} --as {o} --label x")] {
        refused(&config, &brief(&line), 69, &["nothing was written", &world.control]);
    }
    let revoked = output(&config, &brief(&format!("share revoke {live} --as {o}")));
    assert!(revoked.status.success() && printed(&revoked).starts_with("share.revoked written untried  share "), "{revoked:?}");
    assert!(told(&revoked).contains("written untried"), "{revoked:?}");
    let many = output(&config, &brief(&format!("share pause {other} {other}x --as {o} --yes -o ndjson")));
    assert!(many.status.success() && printed(&many).matches("\"tried\":false").count() == 2, "{many:?}");
    let suspended = output(&config, &brief(&format!("tenant update {o} --suspend")));
    assert!(suspended.status.success() && printed(&suspended).contains("written untried"), "{suspended:?}");
    open.abort_transaction(PATIENCE).unwrap();
    let state = |share: &str| done(&config, &format!("share list --share {share} -o ndjson"));
    assert!(state(&live).contains(r#""state":"REVOKED""#) && state(&other).contains(r#""paused_by":["owner","suspension"]"#));
}

/// Typed another way the second time, and with a code that opens nothing any more.
#[test]
fn the_repeat_of_an_acceptance_by_code_finds_its_share() {
    let world = World::new(shared(), 1, "partnerships: open\n");
    let config = world.config("cli");
    world.make_control();
    let (o, t, invited) = (world.tenant("o"), world.tenant("t"), WriteToken::new([3; 16]));
    let share = unique("share");
    let invite = format!("share offer --as {o} --asset a --invite ann@example.com --streams telemetry --profile all --share {share}");
    done(&config, &format!("{invite} --repeat {invited}"));
    let accept = |code: &str| format!("share accept --as {t} --code {code} --repeat {}", WriteToken::new([4; 16]));
    assert!(done(&config, &accept(&invited.code().to_uppercase())).starts_with("share.accepted written"));
    assert!(done(&config, &accept(&invited.code())).starts_with(&format!("share.accepted applied before  share {share}  ACTIVE")));
    refused(&config, &accept("abcdefghijklmnopqrstuvwxyz"), 1, &["id_reused: "]);
    let events = log(&world);
    let of = |kind: &str| events.iter().filter(|event| event.contains(&format!("sharecast.{kind}.v1"))).count();
    assert_eq!((events.len(), of("control.configured"), of("share.offered"), of("share.accepted")), (3, 1, 1, 1));
}
