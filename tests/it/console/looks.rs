//! How the pages look: to axe-core, on a small screen, in both themes; and the pictures of the docs.

use std::path::{Path, PathBuf};

use super::super::browser::{Browser, DESK, Screen, needs_browser};
use super::super::instance::await_that;
use super::Console;
use super::scene::{CODE, Scene};

/// Whose page, its name, its address, whether the docs show it.
type Page = (&'static str, &'static str, String, bool);

fn pages() -> Vec<Page> {
    let of = |page: &str, share: &str| format!("/assets/{page}?asset=NW-7&share={share}");
    vec![
        ("", "sign-in", "/sign-in".to_owned(), true),
        ("", "invitation-link", format!("/invitation?code={CODE}"), true),
        ("northwind", "assets", "/assets".to_owned(), true),
        ("northwind", "sharing", of("sharing", ""), true),
        ("northwind", "edit", format!("{}&edit=rental-7&stream=telemetry", of("sharing", "")), true),
        ("northwind", "stop", of("stop", "rental-7"), true),
        ("northwind", "what-leaves", of("leaves", "rental-7"), true),
        ("northwind", "why", "/assets/why?asset=NW-40&share=rental-40".to_owned(), true),
        ("northwind", "history", of("history", ""), true),
        ("northwind", "asset-invitations", of("invitations", ""), false),
        ("northwind", "invitations", "/invitations?open=invitation-0".to_owned(), true),
        ("northwind", "invite", "/invitations/invite?asset=NW-7".to_owned(), true),
        ("northwind", "share-visibility", "/visibility?asset=NW-55&to=acme".to_owned(), true),
        ("northwind", "stranger", "/visibility?to=stranger".to_owned(), false),
        ("northwind", "remove-visibility", "/visibility/remove?to=acme".to_owned(), true),
        ("northwind", "partnerships", "/partnerships".to_owned(), true),
        ("northwind", "profiles", "/profiles".to_owned(), true),
        ("northwind", "profile-editor", "/profiles/edit?name=hire-partner&asset=NW-7".to_owned(), true),
        ("acme", "incoming", "/incoming".to_owned(), true),
        ("acme", "received", "/incoming/share?share=rental-7".to_owned(), true),
        ("acme", "leave", "/incoming/leave?share=rental-7".to_owned(), false),
        ("quiet", "empty-assets", "/assets".to_owned(), false),
        ("quiet", "empty-incoming", "/incoming".to_owned(), false),
        ("quiet", "not-found", of("stop", "rental-7"), false),
        ("operator", "all-assets", "/assets".to_owned(), false),
        ("operator", "tenants", "/tenants".to_owned(), true),
        ("operator", "health", "/health".to_owned(), true),
    ]
}

const FAULTS: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then((result) => done(result.violations
        .filter((fault) => ['serious', 'critical'].includes(fault.impact))
        .map((fault) => fault.id + ': ' + fault.nodes.map((node) => node.html).join(' | ').slice(0, 400))))";

fn show(console: &Console, browser: &Browser, page: &Page, who: &mut &'static str) {
    let (tenant, _, address, _) = page;
    if tenant != who && !tenant.is_empty() {
        console.sign_in(browser, tenant);
        *who = tenant;
    }
    browser.open(&console.at(address));
    await_that("the page is ready", || browser.run("return document.documentElement.dataset.isReady") == "yes");
}

/// Every page, in both themes and on a small screen: no serious fault that axe-core finds, nothing wider than the screen, and no word of
/// the browser that the policy forbade something. `SHARECAST_PICTURES` names the folder that the docs' pictures are written to.
#[test]
fn every_page_is_accessible_in_both_themes_and_on_a_small_screen() {
    needs_browser!();
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&axe).unwrap_or_else(|_| panic!("{} is missing: scripts/test fetches it", axe.display()));
    let scene = Scene::start();
    let console = &scene.console;
    let pictures = std::env::var_os("SHARECAST_PICTURES").map(PathBuf::from);
    let mut faults = Vec::new();
    let screens = [("light", DESK), ("dark", Screen { is_dark: true, ..DESK }), ("small", Screen { width: 360, ..DESK })];
    for (name, screen) in screens {
        let browser = Browser::start(screen);
        let is_dark = browser.run("return matchMedia('(prefers-color-scheme: dark)').matches");
        assert_eq!(is_dark, screen.is_dark, "the browser has the theme that is asked for");
        let mut who = "";
        for page in &pages() {
            show(console, &browser, page, &mut who);
            let (_, title, _, is_shown) = page;
            let is_taken = if name == "small" { *title == "incoming" } else { *is_shown };
            if let Some(pictures) = pictures.as_ref().filter(|_| is_taken) {
                await_that("it is live", || !browser.has(".live") || browser.has(".live.is-live"));
                browser.screenshot(&pictures.join(format!("{title}-{name}.png")));
            }
            let overflow = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
            if overflow.as_i64() != Some(0) {
                faults.push(format!("{title} ({name}): {overflow} px wider than the screen"));
            }
            let refusals = browser.complaints().into_iter().filter(|line| line.contains("Content Security Policy"));
            faults.extend(refusals.map(|line| format!("{title} ({name}): {line}")));
            browser.run(&axe);
            let found = browser.run_async(FAULTS);
            faults.extend(found.as_array().unwrap().iter().map(|fault| format!("{title} ({name}): {fault}")));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    scene.engine.terminate();
}

/// On a small screen the tasks have as few steps as on a large one.
#[test]
fn an_offer_is_accepted_on_a_small_screen() {
    needs_browser!();
    let world = super::World::new(super::super::broker::shared(), 1, "");
    world.make_control();
    let share = super::super::broker::unique("share");
    super::offered(&world, &share, "");
    let console = Console::start(&world, &["northwind", "acme"]);
    let browser = Browser::start(Screen { width: 360, ..DESK });
    console.sign_in(&browser, "acme");
    browser.click("#place-Incoming");
    browser.type_into("[name=target_asset]", "ACME-EX-1");
    browser.press("Accept from");
    browser.await_text("Accepted.");
}

/// No rule limits a label or a message, and an asset's id may have 256 letters without a space: no page is wider than the screen for it.
#[test]
fn the_longest_names_stay_on_the_screen() {
    needs_browser!();
    let world = super::World::new(super::super::broker::shared(), 1, "");
    world.make_control();
    super::partners(&world, "northwind", "acme");
    let (owner, target) = (world.tenant("northwind"), world.tenant("acme"));
    let (offered, accepted, invited) = ["offered", "accepted", "invited"].map(super::super::broker::unique).into();
    let (asset, theirs, label) = ("W".repeat(256), "M".repeat(256), "Ä".repeat(20_000));
    let address = format!("{}@{}.example", "w".repeat(64), "m".repeat(60));
    for (share, whom) in [
        (&offered, format!(r#""target_tenant":"{target}","target_asset":"{theirs}""#)),
        (&accepted, format!(r#""target_tenant":"{target}","target_asset":"{theirs}""#)),
        (&invited, format!(r#""invitee":"{address}""#)),
    ] {
        let what = format!(r#""share":"{share}","owner":"{owner}","asset":"{asset}","label":"{label}","message":"{label}",{whom}"#);
        world.event("/operator", "share.offered", &format!(r#"{{{what},"streams":["telemetry"],"profile":"all"}}"#));
    }
    world.event("/operator", "share.accepted", &format!(r#"{{"share":"{accepted}"}}"#));
    let console = Console::start(&world, &["northwind", "acme"]);
    let mut faults = Vec::new();
    for screen in [DESK, Screen { width: 360, ..DESK }] {
        let browser = Browser::start(screen);
        for (who, pages) in [
            (
                "northwind",
                ["", "sharing", "leaves", "why", "stop", "history", "invitations"]
                    .map(
                        |page| {
                            if page.is_empty() { "/assets".to_owned() } else { format!("/assets/{page}?asset={asset}&share={accepted}") }
                        },
                    )
                    .into_iter()
                    .chain([
                        format!("/assets/sharing?asset={asset}&edit={accepted}&stream=telemetry"),
                        format!("/invitations?open={invited}"),
                        format!("/visibility?asset={asset}&to={target}"),
                        format!("/visibility/remove?to={target}"),
                    ])
                    .collect::<Vec<_>>(),
            ),
            (
                "acme",
                vec!["/incoming".to_owned(), format!("/incoming/share?share={accepted}"), format!("/incoming/leave?share={accepted}")],
            ),
        ] {
            console.sign_in(&browser, who);
            for address in pages {
                browser.open(&console.at(&address));
                let name = address.split('?').next().unwrap_or_default().to_owned();
                await_that("the page is ready", || browser.run("return document.documentElement.dataset.isReady") == "yes");
                let overflow = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
                if overflow.as_i64() != Some(0) {
                    faults.push(format!("{name} ({}): {overflow} px wider than the screen", screen.width));
                }
                let length = browser.text().len();
                if length > 30_000 {
                    faults.push(format!("{name}: {length} bytes of text"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
