//! `sharecast mailer` on a real cluster and a server of our own (docs/mail.md).

pub(crate) mod sink;

use std::path::PathBuf;

use sharecast::share::event::invitation_code::CodeHash;

use super::broker::{shared, unique};
use super::fixture::World;
use super::instance::{Instance, await_that, output, run};
use sink::{CERTIFICATE, Manner, Sink};

/// A world with topics of its own, and a server.
struct Post<'c> {
    world: World<'c>,
    sink: Sink,
    prefix: String,
    tls: &'static str,
    more: &'static str,
}

impl Post<'_> {
    fn new(tls: &'static str, more: &'static str) -> Self {
        let post = Post { world: World::new(shared(), 1, ""), sink: Sink::start(tls == "starttls"), prefix: unique("mails"), tls, more };
        post.world.make_control();
        post
    }

    fn config(&self, instance: &str) -> PathBuf {
        let Self { sink, prefix, tls, more, .. } = self;
        let path = self.world.config(instance);
        let text = std::fs::read_to_string(&path).unwrap();
        let port = sink.port;
        let own = format!(
            "topics: {{ prefix: {prefix}, status: \"st-{prefix}.{{tenant}}\" }}\napi: {{ public_url: \"https://s.example.com\" }}\n\
             mail: {{ from: \"Sharing <sharing@example.com>\", smtp: {{ host: localhost, port: {port}, tls: {tls} {more} }} }}\n"
        );
        std::fs::write(&path, text + &own).unwrap();
        path
    }

    fn mailer(&self, instance: &str, words: &[&str], env: &[(&str, &str)]) -> Instance {
        let words: Vec<&str> = ["mailer"].iter().chain(words).copied().collect();
        Instance::start_as(&self.config(instance), &words, env)
    }

    fn invite(&self, address: &str) -> String {
        let (o, share) = (self.world.tenant("o"), unique("share"));
        let line = "offer --asset NW-7 --streams telemetry --profile all --label Digger";
        run(&self.config("cli"), &format!("share --as {o} {line} --invitee {address} --share {share}"), 0);
        share
    }

    fn verb(&self, verb: &str, share: &str) {
        run(&self.config("cli"), &format!("share --as {} {verb} {share}", self.world.tenant("o")), 0);
    }

    fn is_noted(&self, share: &str, code: &str) -> bool {
        let key = format!("mail/group-{}/{share}/{}", self.world.name, CodeHash::of(code));
        let state = format!("{}.state", self.prefix);
        self.world.cluster.read(&state).iter().any(|note| note.key.as_deref() == Some(&key) && note.value.is_some())
    }
}

#[test]
fn each_code_is_mailed_once_by_whichever_mailer_and_none_that_was_there_before() {
    let post = Post::new("none", "");
    let before = post.invite("before@b.example");
    let a = post.mailer("a", &[], &[]);
    a.await_ready();
    let kept = post.invite("ann@b.example");
    let first = post.sink.await_mails(1).remove(0);
    assert_eq!((first.to.as_str(), first.is_private), ("ann@b.example", false));
    assert!(first.header("Subject").contains("shares Digger with you") && first.header("From").contains("sharing@example.com"));
    await_that("it is noted", || post.is_noted(&kept, &first.code()));

    post.verb("resend", &kept);
    let second = post.sink.await_mails(2).remove(1);
    assert!(second.code() != first.code() && second.header("Message-ID") != first.header("Message-ID"));
    await_that("it is noted", || post.is_noted(&kept, &second.code()));
    let counted = a.get("/metrics").unwrap().1;
    assert!(counted.lines().any(|line| line == "sharecast_mails_sent_total 2"), "{counted}");

    // Another one takes over what the first leaves.
    let b = post.mailer("b", &[], &[]);
    b.await_ready();
    let log = a.log();
    a.terminate();
    post.invite("next@b.example");
    let third = post.sink.await_mails(3).remove(2);
    assert_eq!(third.to, "next@b.example");
    for code in [&first, &second, &third].map(sink::Given::code) {
        assert!(!log.contains(&code) && !b.log().contains(&code), "no code is logged");
    }
    b.terminate();

    let all = post.mailer("c", &["--all"], &[]);
    let fourth = post.sink.await_mails(4).remove(3);
    assert_eq!(fourth.to, "before@b.example");
    await_that("it is noted", || post.is_noted(&before, &fourth.code()));
    all.terminate();
    assert_eq!(post.sink.await_mails(4).len(), 4);
}

#[test]
fn a_death_before_the_note_repeats_the_mail_under_its_id() {
    let post = Post::new("none", "");
    post.sink.behave(Manner::HangsAfterData);
    let killed = post.mailer("a", &[], &[]);
    killed.await_ready();
    let share = post.invite("ann@b.example");
    let first = post.sink.await_mails(1).remove(0);
    killed.kill();
    assert!(!post.is_noted(&share, &first.code()));
    post.sink.behave(Manner::Takes);
    let next = post.mailer("b", &[], &[]);
    let second = post.sink.await_mails(2).remove(1);
    assert_eq!((second.header("Message-ID"), second.code()), (first.header("Message-ID"), first.code()));
    await_that("it is noted", || post.is_noted(&share, &first.code()));
    next.terminate();
}

#[test]
fn a_refusal_for_good_is_left_a_deferral_is_tried_again_and_what_was_taken_back_is_not_sent() {
    let post = Post::new("none", "");
    let waiting = post.mailer("a", &[], &[]);
    waiting.await_ready();
    let refused = post.invite("nobody@b.example");
    waiting.await_line(&[&refused, "550", "nobody gets this mail"]);
    let deferred = post.invite("later@b.example");
    waiting.await_line(&[&deferred, "450", "tried again"]);
    post.invite("ann@b.example");
    let mails = post.sink.await_mails(2);
    let mut to: Vec<&str> = mails.iter().map(|mail| mail.to.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["ann@b.example", "later@b.example"]);
    assert_eq!((post.sink.refused("nobody@b.example"), post.sink.refused("later@b.example")), (1, 1));
    let counted = || waiting.get("/metrics").unwrap().1;
    let has = |line: &str| counted().lines().any(|counted| counted == line);
    await_that("the refused one is shown", || has("sharecast_mails_refused 1") && has("sharecast_mails_waiting 0"));
    assert!(has(r#"sharecast_mail_failures_total{outcome="refused"} 1"#) && has(r#"sharecast_mail_failures_total{outcome="deferred"} 1"#));
    waiting.terminate();
    // An engine takes the mail of a cancelled invitation back.
    let engine = Instance::start(&post.config("engine"));
    engine.await_ready();
    let cancelled = post.invite("gone@b.example");
    post.verb("cancel", &cancelled);
    let topic = format!("{}.invitations", post.prefix);
    await_that("it is taken back", || {
        let all = post.world.cluster.read(&topic);
        all.iter().rfind(|record| record.key.as_deref() == Some(&cancelled)).is_some_and(|record| record.value.is_none())
    });
    let again = post.mailer("b", &[], &[]);
    again.await_ready();
    post.invite("last@b.example");
    assert_eq!(post.sink.await_mails(3)[2].to, "last@b.example");
    again.terminate();
    engine.terminate();
}

#[test]
fn mails_go_over_tls_with_a_login_or_not_at_all() {
    let post = Post::new("starttls", ", user: ann, password: hunter2");
    let folder = tempfile::tempdir().unwrap();
    let trusted = super::instance::file(folder.path(), "ca.pem", CERTIFICATE);
    let trusting = [("SSL_CERT_FILE", trusted.to_str().unwrap())];
    let stranger = post.mailer("a", &[], &[]);
    stranger.await_ready();
    post.invite("ann@b.example");
    stranger.await_not_ready("mail_server");
    assert!(!stranger.log().contains("hunter2"));
    stranger.terminate();
    let mailer = post.mailer("b", &[], &trusting);
    let mail = post.sink.await_mails(1).remove(0);
    // `\0ann\0hunter2`
    assert_eq!((mail.is_private, mail.login.as_deref()), (true, Some("AGFubgBodW50ZXIy")));
    mailer.terminate();
    // The server that offers no TLS gets nothing.
    let plain = Post { sink: Sink::start(false), ..post };
    let refusing = plain.mailer("c", &[], &trusting);
    refusing.await_ready();
    plain.invite("ann@b.example");
    refusing.await_not_ready("mail_server");
    refusing.terminate();
}

#[test]
fn another_folder_of_templates_is_taken_while_it_runs_or_nothing_changes() {
    let post = Post::new("none", "");
    let mailer = post.mailer("a", &[], &[]);
    mailer.await_ready();
    post.invite("built-in@b.example");
    assert!(post.sink.await_mails(1)[0].header("Subject").contains("shares Digger with you"));
    let folder = tempfile::tempdir().unwrap();
    let config = post.config("a");
    let text = std::fs::read_to_string(&config).unwrap();
    let own = format!("mail: {{ templates: \"{}\", ", folder.path().display());
    std::fs::write(&config, text.replace("mail: { ", &own)).unwrap();
    super::instance::file(folder.path(), "subject.txt", "{{#label}}of {{label}}");
    mailer.signal("HUP");
    mailer.await_line(&["configuration not reloaded", "subject.txt", "nothing has changed"]);
    post.invite("still-built-in@b.example");
    assert!(post.sink.await_mails(2)[1].header("Subject").contains("shares Digger with you"));
    super::instance::file(folder.path(), "subject.txt", "Ours: {{label}}");
    mailer.signal("HUP");
    mailer.await_line(&["configuration reloaded", "mail.templates"]);
    post.invite("own@b.example");
    assert_eq!(post.sink.await_mails(3)[2].header("Subject"), "Ours: Digger");
    // The texts are read before each mail; what is wrong leaves what was right.
    super::instance::file(folder.path(), "subject.txt", "Now: {{label}}");
    post.invite("newer@b.example");
    assert_eq!(post.sink.await_mails(4)[3].header("Subject"), "Now: Digger");
    super::instance::file(folder.path(), "subject.txt", "{{/label}}");
    post.invite("newest@b.example");
    assert_eq!(post.sink.await_mails(5)[4].header("Subject"), "Now: Digger");
    let other = std::fs::read_to_string(&config).unwrap().replace("sharing@example.com", "other@example.com");
    std::fs::write(&config, other).unwrap();
    mailer.signal("HUP");
    mailer.await_line(&["configuration not reloaded", "mail.from"]);
    mailer.terminate();
}

#[test]
fn a_mail_is_shown_without_kafka_and_what_is_missing_is_said() {
    let post = Post::new("none", "");
    let config = post.config("cli");
    let shown = run(&config, "mailer --print", 0);
    assert!(shown.contains("Subject: northwind shares Excavator 7 with you") && shown.contains("https://s.example.com/invitation?code="));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("host: localhost, ", "")).unwrap();
    let missing = output(&config, "mailer");
    assert_eq!(missing.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("`mail.smtp.host` is missing"), "{missing:?}");
}
