//! Without script: plain forms do the core tasks, and what others wrote stays text.

use serde_json::Value;

use super::super::broker::{shared, unique};
use super::super::browser::{Browser, DESK, Screen, needs_browser};
use super::super::fixture::World;
use super::super::instance::await_that;
use super::{Console, fresh, offered};

const PLAIN: Screen = Screen { has_script: false, ..DESK };
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

#[test]
fn offers_are_accepted_declined_and_stopped_without_script_and_hostile_words_stay_text() {
    needs_browser!();
    let world = World::new(shared(), 1, "");
    world.make_control();
    let (share, other) = (unique("share"), unique("share"));
    offered(&world, &share, &format!(r#","label":"{HOSTILE}","message":"{HOSTILE}""#));
    let (owner, target) = (world.tenant("northwind"), world.tenant("acme"));
    let what = format!(r#""share":"{other}","owner":"{owner}","asset":"{HOSTILE}","target_tenant":"{target}""#);
    world.event("/operator", "share.offered", &format!(r#"{{{what},"streams":["telemetry"],"profile":"all"}}"#));
    let console = Console::start(&world, &["northwind", "acme"]);
    let receiver = Browser::start(PLAIN);
    console.sign_in(&receiver, "acme");
    receiver.open(&console.at("/incoming"));
    receiver.await_text(&format!("“{HOSTILE}”"));
    receiver.type_into(&format!("#f-target_asset{share}"), "ACME-EX-1");
    receiver.click(&format!("form:has(#f-target_asset{share}) button.primary"));
    receiver.await_text("Accepted.");
    receiver.press("Decline");
    receiver.await_text("is declined");
    let browser = Browser::start(PLAIN);
    console.sign_in(&browser, "northwind");
    browser.await_text(HOSTILE);
    assert!(!browser.has("img[onerror]"), "what an owner called its asset became markup");
    browser.open(&console.at("/assets/sharing?asset=NW-7"));
    browser.press("Stop");
    browser.press("Stop sharing NW-7 with");
    browser.await_text("is stopped");
    // What an owner calls it is not the target's to know, and what is not there is not found.
    receiver.open(&console.at("/assets/sharing?asset=NW-7"));
    assert!(!receiver.text().contains(&share), "{}", receiver.text());
    receiver.open(&console.at(&format!("/assets/stop?asset=NW-7&share={share}")));
    receiver.await_text("There is nothing here");
}

/// Somebody who is no partner is invited, opens the link before signing in, accepts for a tenant that no event has named: data flows.
#[test]
fn an_invitation_is_sent_opened_and_accepted_without_script() {
    needs_browser!();
    let world = World::new(shared(), 1, "partnerships: invited\n");
    let engine = world.start_ready("a");
    let console = Console::start(&world, &["northwind", "newcomer"]);
    let address = format!("{}@example.com", unique("mechanic"));
    let browser = Browser::start(PLAIN);
    console.sign_in(&browser, "northwind");
    browser.open(&console.at("/invitations/invite?asset=NW-7"));
    browser.type_into("#f-asset", "NW-7");
    browser.type_into("#f-email", &address);
    browser.click("#f-profile option[value=all]");
    browser.type_into("#f-label", "Excavator 36 t");
    browser.click("main form.panel button.primary");
    browser.await_text(&format!("{address} is invited"));
    let mails = || world.cluster.values("sharecast.invitations");
    let mut mail = Value::Null;
    await_that("the mailer is told", || {
        let found = mails().into_iter().filter(|text| text.contains(&address)).find_map(|text| serde_json::from_str(&text).ok());
        mail = found.unwrap_or_default();
        mail["code"].is_string()
    });
    let code = mail["code"].as_str().unwrap();

    let guest = Browser::start(PLAIN);
    guest.open(&console.at("/invitation?code=aaaaaaaaaaaaaaaaaaaaaaaaaa"));
    guest.await_text("No open invitation has this code");
    guest.open(&console.at(&format!("/invitation?code={code}")));
    guest.await_text("invites you");
    guest.await_text("Excavator 36 t");
    guest.press("Continue to accept");
    guest.type_into("#f-token", "token-newcomer");
    guest.press("Sign in");
    guest.await_text(&format!("You accept for {}", world.tenant("newcomer")));
    guest.type_into("[name=target_asset]", "MY-1");
    guest.press("Accept from");
    guest.await_text("Accepted.");
    await_that("an engine decides with it", || {
        browser.open(&console.at("/assets/sharing?asset=NW-7"));
        browser.text().contains("Active")
    });
    world.feed(0, [fresh(&world)]);
    assert!(world.await_outputs("newcomer", 1)[0].value.as_deref().unwrap().contains("MY-1"));
    browser.open(&console.at("/invitations?status=accepted"));
    browser.await_text(&address);
    // It opens nothing twice.
    guest.open(&console.at(&format!("/invitation?code={code}")));
    assert!(!guest.text().contains("Continue to accept"), "{}", guest.text());
    engine.terminate();
}
