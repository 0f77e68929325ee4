//! The console as people use it: a real browser, a real Kafka, an engine where data must flow.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::broker::{free_ports, shared};
use super::browser::{Browser, DESK, Screen};
use super::fixture::World;
use super::instance::{BINARY, await_that, file};

/// A server of a world, and the tokens of its people.
struct Console {
    server: Child,
    address: String,
    _dir: tempfile::TempDir,
}

/// SHA-256 of a token, as the file of tokens has it.
fn hashed(token: &str) -> String {
    sharecast::access::TokenHash::of(token).to_string()
}

impl Console {
    /// Serves the world; each of these tenants has the token `token-NAME`, the operator `token-operator`.
    fn start(world: &World<'_>, tenants: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let entry = |tenant: &&str| {
            format!("  - {{ sha256: {}, tenant: {}, role: admin, name: Ann }}\n", hashed(&format!("token-{tenant}")), world.tenant(tenant))
        };
        let mut tokens: String = tenants.iter().map(entry).collect();
        tokens += &format!("  - {{ sha256: {}, operator: true, role: admin }}\n", hashed("token-operator"));
        tokens += &format!("  - {{ sha256: {}, tenant: {}, role: viewer }}\n", hashed("token-viewer"), world.tenant(tenants[0]));
        let tokens = file(dir.path(), "tokens.yaml", &format!("tokens:\n{tokens}"));
        let port = free_ports(1);
        let base = std::fs::read_to_string(world.config("serve")).unwrap();
        let config = format!(
            "{base}\napi: {{ listen: \"127.0.0.1:{port}\", secret: 0123456789abcdef0123456789abcdef, auth: {{ mode: tokens, tokens: {} }} }}\n",
            tokens.display()
        );
        let config: PathBuf = file(dir.path(), "serve.yaml", &config);
        let server = Command::new(BINARY)
            .arg("serve")
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let address = format!("http://127.0.0.1:{port}");
        await_that("the console serves", || ureq::get(format!("{address}/sign-in")).call().is_ok());
        Self { server, address, _dir: dir }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    fn sign_in(&self, browser: &Browser, who: &str) {
        browser.open(&self.at("/sign-in"));
        browser.type_into("#f-token", &format!("token-{who}"));
        browser.press("Sign in");
        browser.await_text("Assets");
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Northwind and acme are partners; northwind's NW-7 was offered to acme under this share id.
fn offered(world: &World<'_>, share: &str) {
    let (owner, target) = (world.tenant("northwind"), world.tenant("acme"));
    world.event("/operator", "partnership.established", &format!(r#"{{"tenants":["{owner}","{target}"]}}"#));
    let what = format!(r#""share":"{share}","owner":"{owner}","asset":"NW-7","target_tenant":"{target}","label":"Excavator 36 t""#);
    world.event(
        "/operator",
        "share.offered",
        &format!(r#"{{{what},"streams":["telemetry"],"profile":"all","history":true,"message":"<b>for May</b>"}}"#),
    );
}

/// A hire desk gives acme the telemetry of NW-7, acme accepts under its own id, data flows, and the owner stops it: another tab shows it.
/// By pointer, with script.
#[test]
fn a_share_is_given_accepted_and_stopped_in_the_browser() {
    let world = World::new(shared(), 1, "");
    let engine = world.start_ready("a");
    let (owner, target) = (world.tenant("northwind"), world.tenant("acme"));
    world.event("/operator", "partnership.established", &format!(r#"{{"tenants":["{owner}","{target}"]}}"#));
    let console = Console::start(&world, &["northwind", "acme"]);
    let browser = Browser::start(DESK);
    console.sign_in(&browser, "northwind");
    browser.open(&console.at("/visibility?asset=NW-7"));
    browser.type_into("#f-to", &target);
    browser.press("Next");
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

    world.feed(0, [world.record("northwind", "NW-7", 1)]);
    assert!(world.await_outputs("acme", 1)[0].value.as_deref().unwrap().contains("ACME-EX-1"));
    browser.open(&console.at("/assets/sharing?asset=NW-7"));
    browser.await_text("Active");
    browser.new_tab();
    let tabs = browser.tabs();
    browser.show_tab(&tabs[1]);
    browser.open(&console.at("/assets/sharing?asset=NW-7"));
    browser.press("Stop");
    browser.press("Stop sharing NW-7 with");
    browser.await_text("is stopped");
    browser.show_tab(&tabs[0]);
    browser.await_text("Stopping");
    engine.terminate();
}

/// Without script: offered, accepted, declined, stopped; and what others wrote stays text.
#[test]
fn the_core_tasks_work_without_script_and_hostile_words_stay_text() {
    let world = World::new(shared(), 1, "");
    world.make_control();
    let share = super::broker::unique("share");
    offered(&world, &share);
    let console = Console::start(&world, &["northwind", "acme"]);
    let plain = Screen { has_script: false, ..DESK };
    let receiver = Browser::start(plain);
    console.sign_in(&receiver, "acme");
    receiver.open(&console.at("/incoming"));
    receiver.await_text("“<b>for May</b>”");
    receiver.type_into("[name=target_asset]", "ACME-EX-1");
    receiver.press("Accept from");
    receiver.await_text("Accepted.");
    let owner = Browser::start(plain);
    console.sign_in(&owner, "northwind");
    owner.open(&console.at("/assets/sharing?asset=NW-7"));
    owner.press("Stop");
    owner.press("Stop sharing NW-7 with");
    owner.await_text("is stopped");
    // What an owner calls it is not the target's to know, and what is not there is not found.
    receiver.open(&console.at("/assets/sharing?asset=NW-7"));
    assert!(!receiver.text().contains(&share), "{}", receiver.text());
    receiver.open(&console.at(&format!("/assets/stop?asset=NW-7&share={share}")));
    receiver.await_text("There is nothing here");
}

/// Forms of nobody, of another session and from elsewhere are refused, and a viewer changes nothing.
#[test]
fn a_form_without_its_token_writes_nothing() {
    let world = World::new(shared(), 1, "");
    world.make_control();
    let share = super::broker::unique("share");
    offered(&world, &share);
    let console = Console::start(&world, &["northwind", "acme"]);
    let browser = Browser::start(DESK);
    console.sign_in(&browser, "northwind");
    browser.open(&console.at(&format!("/assets/stop?asset=NW-7&share={share}")));
    browser.run("document.querySelector('main [name=csrf]').value = 'other'");
    browser.press("Take back the offer of NW-7");
    browser.await_text("That form is no longer good");
    browser.open(&console.at("/assets/sharing?asset=NW-7"));
    browser.await_text("Pending");
    console.sign_in(&browser_of_viewer(&console), "viewer");
}

fn browser_of_viewer(console: &Console) -> Browser {
    let browser = Browser::start(DESK);
    console.sign_in(&browser, "viewer");
    browser.open(&console.at("/assets/sharing?asset=NW-7"));
    browser.await_text("NW-7");
    assert!(!browser.text().contains("Stop"), "{}", browser.text());
    browser.open(&console.at("/sign-in"));
    browser.run("document.querySelector('form[action=\"/sign-out\"] button').click()");
    await_that("signed out", || browser.address().ends_with("/sign-in"));
    browser
}

/// Every page, in both themes and on a small screen: no serious fault that axe-core finds, nothing wider than the screen, and no word of
/// the browser's console about the policy.
#[test]
fn every_page_is_accessible_in_both_themes_and_on_a_small_screen() {
    let axe = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe-core/axe.min.js"))
        .expect("scripts/test fetches axe-core");
    let world = World::new(shared(), 1, "");
    world.make_control();
    let share = super::broker::unique("share");
    offered(&world, &share);
    let console = Console::start(&world, &["northwind", "acme"]);
    let pictures = std::env::var_os("SHARECAST_PICTURES").map(PathBuf::from);
    let of_asset = |page: &str| format!("/assets/{page}?asset=NW-7&share={share}");
    let pages: Vec<(&str, &str, String)> = vec![
        ("northwind", "assets", "/assets".to_owned()),
        ("northwind", "sharing", of_asset("sharing")),
        ("northwind", "edit", format!("/assets/sharing?asset=NW-7&edit={share}&stream=telemetry")),
        ("northwind", "stop", of_asset("stop")),
        ("northwind", "what-leaves", of_asset("leaves")),
        ("northwind", "why", of_asset("why")),
        ("northwind", "history", of_asset("history")),
        ("northwind", "invitations", "/invitations".to_owned()),
        ("northwind", "invite", "/invitations/invite?asset=NW-7".to_owned()),
        ("northwind", "share-visibility", format!("/visibility?asset=NW-7&to={}", world.tenant("acme"))),
        ("northwind", "remove-visibility", format!("/visibility/remove?to={}", world.tenant("acme"))),
        ("acme", "incoming", "/incoming".to_owned()),
        ("northwind", "partnerships", "/partnerships".to_owned()),
        ("northwind", "profiles", "/profiles".to_owned()),
        ("northwind", "profile-editor", "/profiles/edit".to_owned()),
        ("operator", "tenants", "/tenants".to_owned()),
        ("operator", "health", "/health".to_owned()),
    ];
    let mut faults = Vec::new();
    for (name, screen) in [("light", DESK), ("dark", Screen { is_dark: true, ..DESK }), ("small", Screen { width: 360, ..DESK })] {
        let browser = Browser::start(screen);
        let mut who = "";
        for (tenant, page, address) in &pages {
            if who != *tenant {
                browser.open(&console.at("/sign-in"));
                if browser.has("form[action='/sign-out']") {
                    browser.run("document.querySelector('form[action=\"/sign-out\"]').submit()");
                    await_that("signed out", || browser.has("#f-token"));
                }
                console.sign_in(&browser, tenant);
                who = tenant;
            }
            browser.open(&console.at(address));
            await_that("the page is ready", || browser.run("return document.documentElement.dataset.isReady") == "yes");
            if let Some(pictures) = &pictures {
                browser.screenshot(&pictures.join(format!("{page}-{name}.png")));
            }
            let overflow = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
            if overflow.as_i64() != Some(0) {
                faults.push(format!("{page} ({name}): {overflow} px wider than the screen"));
            }
            browser.run(&axe);
            let found = browser.run_async(
                "const done = arguments[arguments.length - 1]; axe.run(document, { resultTypes: ['violations'] }).then((result) => done(result.violations
                    .filter((fault) => ['serious', 'critical'].includes(fault.impact))
                    .map((fault) => fault.id + ': ' + fault.nodes.map((node) => node.html).join(' | ').slice(0, 400))))",
            );
            faults.extend(found.as_array().unwrap().iter().map(|fault| format!("{page} ({name}): {fault}")));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
