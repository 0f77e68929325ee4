//! By nothing but the keyboard, with the focus always to be seen.

use super::super::broker::{shared, unique};
use super::super::browser::{Browser, DESK, needs_browser};
use super::super::fixture::World;
use super::{Console, offered};

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// Goes on by Tab until what has the focus is this.
fn tab_to(browser: &Browser, selector: &str) {
    for _ in 0..80 {
        browser.keys(TAB);
        assert_eq!(
            browser
                .run("return getComputedStyle(document.activeElement).outlineStyle != 'none' || document.activeElement === document.body"),
            true,
            "the focus is not to be seen on {}",
            browser.run("return document.activeElement.outerHTML")
        );
        if browser.run(&format!("return document.activeElement.matches({selector:?})")) == true {
            return;
        }
    }
    panic!("Tab never comes to {selector} on {}:\n{}", browser.address(), browser.text());
}

fn sign_in(console: &Console, browser: &Browser, who: &str) {
    browser.open(&console.at("/sign-in"));
    tab_to(browser, "#f-token");
    browser.keys(&format!("token-{who}"));
    browser.keys(ENTER);
    browser.await_text("Assets");
    await_ready(browser);
}

fn await_ready(browser: &Browser) {
    super::await_that("the page is ready", || browser.run("return document.documentElement.dataset.isReady") == "yes");
}

#[test]
fn an_offer_is_accepted_and_stopped_by_keyboard() {
    needs_browser!();
    let world = World::new(shared(), 1, "");
    world.make_control();
    let share = unique("share");
    offered(&world, &share, "");
    let console = Console::start(&world, &["northwind", "acme"]);
    let receiver = Browser::start(DESK);
    sign_in(&console, &receiver, "acme");
    tab_to(&receiver, "a[href='/incoming']");
    receiver.keys(ENTER);
    receiver.await_text("Offers to you");
    tab_to(&receiver, "[name=target_asset]");
    receiver.keys("-mine");
    tab_to(&receiver, "main form button.primary");
    receiver.keys(ENTER);
    receiver.await_text("Accepted.");
    receiver.await_text("-mine");

    let owner = Browser::start(DESK);
    sign_in(&console, &owner, "northwind");
    owner.keys("/");
    owner.keys(&format!("nw-7{ENTER}"));
    owner.await_text("with “nw-7”");
    await_ready(&owner);
    // The first row, and into it.
    owner.keys("j");
    owner.keys(ENTER);
    owner.await_text("Telemetry sharing");
    await_ready(&owner);
    owner.keys("?");
    owner.await_text("search assets");
    owner.keys(ENTER);
    tab_to(&owner, "a[href*='/assets/stop']");
    owner.keys(ENTER);
    owner.await_text("records that it has read stay with it");
    await_ready(&owner);
    // The button has the focus by itself.
    super::await_that("the button has the focus", || owner.run("return document.activeElement.tagName") == "BUTTON");
    owner.keys(ENTER);
    owner.await_text("is stopped");
}
