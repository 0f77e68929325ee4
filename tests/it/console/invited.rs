//! From an invitation by way of a mail to a partnership, a share and data, for a tenant whose token was made a minute ago: all in a browser.

use sharecast::access::TokenHash;
use sharecast::time::TimestampMs;

use super::super::broker::{shared, unique};
use super::super::browser::{Browser, DESK, needs_browser};
use super::super::fixture::World;
use super::super::instance::{Instance, await_that};
use super::super::mails::sink::Sink;
use super::{Console, fresh};

/// Invites somebody to NW-7 from the console.
fn invite(console: &Console, browser: &Browser, address: &str) {
    browser.open(&console.at("/invitations/invite?asset=NW-7"));
    browser.type_into("#f-email", address);
    browser.click("#f-profile option[value=all]");
    browser.type_into("#f-label", "Excavator 36 t");
    browser.press("Send the invitation");
    browser.await_text(&format!("{address} is invited"));
}

/// Opens the panel of the invitation of an address.
fn open_panel(console: &Console, browser: &Browser, address: &str) {
    browser.open(&console.at(&format!("/invitations?q={address}")));
    browser.click("#invitation-list tbody a");
    browser.await_text("History");
}

#[test]
fn who_has_had_a_token_for_a_minute_accepts_what_came_by_mail_and_data_flows() {
    needs_browser!();
    let (sink, prefix) = (Sink::start(false), unique("mailed"));
    let more = format!(
        "partnerships: invited\ntopics: {{ prefix: {prefix}, status: \"st-{prefix}.{{tenant}}\" }}\n\
         mail: {{ from: sharing@example.com, smtp: {{ host: localhost, port: {}, tls: none }} }}\n",
        sink.port
    );
    let world = World::new(shared(), 1, &more);
    let engine = world.start_ready("a");
    let config = std::fs::read_to_string(world.config("serve")).unwrap();
    let tenants = [("northwind", world.tenant("northwind"))];
    let console = Console::serve(&config, &tenants, "  public_url: \"http://s.example.com\"\n");
    let mailer = Instance::start_as(&console.config, &["mailer"], &[]);
    mailer.await_ready();
    let owner = Browser::start(DESK);
    console.sign_in(&owner, "northwind");
    let address = format!("{}@example.com", unique("mechanic"));
    invite(&console, &owner, &address);
    let first = sink.await_mails(1).remove(0);
    assert!(first.content.contains("http://s.example.com/invitation?code="), "{}", first.content);

    // The mail is sent again: the code of the one before opens nothing.
    open_panel(&console, &owner, &address);
    owner.press("Send again to");
    owner.await_text("Sent again to");
    owner.await_text("Ann (");
    let link = |code: &str| console.at(&format!("/invitation?code={code}"));
    let second = sink.await_mails(2).remove(1).code();
    let guest = Browser::start(DESK);
    guest.open(&link(&first.code()));
    guest.await_text("No open invitation has this code");

    let newcomer = world.tenant("newcomer");
    let token = console.new_token(&newcomer);
    guest.open(&link(&second));
    guest.await_text("invites you");
    guest.press("Continue to accept");
    guest.type_into("#f-token", &token);
    guest.press("Sign in");
    guest.await_text(&format!("You accept for {newcomer}"));
    guest.type_into("[name=target_asset]", "MY-1");
    guest.press("Accept from");
    guest.await_text("Accepted.");
    owner.open(&console.at("/partnerships"));
    owner.await_text(&newcomer);
    await_that("an engine decides with it", || {
        owner.open(&console.at("/assets/sharing?asset=NW-7"));
        owner.text().contains("Active")
    });
    world.feed(0, [fresh(&world)]);
    assert!(world.await_outputs("newcomer", 1)[0].value.as_deref().unwrap().contains("MY-1"));
    guest.open(&link(&second));
    guest.await_text("it was used already");
    owner.open(&console.at("/assets/history?asset=NW-7"));
    ["sent it again", "accepted", "Done"].iter().for_each(|words| owner.await_text(words));

    // One that is taken back, and one whose time is over: both can be invited again.
    let other = format!("{}@example.com", unique("other"));
    invite(&console, &owner, &other);
    let code = sink.await_mails(3).remove(2).code();
    open_panel(&console, &owner, &other);
    owner.press("Cancel the invitation of");
    owner.await_text("is cancelled");
    guest.open(&link(&code));
    guest.await_text("No open invitation has this code");

    let (share, late, code) = (unique("share"), format!("{}@example.com", unique("late")), "bbbbccccddddeeeeffffgggg22");
    let soon = TimestampMs(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64 + 8_000).moment();
    let terms = format!(
        r#""share":"{share}","owner":"{}","asset":"NW-9","invitee":"{late}","code_hash":"{}","offer_expires":"{soon}","label":"Crane""#,
        world.tenant("northwind"),
        TokenHash::of(code)
    );
    world.event("/operator", "share.offered", &format!(r#"{{{terms},"streams":["telemetry"],"profile":"all"}}"#));
    await_that("its time is over", || {
        owner.open(&console.at(&format!("/invitations?q={late}")));
        owner.text().contains("Expired") && owner.has(&format!("tr[data-row={share}] .badge.over"))
    });
    guest.open(&link(code));
    await_that("the link says so", || ["no longer open", "No open invitation"].iter().any(|words| guest.text().contains(words)));
    open_panel(&console, &owner, &late);
    owner.press(&format!("Invite {late} again"));
    owner.await_text("Send the invitation");
    let of = |field: &str| owner.run(&format!("return document.querySelector('[name={field}]').value")).as_str().unwrap().to_owned();
    assert_eq!(["asset", "email", "label", "profile"].map(of), ["NW-9", &late, "Crane", "all"]);
    owner.press("Send the invitation");
    owner.await_text(&format!("{late} is invited"));
    assert_eq!(sink.await_mails(4).remove(3).to, late);
    mailer.terminate();
    engine.terminate();
}
