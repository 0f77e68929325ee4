//! By pointer, with script: from signing in to the effect on Kafka.

use super::super::broker::{shared, unique};
use super::super::browser::{Browser, DESK, needs_browser};
use super::super::fixture::World;
use super::super::instance::await_that;
use super::{Console, fresh, offered, partners};

/// A hire desk gives acme the telemetry of NW-7, acme accepts under its own id, data flows, and the owner stops it: another tab shows it,
/// and that it is certain.
#[test]
fn a_share_is_given_accepted_and_stopped_in_the_browser() {
    needs_browser!();
    let world = World::new(shared(), 1, "");
    let engine = world.start_ready("a");
    partners(&world, "northwind", "acme");
    let target = world.tenant("acme");
    let console = Console::start(&world, &["northwind", "acme"]);
    let browser = Browser::start(DESK);
    console.sign_in(&browser, "northwind");
    browser.open(&console.at("/visibility?asset=NW-7"));
    browser.type_into("#f-to", &target);
    browser.press("Next");
    browser.await_text("your partner; it accepts the offer before anything flows");
    browser.type_into("#f-pasted", "NW-7");
    browser.click("#f-profile option[value=all]");
    browser.press("Review what leaves");
    browser.await_text("under all");
    browser.press("Share one asset with");
    browser.await_text("1 asset offered to");

    let receiver = Browser::start(DESK);
    console.sign_in(&receiver, "acme");
    receiver.open(&console.at("/incoming"));
    receiver.type_into("[name=target_asset]", "ACME-EX-1");
    receiver.press("Accept from");
    receiver.await_text("Accepted.");

    let page = console.at("/assets/sharing?asset=NW-7");
    browser.open(&page);
    browser.await_text("Active");
    world.feed(0, [fresh(&world)]);
    assert!(world.await_outputs("acme", 1)[0].value.as_deref().unwrap().contains("ACME-EX-1"));
    let first = browser.tabs().remove(0);
    // It is shown from then on.
    browser.new_tab();
    browser.open(&page);
    browser.press("Stop");
    browser.press("Stop sharing NW-7 with");
    browser.await_text("is stopped");
    browser.show_tab(&first);
    await_that("the other tab shows it", || !browser.text().contains("Active"));
    browser.await_text("certain since");
    engine.terminate();
}

/// Of a pasted list no line is dropped: what is unknown is named, and what is left is shared once however often it is sent.
#[test]
fn a_pasted_list_is_shared_and_taken_back() {
    needs_browser!();
    let world = World::new(shared(), 1, "");
    world.make_control();
    let share = unique("share");
    offered(&world, &share, "");
    let target = world.tenant("acme");
    let console = Console::start(&world, &["northwind", "acme"]);
    let browser = Browser::start(DESK);
    console.sign_in(&browser, "northwind");
    browser.open(&console.at(&format!("/visibility?to={target}")));
    browser.type_into("#f-pasted", "NW-7\nNW-8\nNW-9");
    browser.click("#f-profile option[value=all]");
    browser.press("Review what leaves");
    browser.await_text("2 lines name no asset that is known here");
    browser.await_text("line 2: NW-8");
    browser.click("[name=unknown][value=share]");
    browser.press("Review what leaves");
    browser.press("Share 3 assets with");
    browser.await_text("3 assets offered to");
    browser.open(&console.at(&format!("/visibility/remove?to={target}")));
    browser.type_into("[name=pasted]", "NW-8\nNW-9");
    browser.press("Review");
    browser.press("Stop sharing 2 assets with");
    browser.await_text("2 assets no longer shared with");
    browser.open(&console.at("/assets"));
    browser.await_text("NW-8");
    let row = |asset: &str| {
        browser.run(&format!("return [...document.querySelectorAll('tr')].find(row => row.innerText.startsWith('{asset}')).innerText"))
    };
    assert!(row("NW-8").as_str().unwrap().contains("Nobody"), "{}", row("NW-8"));
    assert!(row("NW-7").as_str().unwrap().contains("2 offers open"), "{}", row("NW-7"));
}
