//! A server of the API as a process of its own, and a client of it.

use std::path::PathBuf;

use serde_json::{Value, json};
use sharecast::access::TokenHash;

use crate::fixture::World;
use crate::instance::{ASK_AGAIN, Instance, Patience, file};

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) epoch: i64,
    pub(crate) retry_after: Option<String>,
    pub(crate) kind: String,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answered {
    /// The body, of an answer with this status.
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    /// The reason of a refusal with this status.
    pub(crate) fn reason(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.kind, "application/problem+json", "{}", self.text);
        assert_eq!(self.body["status"], status, "{}", self.text);
        self.body["reason"].as_str().unwrap_or_default()
    }
}

/// A server, and where it listens.
pub(crate) struct Server {
    pub(crate) instance: Instance,
    pub(crate) base: String,
}

/// A world with a control topic, a file of tokens, and servers.
pub(crate) struct Door<'c> {
    pub(crate) world: World<'c>,
    more: String,
    dir: tempfile::TempDir,
}

impl<'c> Door<'c> {
    /// `more` is YAML under `api`.
    pub(crate) fn new(world: World<'c>, more: &str) -> Self {
        world.make_control();
        let door = Self { world, more: more.to_owned(), dir: tempfile::tempdir().unwrap() };
        door.write_tokens(&["operator", "o", "o-viewer", "t", "z", "z-viewer"]);
        door
    }

    /// The file of tokens: a token's text is its name. `x-viewer` is a viewer of the tenant `x`.
    pub(crate) fn write_tokens(&self, names: &[&str]) -> PathBuf {
        let entry = |name: &&str| {
            let (tenant, role) = name.strip_suffix("-viewer").map_or((*name, "admin"), |tenant| (tenant, "viewer"));
            let who = if tenant == "operator" { "operator: true".to_owned() } else { format!("tenant: {}", self.world.tenant(tenant)) };
            format!("  - {{ sha256: {}, {who}, role: {role}, name: {name} }}\n", TokenHash::of(name))
        };
        let text: String = std::iter::once("tokens:\n".to_owned()).chain(names.iter().map(entry)).collect();
        file(self.dir.path(), "tokens.yaml", &text)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The configuration of a server.
    pub(crate) fn config(&self, instance: &str) -> PathBuf {
        let path = self.world.config(instance);
        let text = std::fs::read_to_string(&path).unwrap();
        let auth = if self.more.contains("auth:") {
            String::new()
        } else {
            format!("  auth: {{ tokens: {} }}\n", self.path("tokens.yaml").display())
        };
        let limits = if self.more.contains("limits:") { "" } else { "  limits: { requests: 100000 }\n" };
        let api = format!("api:\n  listen: \"127.0.0.1:0\"\n  secret: 0123456789abcdef\n{auth}{limits}{}", self.more);
        std::fs::write(&path, text + &api).unwrap();
        path
    }

    /// Starts a server and waits until it is ready.
    pub(crate) fn serve(&self, instance: &str) -> Server {
        let instance = Instance::start_as(&self.config(instance), &["serve"], &[]);
        let line = instance.await_line(&["the API listens"]);
        let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let server = Server { instance, base: format!("http://{address}") };
        let patience = Patience::begin();
        while server.get("", "/readyz").status != 200 {
            assert!(!patience.is_over(), "{}", server.get("", "/readyz").text);
            std::thread::sleep(ASK_AGAIN);
        }
        server
    }

    pub(crate) fn tenant(&self, name: &str) -> String {
        self.world.tenant(name)
    }

    /// Partners `o` with `t`, and `o` has a profile that shows all.
    pub(crate) fn partners(&self) {
        let (o, t) = (self.tenant("o"), self.tenant("t"));
        self.world.event("/operator", "partnership.established", &format!(r#"{{"tenants":["{o}","{t}"]}}"#));
    }

    /// An offer of `o` to `t`.
    pub(crate) fn offer(&self, asset: &str) -> Value {
        json!({"asset": asset, "target_tenant": self.tenant("t"), "streams": ["telemetry"], "profile": "all", "label": "Digger"})
    }
}

impl Server {
    fn agent() -> ureq::Agent {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(crate::broker::PATIENCE));
        config.build().into()
    }

    /// Asks with a token; none for the empty one.
    pub(crate) fn get(&self, token: &str, path: &str) -> Answered {
        let mut request = Self::agent().get(format!("{}{path}", self.base));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        answered(request.call())
    }

    /// Sends JSON.
    pub(crate) fn post(&self, token: &str, path: &str, body: &Value) -> Answered {
        self.post_as(token, path, body, None)
    }

    /// The same under a key.
    pub(crate) fn post_as(&self, token: &str, path: &str, body: &Value, key: Option<&str>) -> Answered {
        self.send(token, path, &body.to_string(), "application/json", key)
    }

    /// Sends any text.
    pub(crate) fn send(&self, token: &str, path: &str, body: &str, kind: &str, key: Option<&str>) -> Answered {
        let mut request = Self::agent().post(format!("{}{path}", self.base)).header("content-type", kind);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        answered(request.send(body))
    }
}

fn answered(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answered {
    let mut response = match response {
        Ok(response) => response,
        Err(error) => {
            let text = error.to_string();
            return Answered { status: 0, epoch: -1, retry_after: None, kind: String::new(), body: Value::Null, text };
        }
    };
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (epoch, retry_after, kind) = (header("x-sharecast-epoch"), header("retry-after"), header("content-type"));
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().unwrap_or_default();
    Answered {
        status,
        epoch: epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or(i64::MIN),
        retry_after,
        kind: kind.unwrap_or_default(),
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    }
}
