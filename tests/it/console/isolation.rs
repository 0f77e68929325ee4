//! Pages without a browser: what a caller may not see is on no page and changed by no form, and what others typed stays text.

use serde_json::{Value, json};
use sharecast::access::session::{Session, SessionKey};
use sharecast::access::{Caller, Party, Role, TokenHash};
use sharecast::clock::{Clock, SystemClock};
use sharecast::id::TenantId;
use sharecast::time::TimestampMs;

use super::super::broker::shared;
use super::super::fixture::World;
use super::{Console, SECRET};

const HOSTILE: &str = r#"<img src=x onerror="alert(1)">'&"#;

/// A page as somebody who has signed in gets it.
struct Page {
    status: u16,
    text: String,
}

/// Somebody who has signed in.
struct Visitor {
    cookie: String,
    csrf: String,
    base: String,
}

impl Visitor {
    fn of(console: &Console, who: &str, party: Party) -> Self {
        let key = SessionKey::of(SECRET.as_bytes());
        let nonce = format!("{:0>26}", who.replace('-', ""));
        let session = Session {
            caller: Caller { who: party, role: Role::Admin, name: Some("Ann".into()) },
            holder: Some(TokenHash::of(&format!("token-{who}"))),
            expires: TimestampMs(SystemClock.wall().0 + 3_600_000),
            nonce: nonce.clone(),
        };
        Self { cookie: format!("sharecast_session={}", key.seal(&session)), csrf: key.form_token(&nonce), base: console.address.clone() }
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).build().into()
    }

    fn get(&self, path: &str) -> Page {
        page(Self::agent().get(format!("{}{path}", self.base)).header("cookie", &self.cookie).call())
    }

    /// Sends a form that is this session's own.
    fn send(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let form = [&[("csrf", self.csrf.as_str()), ("key", "abcdefghijklmnopqrstuvwxyz")], fields].concat();
        let request = Self::agent().post(format!("{}{path}", self.base)).header("cookie", &self.cookie);
        page(request.send_form(form))
    }
}

fn page(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Page {
    let mut response = response.unwrap();
    Page { status: response.status().as_u16(), text: response.body_mut().read_to_string().unwrap() }
}

fn tenant(world: &World<'_>, name: &str) -> Party {
    Party::Tenant(TenantId::parse(&world.tenant(name)).unwrap())
}

/// What is written in an address.
fn written(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Asks the API as one of the console's people.
fn api(console: &Console, who: &str, path: &str, body: Option<Value>) -> Value {
    let (address, token) = (console.at(&format!("/api/v1{path}")), format!("Bearer token-{who}"));
    let response = match body {
        Some(body) => {
            let request = Visitor::agent().post(address).header("authorization", token).header("content-type", "application/json");
            page(request.send(body.to_string()))
        }
        None => page(Visitor::agent().get(address).header("authorization", token).call()),
    };
    assert!((200..300).contains(&response.status), "{path}: {}", response.text);
    serde_json::from_str(&response.text).unwrap()
}

fn share_of(answer: &Value) -> String {
    answer["share"].as_str().unwrap().to_owned()
}

/// What northwind has with acme.
struct Fleet {
    active: String,
    pending: String,
    invited: String,
}

impl Fleet {
    /// Every text is `text`, or begins with it.
    fn start(world: &World<'_>, console: &Console, text: &str) -> Self {
        super::partners(world, "northwind", "acme");
        let spec = json!({"telemetry": {"include": ["$.number"]}});
        api(console, "northwind", "/profiles", Some(json!({"profile": "SECRET-P", "spec": spec})));
        let offer = |number: usize| {
            let offer = json!({
                "asset": format!("{text}{number}"), "target_tenant": world.tenant("acme"), "target_asset": format!("{text}-T{number}"),
                "streams": ["telemetry"], "profile": "SECRET-P", "label": text, "message": text,
            });
            share_of(&api(console, "northwind", "/shares", Some(offer)))
        };
        let (active, pending) = (offer(1), offer(2));
        api(console, "acme", &format!("/shares/{active}/accept"), Some(json!({})));
        let invite = json!({"asset": format!("{text}3"), "invitee": "secret@example.com", "streams": ["telemetry"], "profile": "SECRET-P",
            "label": text, "message": text});
        let invited = share_of(&api(console, "northwind", "/invitations", Some(invite)));
        Self { active, pending, invited }
    }
}

/// Every page that is looked at, with ids of things that somebody has.
fn addresses(fleet: &Fleet, owner: &str, asset: &str, partner: &str) -> Vec<String> {
    let mut all: Vec<String> =
        ["/assets", "/invitations", "/invitations/invite", "/visibility", "/visibility/remove", "/incoming", "/incoming?over=1"]
            .map(str::to_owned)
            .into();
    all.extend(["/partnerships", "/profiles", "/profiles/edit", "/tenants", "/health"].map(str::to_owned));
    let at = |number: usize| written(&format!("{asset}{number}"));
    for (number, share) in [(1, &fleet.active), (2, &fleet.pending), (3, &fleet.invited)] {
        for tab in ["sharing", "leaves", "why", "invitations", "history", "stop"] {
            all.push(format!("/assets/{tab}?asset={}&owner={owner}&share={share}", at(number)));
        }
        all.push(format!("/assets/sharing?asset={}&owner={owner}&edit={share}&over=1", at(number)));
        for page in ["/incoming/share?share=", "/incoming/leave?share=", "/invitations?open=", "/incoming?offers=", "/incoming?received="] {
            all.push(format!("{page}{share}"));
        }
        for done in ["stopped", "taken", "accepted", "declined", "left", "invited", "resent", "cancelled"] {
            all.push(format!("/incoming?done={done}&on={share}"));
        }
        all.push(format!("/assets?received={share}"));
        all.push(format!("/invitations?after={share}"));
    }
    all.push(format!("/assets?after={owner}/{}", at(0)));
    all.push(format!("/assets?owner={owner}"));
    all.push(format!("/invitations?q={}", written(asset)));
    all.push(format!("/invitations/invite?owner={owner}&asset={}", at(1)));
    all.push(format!("/visibility?owner={owner}&to={partner}&asset={}&q={}", at(1), written(asset)));
    all.push(format!("/visibility/remove?owner={owner}&to={partner}"));
    all.push(format!("/partnerships?of={owner}&end={partner}&to={partner}"));
    all.push(format!("/profiles/edit?owner={owner}&name=SECRET-P&asset={}", at(1)));
    all
}

/// Another tenant with a session of its own, at each address and by each form.
#[test]
fn no_page_shows_and_no_form_changes_anything_of_others() {
    let world = World::new(shared(), 1, "");
    world.make_control();
    let console = Console::start(&world, &["northwind", "acme", "zenith"]);
    let fleet = Fleet::start(&world, &console, "SECRET-");
    let (owner, partner) = (world.tenant("northwind"), world.tenant("acme"));
    let all = || api(&console, "operator", "/shares?limit=100", None);
    let before = all();
    let visitor = Visitor::of(&console, "zenith", tenant(&world, "zenith"));
    let tells_nothing = |asked: &str, page: &Page| {
        // What was asked may be said again.
        let asked_for = |secret: &&str| asked.contains(secret) || asked.contains(&written(secret));
        let secrets = ["SECRET-1", "SECRET-2", "SECRET-3", "SECRET-T", "SECRET-P", "secret@example.com", &owner, &partner];
        for secret in secrets.into_iter().chain([fleet.active.as_str(), &fleet.pending, &fleet.invited]).filter(|secret| !asked_for(secret))
        {
            assert!(!page.text.contains(secret), "{asked} tells of {secret}: {}", page.text);
        }
        assert!(page.status < 500, "{asked}: {}", page.status);
    };
    let owned = Visitor::of(&console, "northwind", tenant(&world, "northwind"));
    assert!(owned.get("/assets").text.contains("SECRET-1"), "the pages are looked at by somebody who has signed in");
    for asked in addresses(&fleet, &owner, "SECRET-", &partner) {
        tells_nothing(&asked, &visitor.get(&asked));
    }
    for share in [&fleet.active, &fleet.pending, &fleet.invited] {
        let fields = |more: &[(&'static str, &'static str)]| {
            let mut fields = vec![("share", share.as_str()), ("owner", owner.as_str()), ("asset", "SECRET-1"), ("on", share.as_str())];
            fields.extend_from_slice(more);
            fields
        };
        for path in
            ["/assets/stop", "/assets/sharing", "/invitations/resend", "/invitations/cancel", "/incoming/accept", "/incoming/decline"]
        {
            let fields = fields(&[("target_asset", "Z-1"), ("profile", "all"), ("streams", "telemetry"), ("stream", "telemetry")]);
            let asked = fields.iter().fold(path.to_owned(), |asked, (_, value)| format!("{asked} {value}"));
            tells_nothing(&asked, &visitor.send(path, &fields));
        }
        for path in ["/incoming/leave", "/visibility/remove/review", "/visibility/remove", "/profiles/retire", "/tenants", "/health/skip"] {
            let fields = fields(&[("profile", "SECRET-P"), ("name", "SECRET-P"), ("pasted", "SECRET-1\nSECRET-2"), ("offset", "1")]);
            let asked = fields.iter().fold(path.to_owned(), |asked, (_, value)| format!("{asked} {value}"));
            tells_nothing(&asked, &visitor.send(path, &fields));
        }
    }
    for path in ["/partnerships/accept", "/partnerships/decline", "/partnerships/end"] {
        let page = visitor.send(path, &[("of", &owner), ("partner", &partner)]);
        tells_nothing(&format!("{path} {owner} {partner}"), &page);
    }
    assert_eq!(all(), before, "nothing has changed");
    assert_eq!(api(&console, "northwind", "/partnerships", None)["partnerships"].as_array().unwrap().len(), 1);
    // A form of one is none of another's, and without a session there is neither page nor form.
    let stolen = Visitor { csrf: owned.csrf.clone(), ..Visitor::of(&console, "zenith", tenant(&world, "zenith")) };
    assert_eq!(stolen.send("/partnerships/offer", &[("partner", "somebody")]).status, 403);
    let nobody = Visitor { cookie: String::new(), csrf: owned.csrf, base: console.address.clone() };
    assert!(nobody.get("/assets").text.contains("name=\"token\""));
    assert_eq!(nobody.send("/partnerships/offer", &[("partner", "somebody")]).status, 403);
}

/// On every page, for its owner, its target and the operator.
#[test]
fn what_others_typed_is_text_on_every_page() {
    let world = World::new(shared(), 1, "");
    world.make_control();
    let console = Console::start(&world, &["northwind", "acme"]);
    let fleet = Fleet::start(&world, &console, HOSTILE);
    let (owner, partner) = (world.tenant("northwind"), world.tenant("acme"));
    let mut shown = 0;
    for (who, party) in [("northwind", tenant(&world, "northwind")), ("acme", tenant(&world, "acme")), ("operator", Party::Operator)] {
        let visitor = Visitor::of(&console, who, party);
        for asked in addresses(&fleet, &owner, HOSTILE, &partner) {
            let page = visitor.get(&asked);
            assert!(page.status < 500, "{who} {asked}: {}", page.text);
            assert!(!page.text.contains("<img src=x") && !page.text.contains(r#"onerror="alert"#), "{who} {asked}: {}", page.text);
            shown += usize::from(page.text.contains("&lt;img src=x onerror="));
        }
    }
    assert!(shown > 40, "{shown} pages show it");
    let link = Visitor { cookie: String::new(), csrf: String::new(), base: console.address.clone() };
    assert!(!link.get(&format!("/invitation?code={}", written(HOSTILE))).text.contains("<img src=x"));
}
