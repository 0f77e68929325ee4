//! The API and the console: where they listen, who may come in, what one request may cost.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Secret;
use super::engine;
use super::streams;
use super::written::{ConfigKind, ConfigValue, Findings, Spot};
use crate::id::StreamIndex;
use crate::json::path::Path;
use crate::record::mapping::{Mode, Stream};
use crate::time::Period;

/// `api`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What links begin with that lead to the console, without a slash at its end.
    pub public_url: Option<String>,
    /// Of it follow the ids of writes that name an `Idempotency-Key`, and what cursors and sessions are signed with. Servers of one
    /// installation have the same.
    pub secret: Option<Secret>,
    /// Who may come in.
    pub auth: AuthConfig,
    /// Where assets are named.
    pub directory: Option<DirectoryConfig>,
    /// What one client may cost.
    pub limits: ApiLimits,
}

/// `api.auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthConfig {
    /// Who has a token of this file; none is named yet.
    Tokens(Option<PathBuf>),
    /// Who has a token that an identity provider signed.
    Jwt(JwtConfig),
    /// Whoever reaches the loopback address is the operator.
    Nobody,
}

/// `api.auth.jwt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtConfig {
    /// Who must have signed a token: `iss`.
    pub issuer: String,
    /// For whom it must be: `aud`.
    pub audience: String,
    /// Where the signers' keys are: a URL, or a file.
    pub jwks: String,
    /// The algorithms that count, of `JWT_ALGORITHMS`.
    pub algorithms: Vec<String>,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that names the role.
    pub role_claim: String,
}

/// What a token may be signed with. None of them is symmetric: a key that only checks must not be able to sign.
pub const JWT_ALGORITHMS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// `api.directory`: where an upsert stream's documents name their assets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryConfig {
    /// The stream.
    pub stream: StreamIndex,
    /// The member with the name.
    pub name: Option<Path>,
    /// The member with a second one, as a number plate.
    pub reference: Option<Path>,
}

/// `api.limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiLimits {
    /// The longest body in bytes.
    pub body_bytes: usize,
    /// Requests a second and token.
    pub requests: u32,
    /// The longest that one request may take.
    pub timeout: Period,
}

/// Resolves `api`.
pub(super) fn resolve(root: &ConfigValue, streams: &[Stream], findings: &mut Findings) -> ApiConfig {
    let listen = engine::address(root, "api.listen", SocketAddr::from(([127, 0, 0, 1], 8080)), findings);
    let text = |key: &str| root.at(key).and_then(ConfigValue::as_text).map(str::to_owned);
    ApiConfig {
        listen,
        public_url: public_url(root, findings),
        secret: secret(root, findings),
        auth: match engine::word(root, "api.auth.mode") {
            Some("none") => nobody(root, listen, findings),
            Some("jwt") => AuthConfig::Jwt(jwt(root, findings)),
            _ => AuthConfig::Tokens(text("api.auth.tokens").map(PathBuf::from)),
        },
        directory: directory(root, streams, findings),
        limits: ApiLimits {
            body_bytes: engine::whole_or(root, "api.limits.body", 1 << 20) as usize,
            requests: engine::whole_or(root, "api.limits.requests", 100) as u32,
            timeout: engine::span_or(root, "api.limits.timeout", Period::from_millis(30_000)),
        },
    }
}

/// So many bytes at least: a secret that can be guessed names the ids of writes.
const SHORTEST_SECRET: usize = 16;

fn secret(root: &ConfigValue, findings: &mut Findings) -> Option<Secret> {
    let value = root.at("api.secret")?;
    let text = value.as_text()?;
    if text.len() < SHORTEST_SECRET {
        let what = format!("`api.secret` has fewer than {SHORTEST_SECRET} bytes");
        findings.error(value.spot, what, "write a random one, as `openssl rand -hex 32` prints it; better in a file: `${file:PATH}`");
    }
    Some(Secret(text.to_owned()))
}

fn public_url(root: &ConfigValue, findings: &mut Findings) -> Option<String> {
    let value = root.at("api.public_url")?;
    let text = value.as_text()?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_url =
        |rest: &str| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(|c: char| c.is_whitespace() || c == '?' || c == '#');
    if !rest.is_some_and(is_url) {
        findings.error(
            value.spot,
            "`api.public_url` is no address that a link can begin with",
            "write for example `https://sharing.example.com`",
        );
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn nobody(root: &ConfigValue, listen: SocketAddr, findings: &mut Findings) -> AuthConfig {
    if let (false, Some(value)) = (listen.ip().is_loopback(), root.at("api.auth.mode")) {
        findings.error(
            value.spot,
            "`api.auth.mode: none` makes whoever reaches `api.listen` the operator, and that is no loopback address",
            "write `tokens` or `jwt`, or listen on 127.0.0.1",
        );
    }
    AuthConfig::Nobody
}

fn jwt(root: &ConfigValue, findings: &mut Findings) -> JwtConfig {
    let spot = root.at("api.auth.jwt").or_else(|| root.at("api.auth.mode")).map(|value| value.spot);
    let mut needed = |key: &str, instead: &str| {
        let text = root.at("api.auth.jwt").and_then(|jwt| jwt.get(key)).and_then(ConfigValue::as_text).map(str::to_owned);
        if let (None, Some(spot)) = (&text, spot) {
            findings.error(spot, format!("`api.auth.mode: jwt` needs `api.auth.jwt.{key}`"), format!("add {instead}"));
        }
        text.unwrap_or_default()
    };
    let issuer = needed("issuer", "who signs the tokens: `issuer: https://login.example.com/`");
    let audience = needed("audience", "for whom they are: `audience: sharecast`");
    let jwks = needed("jwks", "where the signer's keys are: `jwks: https://login.example.com/.well-known/jwks.json`, or a file");
    let text = |key: &str, standard: &str| root.at(key).and_then(ConfigValue::as_text).unwrap_or(standard).to_owned();
    JwtConfig {
        issuer,
        audience,
        jwks,
        algorithms: algorithms(root, findings),
        tenant_claim: text("api.auth.jwt.tenant_claim", "tenant"),
        role_claim: text("api.auth.jwt.role_claim", "role"),
    }
}

fn algorithms(root: &ConfigValue, findings: &mut Findings) -> Vec<String> {
    let Some(ConfigValue { kind: ConfigKind::List(items), spot }) = root.at("api.auth.jwt.algorithms") else {
        return vec!["RS256".to_owned()];
    };
    if items.is_empty() {
        findings.error(*spot, "no algorithm counts: no token could be valid", "write for example `algorithms: [RS256]`");
    }
    let mut algorithms = Vec::new();
    for item in items {
        let Some(name) = item.as_text() else { continue };
        if !JWT_ALGORITHMS.contains(&name) {
            let what = format!("`{name}` is no algorithm that tokens may be signed with");
            findings.error(item.spot, what, format!("write of {}", JWT_ALGORITHMS.join(", ")));
        }
        algorithms.push(name.to_owned());
    }
    algorithms
}

fn directory(root: &ConfigValue, streams: &[Stream], findings: &mut Findings) -> Option<DirectoryConfig> {
    let value = root.at("api.directory")?;
    if value.entries().iter().all(|entry| matches!(entry.value.kind, ConfigKind::Null)) {
        return None;
    }
    let Some(written) = value.get("stream") else {
        findings.error(value.spot, "`api.directory` names no stream", "write which upsert stream names the assets: `stream: details`");
        return None;
    };
    let stream = stream(written.as_text()?, written.spot, streams, findings);
    let mut path = |key: &str| value.get(key).and_then(|path| streams::path_at(path, findings));
    let (name, reference) = (path("name"), path("reference"));
    if value.get("name").is_none() && value.get("reference").is_none() {
        findings.error(value.spot, "`api.directory` names no member", "write `name: $.name`, `reference: $.plate` or both");
    }
    Some(DirectoryConfig { stream: stream?, name, reference })
}

fn stream(name: &str, spot: Spot, streams: &[Stream], findings: &mut Findings) -> Option<StreamIndex> {
    match streams.iter().find(|stream| stream.name.as_str() == name) {
        Some(stream) if stream.mode == Mode::Upsert => Some(stream.index),
        Some(_) => {
            findings.error(
                spot,
                format!("the stream `{name}` is no upsert stream: it keeps no newest document of each asset"),
                "name one with `mode: upsert`",
            );
            None
        }
        None => {
            findings.error(spot, format!("no stream is called `{name}`"), "name one of `streams`, with `mode: upsert`");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigEnv};

    const STREAMS: &str = "streams:\n  details: { mode: upsert, topic: docs, tenant: key.tenant, asset: key.asset, key_format: '{tenant}/{asset}' }\n  telemetry: { mode: append, topic: raw, tenant: $.t, asset: $.a }\n";

    fn api(text: &str) -> Result<ApiConfig, String> {
        let text = format!("{STREAMS}api:\n{text}");
        Config::load(&[("c.yaml", &text)], &ConfigEnv::none()).map(|config| config.api).map_err(|errors| errors.to_string())
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let api = api("  secret: 0123456789abcdef\n").unwrap();
        assert_eq!((api.listen.to_string().as_str(), api.auth), ("127.0.0.1:8080", AuthConfig::Tokens(None)));
        assert_eq!(api.limits, ApiLimits { body_bytes: 1 << 20, requests: 100, timeout: Period::from_millis(30_000) });
        assert!(api.directory.is_none() && api.public_url.is_none() && api.secret.is_some());
    }

    #[test]
    fn what_is_wrong_is_named_at_its_place() {
        for (text, place, what) in [
            ("  listen: 0.0.0.0:80\n  auth: { mode: none }\n", "c.yaml:6:17", "no loopback address"),
            ("  auth: { mode: jwt, jwt: { issuer: i, audience: a } }\n", "c.yaml:5:27", "api.auth.jwt.jwks"),
            ("  auth: { mode: jwt, jwt: { issuer: i, audience: a, jwks: k, algorithms: [RS256, HS256] } }\n", "c.yaml:5:82", "`HS256`"),
            ("  auth: { mode: jwt, jwt: { issuer: i, audience: a, jwks: k, algorithms: [] } }\n", "c.yaml:5", "no algorithm counts"),
            ("  directory: { stream: telemetry, name: $.n }\n", "c.yaml:5:24", "no upsert stream"),
            ("  directory: { stream: other, name: $.n }\n", "c.yaml:5:24", "no stream is called `other`"),
            ("  directory: { stream: details }\n", "c.yaml:5", "names no member"),
            ("  directory: { name: $.n }\n", "c.yaml:5", "names no stream"),
            ("  public_url: sharing.example.com\n", "c.yaml:5:15", "no address"),
            ("  secret: short\n", "c.yaml:5:11", "fewer than 16"),
            ("  limits: { requests: 0 }\n", "c.yaml:5", "api.limits.requests"),
        ] {
            let said = api(text).unwrap_err();
            assert!(said.contains(place) && said.contains(what), "{text}: {said}");
        }
    }

    #[test]
    fn a_link_has_one_slash() {
        assert_eq!(api("  public_url: https://s.example/\n").unwrap().public_url.as_deref(), Some("https://s.example"));
    }
}
