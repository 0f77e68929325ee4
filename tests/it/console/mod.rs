//! The console as people use it: a real browser, a real Kafka, an engine where data must flow.

mod guard;
mod invited;
mod isolation;
mod keyboard;
mod looks;
mod plain;
mod pointer;
mod scene;

use std::path::PathBuf;

use sharecast::access::TokenHash;
use sharecast::clock::{Clock, SystemClock};

use super::browser::Browser;
use super::fixture::World;
use super::instance::{Instance, await_that, file, run};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A server of a world, and the tokens of its people.
struct Console {
    server: Instance,
    address: String,
    /// Its configuration, of a file.
    config: PathBuf,
    _dir: tempfile::TempDir,
}

impl Console {
    /// Serves the world; each of these tenants has the token `token-NAME`, the operator `token-operator`; `token-viewer` only sees what
    /// the first one does.
    fn start(world: &World<'_>, tenants: &[&str]) -> Self {
        let all: Vec<(&str, String)> = tenants.iter().map(|tenant| (*tenant, world.tenant(tenant))).collect();
        Self::serve(&std::fs::read_to_string(world.config("serve")).unwrap(), &all, "")
    }

    /// Serves by this configuration. `more` is YAML under `api`.
    fn serve(config: &str, tenants: &[(&str, String)], more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let entry = |token: &str, who: &str, role: &str| {
            format!("  - {{ sha256: {}, {who}, role: {role}, name: Ann }}\n", TokenHash::of(&format!("token-{token}")))
        };
        let mut tokens = "tokens:\n".to_owned();
        for (name, tenant) in tenants {
            tokens += &entry(name, &format!("tenant: {tenant}"), "admin");
        }
        tokens += &entry("operator", "operator: true", "admin");
        tokens += &entry("viewer", &format!("tenant: {}", tenants[0].1), "viewer");
        let tokens = file(dir.path(), "tokens.yaml", &tokens);
        let api = format!(
            "api:\n  listen: \"127.0.0.1:0\"\n  secret: {SECRET}\n  auth: {{ mode: tokens, tokens: {} }}\n{more}",
            tokens.display()
        );
        let config: PathBuf = file(dir.path(), "serve.yaml", &format!("{config}\n{api}"));
        let server = Instance::start_as(&config, &["serve"], &[]);
        let line = server.await_line(&["the API listens"]);
        let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
        let address = format!("http://{address}");
        await_that("the console is ready", || ureq::get(format!("{address}/readyz")).call().is_ok());
        Self { server, address, config, _dir: dir }
    }

    /// A token for a tenant, made while the server runs.
    fn new_token(&self, tenant: &str) -> String {
        let token = run(&self.config, &format!("token new {tenant} --role admin"), 0).trim().to_owned();
        self.server.signal("HUP");
        self.server.await_line(&["configuration reloaded", "tokens"]);
        token
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    fn sign_in(&self, browser: &Browser, who: &str) {
        browser.open(&self.at("/sign-in"));
        browser.forget();
        browser.open(&self.at("/sign-in"));
        browser.type_into("#f-token", &format!("token-{who}"));
        browser.press("Sign in");
        browser.await_text("Assets");
    }
}

/// What NW-7 of northwind sends now.
fn fresh(world: &World<'_>) -> String {
    let now = SystemClock.wall().moment();
    format!(r#"{{"tenant":"{}","asset":"NW-7","ts":"{now}","number":1}}"#, world.tenant("northwind"))
}

/// The two are partners.
fn partners(world: &World<'_>, owner: &str, target: &str) {
    let (owner, target) = (world.tenant(owner), world.tenant(target));
    world.event("/operator", "partnership.established", &format!(r#"{{"tenants":["{owner}","{target}"]}}"#));
}

/// Northwind offers NW-7 to acme, who is its partner, with more of JSON's members.
fn offered(world: &World<'_>, share: &str, more: &str) {
    partners(world, "northwind", "acme");
    let (owner, target) = (world.tenant("northwind"), world.tenant("acme"));
    let what = format!(r#""share":"{share}","owner":"{owner}","asset":"NW-7","target_tenant":"{target}""#);
    world.event("/operator", "share.offered", &format!(r#"{{{what},"streams":["telemetry"],"profile":"all","history":true{more}}}"#));
}
