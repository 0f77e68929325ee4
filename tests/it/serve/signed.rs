//! Tokens that an identity provider signs.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use sharecast::clock::{Clock, SystemClock};

use super::server::Door;
use crate::broker::shared;
use crate::fixture::World;

fn signed(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    encode(header, claims, key).unwrap()
}

#[test]
fn a_token_counts_by_the_algorithms_that_are_configured_alone() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/src/access/testdata");
    let auth =
        format!("  auth: {{ mode: jwt, jwt: {{ issuer: idp, audience: sharecast, jwks: {keys}/jwks.json, algorithms: [RS256] }} }}\n");
    let door = Door::new(World::new(shared(), 1, ""), &auth);
    let server = door.serve("a");
    let pem = |name: &str| std::fs::read(format!("{keys}/{name}.pem")).unwrap();
    let rsa = EncodingKey::from_rsa_pem(&pem("rsa")).unwrap();
    let exp = SystemClock.wall().0 / 1000 + 600;
    let claims = |more: Value| {
        let mut claims = json!({"iss": "idp", "aud": "sharecast", "exp": exp, "tenant": door.tenant("t"), "role": "admin"});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    let status = |token: &str| server.get(token, "/api/v1/tenants").status;
    let good = signed(&Header::new(Algorithm::RS256), &claims(json!({})), &rsa);
    assert_eq!(server.get(&good, "/api/v1/tenants").ok(200)["tenants"][0]["tenant"], door.tenant("t"));
    for (what, token) in [
        ("another algorithm of the same key", signed(&Header::new(Algorithm::RS512), &claims(json!({})), &rsa)),
        (
            "a public key as a shared secret",
            signed(&Header::new(Algorithm::HS256), &claims(json!({})), &EncodingKey::from_secret(&pem("rsa"))),
        ),
        ("a curve", signed(&Header::new(Algorithm::ES256), &claims(json!({})), &EncodingKey::from_ec_pem(&pem("ec")).unwrap())),
        ("another's key", signed(&Header::new(Algorithm::RS256), &claims(json!({})), &EncodingKey::from_rsa_pem(&pem("other")).unwrap())),
        ("another issuer", signed(&Header::new(Algorithm::RS256), &claims(json!({"iss": "else"})), &rsa)),
        ("another audience", signed(&Header::new(Algorithm::RS256), &claims(json!({"aud": "else"})), &rsa)),
        ("an old one", signed(&Header::new(Algorithm::RS256), &claims(json!({"exp": exp - 3600})), &rsa)),
        ("no role", signed(&Header::new(Algorithm::RS256), &claims(json!({"role": "none"})), &rsa)),
        ("no signature", format!("{}.", good.rsplit_once('.').unwrap().0)),
    ] {
        assert_eq!(status(&token), 401, "{what}");
    }
    // A proxy sends it with each request of a browser: the console takes it, and forms of others all the same for none of its own.
    let page = server.get(&good, "/partnerships");
    assert!(page.status == 200 && page.text.contains("Partnerships") && !page.text.contains("name=\"token\""), "{}", page.text);
    let field = |name: &str| {
        let value = page.text.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("{name}: {}", page.text));
        value.split('"').next().unwrap().to_owned()
    };
    let form = |csrf: &str| format!("csrf={csrf}&key={}&partner={}", field("key"), door.tenant("o"));
    let offer = |token: &str, form: &str| server.send(token, "/partnerships/offer", form, "application/x-www-form-urlencoded", None);
    assert_eq!(offer(&good, &form("other")).status, 403);
    let of_another = signed(&Header::new(Algorithm::RS256), &claims(json!({"tenant": door.tenant("z")})), &rsa);
    assert_eq!(offer(&of_another, &form(&field("csrf"))).status, 403, "a form of another");
    assert_eq!(offer(&good, &form(&field("csrf"))).status, 200);
    assert_eq!(server.get(&good, "/api/v1/partnerships").ok(200)["partnerships"].as_array().unwrap().len(), 1);
    let old = signed(&Header::new(Algorithm::RS256), &claims(json!({"exp": exp - 3600})), &rsa);
    assert!(server.get(&old, "/partnerships").text.contains("name=\"token\""), "it asks who it is");
    assert!(!server.instance.log().contains(&good));
}
