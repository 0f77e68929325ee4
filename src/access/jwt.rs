//! Signed tokens of an identity provider (JWT): what one must say, and whom it names. Time and keys are passed in.
//!
//! Only asymmetric algorithms are known, so a public key never checks a token that somebody made with it as a shared secret. A key counts
//! for the algorithms of its own type alone.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use crate::access::{Caller, MAX_NAME, Party, Role, is_name};
use crate::config::JwtConfig;
use crate::id::TenantId;
use crate::time::TimestampMs;

/// How far the clocks of two machines may differ.
const LEEWAY_SECONDS: i64 = 30;

/// The longest token that is looked at.
const MAX_TOKEN: usize = 16 << 10;

/// Why a token does not count. No text repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtRefusal {
    /// It is no JWT.
    #[error("it is no signed token")]
    Malformed,
    /// Its algorithm is not one of `api.auth.jwt.algorithms`.
    #[error("its algorithm is not allowed")]
    Algorithm,
    /// Nobody is known to have this key.
    #[error("its key is not known")]
    UnknownKey,
    /// Somebody else has signed it, or it was changed.
    #[error("its signature is wrong")]
    Signature,
    /// It has no time at which it ends, or that has passed.
    #[error("it has expired")]
    Expired,
    /// It does not count yet.
    #[error("it does not count yet")]
    NotYet,
    /// Another one has made it.
    #[error("it is of another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("it is for another audience")]
    Audience,
    /// The claim that names the tenant is missing or no tenant's id.
    #[error("it names no tenant")]
    Tenant,
    /// The claim that names the role is missing, or is none.
    #[error("it names no role")]
    Role,
}

/// The keys of a provider, as it publishes them.
#[derive(Debug, Clone, Default)]
pub struct JwtKeys(Vec<JwtKey>);

#[derive(Debug, Clone)]
struct JwtKey {
    id: Option<String>,
    /// What it may have signed.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// Why a text is no set of keys.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// It is none.
    #[error("it is no JWK set: {0}")]
    Malformed(String),
    /// Nothing in it checks a signature.
    #[error("it has no key that checks a signature of RSA, of P-256, P-384 or Ed25519")]
    NoKey,
}

impl JwtKeys {
    /// Reads a JWK set. What is for encryption, symmetric or of another kind is passed over.
    ///
    /// # Errors
    /// It is none, or nothing is left.
    pub fn parse(text: &str) -> Result<Self, JwksError> {
        let raw: Value = serde_json::from_str(text).map_err(|error| JwksError::Malformed(error.to_string()))?;
        let keys = raw.get("keys").and_then(Value::as_array).ok_or_else(|| JwksError::Malformed("it has no list `keys`".to_owned()))?;
        // One that cannot be read hides no other.
        let set = JwkSet { keys: keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).collect() };
        let keys: Vec<JwtKey> = set.keys.iter().filter_map(key_of).collect();
        if keys.is_empty() { Err(JwksError::NoKey) } else { Ok(Self(keys)) }
    }

    /// The keys that may have signed a token of this header. One that names no key may be of any.
    fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &JwtKey> {
        self.0.iter().filter(move |key| key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id))
    }
}

fn key_of(jwk: &Jwk) -> Option<JwtKey> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_))) {
        return None;
    }
    let of_type: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => {
            &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512]
        }
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        _ => return None,
    };
    let own = match jwk.common.key_algorithm {
        Some(own) => Some(Algorithm::try_from(own).ok()?),
        None => None,
    };
    let algorithms: Vec<Algorithm> = of_type.iter().copied().filter(|algorithm| own.is_none_or(|own| own == *algorithm)).collect();
    let key = DecodingKey::from_jwk(jwk).ok()?;
    (!algorithms.is_empty()).then(|| JwtKey { id: jwk.common.key_id.clone(), algorithms, key })
}

/// What a token must say.
#[derive(Debug, Clone)]
pub struct JwtRules {
    issuer: String,
    audience: String,
    algorithms: Vec<Algorithm>,
    tenant_claim: String,
    role_claim: String,
}

impl JwtRules {
    /// By this configuration.
    pub fn of(config: &JwtConfig) -> Self {
        Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            algorithms: config.algorithms.iter().filter_map(|name| algorithm(name)).collect(),
            tenant_claim: config.tenant_claim.clone(),
            role_claim: config.role_claim.clone(),
        }
    }

    /// Who holds the token.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn caller(&self, token: &str, keys: &JwtKeys, now: TimestampMs) -> Result<Caller, JwtRefusal> {
        if token.len() > MAX_TOKEN {
            return Err(JwtRefusal::Malformed);
        }
        let named = named_algorithm(token).ok_or(JwtRefusal::Malformed)?;
        let allowed = algorithm(&named).filter(|algorithm| self.algorithms.contains(algorithm)).ok_or(JwtRefusal::Algorithm)?;
        let header = decode_header(token).map_err(|_| JwtRefusal::Malformed)?;
        if header.alg != allowed {
            return Err(JwtRefusal::Algorithm);
        }
        let mut candidates = keys.candidates(header.kid.as_deref(), allowed).peekable();
        if candidates.peek().is_none() {
            return Err(JwtRefusal::UnknownKey);
        }
        // What the claims say is asked below, at the time that was passed in.
        let mut validation = Validation::new(allowed);
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        let claims = candidates.find_map(|key| decode::<Value>(token, &key.key, &validation).ok()).ok_or(JwtRefusal::Signature)?.claims;
        self.judge(&claims, now)
    }

    fn judge(&self, claims: &Value, now: TimestampMs) -> Result<Caller, JwtRefusal> {
        let now_seconds = now.0 as f64 / 1000.0;
        let leeway = LEEWAY_SECONDS as f64;
        let expires = claims.get("exp").and_then(Value::as_f64).ok_or(JwtRefusal::Expired)?;
        if expires + leeway <= now_seconds {
            return Err(JwtRefusal::Expired);
        }
        if let Some(begins) = claims.get("nbf").filter(|begins| !begins.is_null())
            && begins.as_f64().is_none_or(|begins| begins - leeway > now_seconds)
        {
            return Err(JwtRefusal::NotYet);
        }
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(JwtRefusal::Issuer);
        }
        if !texts(claims.get("aud")).any(|audience| audience == self.audience) {
            return Err(JwtRefusal::Audience);
        }
        let roles: Vec<&str> = texts(claims.get(&self.role_claim)).collect();
        let who = if roles.contains(&OPERATOR) {
            Party::Operator
        } else {
            let tenant = claims.get(&self.tenant_claim).and_then(Value::as_str).ok_or(JwtRefusal::Tenant)?;
            Party::Tenant(TenantId::parse(tenant).map_err(|_| JwtRefusal::Tenant)?)
        };
        let role = if who == Party::Operator || roles.contains(&Role::Admin.word()) {
            Role::Admin
        } else if roles.contains(&Role::Viewer.word()) {
            Role::Viewer
        } else {
            return Err(JwtRefusal::Role);
        };
        Ok(Caller { who, role, name: name(claims).map(Into::into) })
    }
}

/// The role that makes its holder the operator.
const OPERATOR: &str = "operator";

/// An address that the provider has verified, else the subject. Names that people choose for themselves are no proof of who acted.
fn name(claims: &Value) -> Option<&str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| is_name(text) && text.len() <= MAX_NAME);
    let is_verified = claims.get("email_verified").and_then(Value::as_bool) == Some(true);
    text("email").filter(|_| is_verified).or_else(|| text("sub"))
}

/// A text, or the texts of a list.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let one = value.and_then(Value::as_str);
    let many = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many)
}

fn algorithm(name: &str) -> Option<Algorithm> {
    let algorithm: Algorithm = name.parse().ok()?;
    match algorithm {
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512
        | Algorithm::ES256
        | Algorithm::ES384
        | Algorithm::EdDSA => Some(algorithm),
        _ => None,
    }
}

/// What the header names, known or not.
fn named_algorithm(token: &str) -> Option<String> {
    use base64::Engine;
    let mut parts = token.split('.');
    let header = parts.next()?;
    if parts.count() != 2 {
        return None;
    }
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    // Whoever writes `crit` wants nobody to take the token who does not know what it names.
    let is_plain = header.get("crit").is_none();
    Some(header.get("alg")?.as_str()?.to_owned()).filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    const JWKS: &str = include_str!("testdata/jwks.json");
    const NOW: TimestampMs = TimestampMs(1_800_000_000_000);
    const SECONDS: i64 = NOW.0 / 1000;

    fn rules(algorithms: &[&str]) -> JwtRules {
        JwtRules::of(&JwtConfig {
            issuer: "https://id.example.com/".to_owned(),
            audience: "sharecast".to_owned(),
            jwks: String::new(),
            algorithms: algorithms.iter().map(|name| (*name).to_owned()).collect(),
            tenant_claim: "tenant".to_owned(),
            role_claim: "role".to_owned(),
        })
    }

    fn claims() -> Value {
        json!({"iss": "https://id.example.com/", "aud": "sharecast", "exp": SECONDS + 60, "tenant": "acme", "role": "admin", "sub": "u-1"})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn without(name: &str) -> Value {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    fn rsa() -> EncodingKey {
        EncodingKey::from_rsa_pem(include_bytes!("testdata/rsa.pem")).unwrap()
    }

    fn signed(algorithm: Algorithm, id: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
        encode(&Header { kid: id.map(str::to_owned), ..Header::new(algorithm) }, claims, key).unwrap()
    }

    fn asked(token: &str, algorithms: &[&str]) -> Result<Caller, JwtRefusal> {
        rules(algorithms).caller(token, &JwtKeys::parse(JWKS).unwrap(), NOW)
    }

    fn of_claims(claims: &Value) -> Result<Caller, JwtRefusal> {
        asked(&signed(Algorithm::RS256, Some("rsa-1"), &rsa(), claims), &["RS256"])
    }

    #[test]
    fn a_token_names_its_holder_whatever_it_is_signed_with() {
        let acme = Caller { who: Party::Tenant(TenantId::parse("acme").unwrap()), role: Role::Admin, name: Some("u-1".into()) };
        let ec = EncodingKey::from_ec_pem(include_bytes!("testdata/ec.pem")).unwrap();
        let ed = EncodingKey::from_ed_pem(include_bytes!("testdata/ed.pem")).unwrap();
        for (algorithm, name, id, key) in [
            (Algorithm::RS256, "RS256", Some("rsa-1"), &rsa()),
            (Algorithm::PS384, "PS384", Some("rsa-1"), &rsa()),
            (Algorithm::RS512, "RS512", None, &rsa()),
            (Algorithm::ES256, "ES256", Some("ec-1"), &ec),
            (Algorithm::EdDSA, "EdDSA", Some("ed-1"), &ed),
        ] {
            let token = signed(algorithm, id, key, &claims());
            assert_eq!(asked(&token, &[name]).as_ref(), Ok(&acme), "{name}");
            assert_eq!(asked(&token, &["ES384"]), Err(JwtRefusal::Algorithm), "{name} is not configured");
        }
    }

    #[test]
    fn nobody_signs_with_a_public_key_or_not_at_all() {
        let public = EncodingKey::from_secret(JWKS.as_bytes());
        for key in [public, EncodingKey::from_secret(b"secret")] {
            for id in [Some("rsa-1"), Some("secret"), None] {
                let token = signed(Algorithm::HS256, id, &key, &claims());
                assert_eq!(asked(&token, &["RS256", "HS256"]), Err(JwtRefusal::Algorithm));
            }
        }
        use base64::Engine;
        let coded = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
        for algorithm in ["none", "None", "NONE", "nOnE", "HS256", "ES512", ""] {
            let token = format!("{}.{}.", coded(&json!({"alg": algorithm, "typ": "JWT"})), coded(&claims()));
            assert_eq!(asked(&token, &["RS256", "none"]), Err(JwtRefusal::Algorithm), "{algorithm}");
        }
        let critical = format!("{}.{}.AAAA", coded(&json!({"alg": "RS256", "crit": ["b64"], "b64": false})), coded(&claims()));
        for token in ["", "a", "a.b", "a.b.c", "a.b.c.d", "....", &critical, &"a".repeat(MAX_TOKEN + 1)] {
            assert_eq!(asked(token, &["RS256"]), Err(JwtRefusal::Malformed), "{token}");
        }
    }

    #[test]
    fn a_signature_is_of_the_key_that_is_named_and_of_what_was_signed() {
        let other = EncodingKey::from_rsa_pem(include_bytes!("testdata/other.pem")).unwrap();
        assert_eq!(asked(&signed(Algorithm::RS256, Some("rsa-1"), &other, &claims()), &["RS256"]), Err(JwtRefusal::Signature));
        assert_eq!(asked(&signed(Algorithm::RS256, None, &other, &claims()), &["RS256"]), Err(JwtRefusal::Signature));
        for id in ["rsa-2", "enc-1", "ec-1", "ed-1", "secret"] {
            assert_eq!(asked(&signed(Algorithm::RS256, Some(id), &rsa(), &claims()), &["RS256"]), Err(JwtRefusal::UnknownKey), "{id}");
        }
        let (one, two) = (
            signed(Algorithm::RS256, Some("rsa-1"), &rsa(), &claims()),
            signed(Algorithm::RS256, Some("rsa-1"), &rsa(), &with("tenant", json!("zenith"))),
        );
        let mixed: Vec<&str> = one.split('.').take(1).chain(two.split('.').skip(1).take(1)).chain(one.split('.').skip(2)).collect();
        assert_eq!(asked(&mixed.join("."), &["RS256"]), Err(JwtRefusal::Signature));
    }

    #[test]
    fn each_claim_that_is_wrong_is_refused() {
        for (claims, refusal) in [
            (with("exp", json!(SECONDS - LEEWAY_SECONDS)), JwtRefusal::Expired),
            (without("exp"), JwtRefusal::Expired),
            (with("exp", json!("tomorrow")), JwtRefusal::Expired),
            (with("nbf", json!(SECONDS + LEEWAY_SECONDS + 1)), JwtRefusal::NotYet),
            (with("nbf", json!("now")), JwtRefusal::NotYet),
            (with("iss", json!("https://id.example.com")), JwtRefusal::Issuer),
            (with("iss", json!(["https://id.example.com/"])), JwtRefusal::Issuer),
            (without("iss"), JwtRefusal::Issuer),
            (with("aud", json!("other")), JwtRefusal::Audience),
            (with("aud", json!([])), JwtRefusal::Audience),
            (without("aud"), JwtRefusal::Audience),
            (with("tenant", json!("a b")), JwtRefusal::Tenant),
            (with("tenant", json!("")), JwtRefusal::Tenant),
            (with("tenant", json!(["acme"])), JwtRefusal::Tenant),
            (with("tenant", json!(7)), JwtRefusal::Tenant),
            (without("tenant"), JwtRefusal::Tenant),
            (with("role", json!("root")), JwtRefusal::Role),
            (with("role", json!("Admin")), JwtRefusal::Role),
            (without("role"), JwtRefusal::Role),
        ] {
            assert_eq!(of_claims(&claims), Err(refusal), "{claims}");
        }
    }

    #[test]
    fn clocks_may_differ_a_little_and_roles_and_audiences_may_be_lists() {
        for claims in [
            with("exp", json!(SECONDS - LEEWAY_SECONDS + 1)),
            with("nbf", json!(SECONDS + LEEWAY_SECONDS)),
            with("aud", json!(["other", "sharecast"])),
            with("role", json!(["other", "viewer", "admin"])),
        ] {
            assert_eq!(of_claims(&claims).map(|caller| caller.role), Ok(Role::Admin), "{claims}");
        }
        assert_eq!(of_claims(&with("role", json!(["viewer"]))).map(|caller| caller.role), Ok(Role::Viewer));
        let mut operator = without("tenant");
        operator["role"] = json!("operator");
        assert!(of_claims(&operator).unwrap().is_operator());
        let mut named = with("email", json!("ann@example.com"));
        assert_eq!(of_claims(&named).unwrap().name.as_deref(), Some("u-1"), "nobody has verified it");
        named["email_verified"] = json!(true);
        assert_eq!(of_claims(&named).unwrap().name.as_deref(), Some("ann@example.com"));
    }

    #[test]
    fn a_set_without_a_key_that_counts_is_said() {
        for text in ["", "{}", "[]", r#"{"keys":7}"#] {
            assert!(matches!(JwtKeys::parse(text), Err(JwksError::Malformed(_))), "{text}");
        }
        for text in [r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#] {
            assert!(matches!(JwtKeys::parse(text), Err(JwksError::NoKey)), "{text}");
        }
    }
}
