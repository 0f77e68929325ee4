//! What the API and the console cost at a million shares: each list, search, card and page, asked through the router as one of 200
//! tenants, as one that owns half of all, as one that receives a quarter of all, and as the operator.
//!
//! `cargo bench --bench serve -- [SHARES] [REQUESTS]`: an asset a share and some that nobody is given, all named by the directory. A route
//! is asked REQUESTS times by each, in this process and without a socket. Nothing is read from Kafka: pages that show records are not asked. Latencies are of the wall clock; requests a second are
//! of the thread's time on a core.

mod world;

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{ACCEPT_ENCODING, AUTHORIZATION, COOKIE, HOST};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use sharecast::access::session::{Session, SessionKey};
use sharecast::access::{Caller, Party, Role, TokenHash};
use sharecast::clock::{Clock, SystemClock};
use sharecast::config::{Config, ConfigEnv};
use sharecast::console;
use sharecast::id::TenantId;
use sharecast::serve::{Serve, rest};
use sharecast::share::table::ShareTable;
use sharecast::time::TimestampMs;
use world::{ControlFold, Random, TENANTS, busy_ns, resident_bytes, source, status_kb, tenant};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// It owns half of all shares.
const LARGE_OWNER: usize = 0;
/// A quarter of all shares is for it.
const LARGE_TARGET: usize = 1;
/// Of so many assets nobody is given anything, for a hundred that are shared.
const UNSHARED_OF_HUNDRED: usize = 20;
/// Between two events.
const STEP_MS: i64 = 3_000;
/// The goals.
const LONGEST: Duration = Duration::from_millis(100);
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let shares = numbers.first().copied().unwrap_or(1_000_000);
    let requests = numbers.get(1).copied().unwrap_or(200);
    let dir = tempfile::tempdir().expect("a directory");
    let tokens = dir.path().join("tokens.yaml");
    std::fs::write(&tokens, tokens_of()).expect("a file");
    let metrics = sharecast::metrics::install().expect("one recorder");
    let config = |directory: &str| {
        let text = format!(
            r#"
streams:
  telemetry: {{ topic: telemetry, tenant: $.tenant, asset: $.asset }}
  details: {{ mode: upsert, topic: details, key_format: "{{tenant}}/{{asset}}", tenant: key.tenant, asset: key.asset }}
partnerships: open
kafka: {{ bootstrap: "127.0.0.1:1" }}
api:
  secret: {SECRET}
  auth: {{ mode: tokens, tokens: {} }}
  limits: {{ requests: 1000000 }}
{directory}"#,
            tokens.display()
        );
        Arc::new(Config::load(&[("serve.yaml", &text)], &ConfigEnv::none()).unwrap_or_else(|errors| panic!("{errors}")))
    };
    let named = config("  directory: { stream: details, name: $.name, reference: $.plate }\n");
    let before = resident_bytes();
    let mut fleet = Fleet { log: ControlFold::new(ShareTable::new(named.fold_rules()), STEP_MS), shares };
    fleet.fill();
    println!("table: {} B a share", (resident_bytes() - before) / shares);

    let serve = |config: &Arc<Config>| {
        let secret = config.api.secret.clone().expect("it is written");
        Serve::of_table(Arc::clone(config), secret, Arc::new(SystemClock), metrics.clone(), fleet.log.table.clone()).expect("a server")
    };
    let before = resident_bytes();
    let with_names = serve(&named);
    println!("what lists are made of: {} B a share", (resident_bytes() - before) / shares);
    report_directory(&with_names, shares);
    let mut visitors = Visitors::new(shares, requests);
    println!("\nwith a directory");
    visitors.ask_all(&with_names, &ROUTES);
    println!("\nwithout a directory");
    visitors.ask_all(&serve(&config("")), &ROUTES[..5]);
    visitors.report_rates();
    println!("\nsearches for what each could have and none has");
    visitors.ask_all(&with_names, &WIDE);
    visitors.report();
}

/// Names every asset, as a topic does: in no order.
fn report_directory(serve: &Serve, shares: usize) {
    let assets = shares + shares * UNSHARED_OF_HUNDRED / 100;
    let (before, began) = (resident_bytes(), busy_ns());
    let mut texts = 0;
    let mut words = [String::new(), String::new(), String::new()];
    // A step that has no divisor with the count visits each once.
    let step = (assets * 7 / 11..).find(|step| divisor(*step, assets) == 1).expect("there is one");
    for at in 0..assets {
        let number = at * step % assets;
        let [asset, name, reference] = &mut words;
        [&mut *asset, &mut *name, &mut *reference].into_iter().for_each(String::clear);
        let filled = write!(asset, "asset-{number:010}")
            .and_then(|()| write!(name, "Excavator {} t", number % 90))
            .and_then(|()| write!(reference, "B-HX {number}"));
        filled.expect("a text takes all");
        texts += asset.len() + name.len() + reference.len();
        serve.name_asset(&tenant(owner_of(number)), asset, Some(name), Some(reference));
    }
    let bytes = (resident_bytes() - before).saturating_sub(texts) / assets;
    println!(
        "directory: {assets} assets, {bytes} B each beside {} B of text, {} ns each",
        texts / assets,
        (busy_ns() - began) / assets as u64
    );
}

fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Operator,
    Owner,
    Target,
    Ordinary,
}

const WHO: [(Who, &str); 4] =
    [(Who::Ordinary, "one of 200"), (Who::Owner, "owns half"), (Who::Target, "gets a quarter"), (Who::Operator, "operator")];

/// An address, for who asks and a share of theirs.
type Address = fn(&Subject) -> String;

/// What an address is made of.
struct Subject {
    who: Who,
    owner: String,
    asset: String,
    share: String,
    number: usize,
}

impl Subject {
    /// Named by the operator alone.
    fn owner(&self, sign: char) -> String {
        if self.who == Who::Operator { format!("{sign}owner={}", self.owner) } else { String::new() }
    }
}

/// The first five do not look the same without a directory.
const ROUTES: [(&str, Address); 39] = [
    ("console fleet", |s| format!("/assets{}", s.owner('?'))),
    ("console fleet, a later page", |s| format!("/assets?after={}/{}{}", s.owner, s.asset, s.owner('&'))),
    ("console fleet, search", |s| format!("/assets?q=t-00000{}{}", s.number % 10_000, s.owner('&'))),
    ("console share visibility", |s| format!("/visibility{}", s.owner('?'))),
    ("assets", |s| format!("/api/v1/assets{}", s.owner('?'))),
    ("console fleet, search, no match", |s| format!("/assets?q=no-such-machine{}", s.owner('&'))),
    ("console asset sharing", |s| format!("/assets/sharing?asset={}{}", s.asset, s.owner('&'))),
    ("console asset invitations", |s| format!("/assets/invitations?asset={}{}", s.asset, s.owner('&'))),
    ("console stop", |s| format!("/assets/stop?asset={}&share={}{}", s.asset, s.share, s.owner('&'))),
    ("console invitations", |_| "/invitations".to_owned()),
    ("console invitations, expired", |_| "/invitations?status=expired".to_owned()),
    ("console invitations, search", |s| format!("/invitations?q=site{}", s.number)),
    ("console invite", |s| format!("/invitations/invite?asset={}{}", s.asset, s.owner('&'))),
    ("console remove visibility", |s| format!("/visibility/remove?to={}{}", tenant(target_of(s.number)), s.owner('&'))),
    ("console incoming", |_| "/incoming".to_owned()),
    ("console incoming, over", |_| "/incoming?over=1".to_owned()),
    ("console partnerships", |_| "/partnerships".to_owned()),
    ("console invitation link", |_| "/invitation?code=aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned()),
    ("console profiles", |_| "/profiles".to_owned()),
    ("console tenants", |_| "/tenants".to_owned()),
    ("console health", |_| "/health".to_owned()),
    ("shares", |_| "/api/v1/shares".to_owned()),
    ("shares, 1000 a page", |_| "/api/v1/shares?limit=1000".to_owned()),
    ("shares, by state", |_| "/api/v1/shares?state=left".to_owned()),
    ("shares, of an asset", |s| format!("/api/v1/shares?asset={}", s.asset)),
    ("shares, of no asset", |_| "/api/v1/shares?asset=none".to_owned()),
    ("shares, to a target", |s| format!("/api/v1/shares?target={}", tenant(s.number % TENANTS))),
    ("shares, search", |s| format!("/api/v1/shares?q=ET-00000{}", s.number)),
    ("shares, search, no match", |_| "/api/v1/shares?q=no-such-machine".to_owned()),
    ("share", |s| format!("/api/v1/shares/{}", s.share)),
    ("stats", |_| "/api/v1/stats".to_owned()),
    ("stats, of a target", |s| format!("/api/v1/stats?target={}", tenant(s.number % TENANTS))),
    ("invitations", |_| "/api/v1/invitations".to_owned()),
    ("invitation stats", |_| "/api/v1/invitations/stats".to_owned()),
    ("partnerships", |_| "/api/v1/partnerships".to_owned()),
    ("tenants", |_| "/api/v1/tenants".to_owned()),
    ("profiles", |_| "/api/v1/profiles".to_owned()),
    ("assets, search", |s| format!("/api/v1/assets?q=hx%20{}{}", s.number, s.owner('&'))),
    ("assets, search, no match", |s| format!("/api/v1/assets?q=no-such-machine{}", s.owner('&'))),
];

/// Each part of the text is nearly everywhere.
const WIDE: [(&str, Address); 4] = [
    ("shares", |_| "/api/v1/shares?q=00000000000000".to_owned()),
    ("stats", |_| "/api/v1/stats?q=00000000000000".to_owned()),
    ("assets", |s| format!("/api/v1/assets?q=00000000000000{}", s.owner('&'))),
    ("console fleet", |s| format!("/assets?q=00000000000000{}", s.owner('&'))),
];

/// People and programs, one after the other.
struct Visitors {
    shares: usize,
    requests: usize,
    random: Random,
    runtime: tokio::runtime::Runtime,
    /// What was too slow.
    missed: Vec<String>,
    /// What each route took on a core for who asks it, in nanoseconds.
    costs: Vec<(Who, u64)>,
}

impl Visitors {
    fn new(shares: usize, requests: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { shares, requests, random: Random(3), runtime, missed: Vec::new(), costs: Vec::new() }
    }

    fn ask_all(&mut self, serve: &Arc<Serve>, routes: &[(&str, Address)]) {
        let service = TowerToHyperService::new(rest::router(Arc::clone(serve)).merge(console::router(Arc::clone(serve))));
        println!("{:<34}{:<16}{:>9}{:>9}{:>9}{:>8}{:>9}", "", "", "p50 ms", "p99 ms", "core ms", "status", "bytes");
        for (name, address) in routes {
            for (who, words) in WHO {
                self.ask(&service, name, *address, who, words);
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "it tells how long a request takes")]
    fn ask(&mut self, service: &TowerToHyperService<axum::Router>, name: &str, address: Address, who: Who, words: &str) {
        let (mut took, mut busy, mut last) = (Vec::new(), 0, (0, 0));
        let until = Instant::now() + Duration::from_secs(20);
        while took.len() < self.requests && (took.len() < 5 || Instant::now() < until) {
            let subject = self.subject(who);
            let request = request(&address(&subject), &subject);
            let (began, was_busy) = (Instant::now(), busy_ns());
            let (status, bytes) = self.runtime.block_on(async {
                let response = service.call(request).await.unwrap_or_else(|never| match never {});
                let status = response.status().as_u16();
                (status, axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body"))
            });
            took.push(began.elapsed());
            busy += busy_ns() - was_busy;
            last = (status, black_box(bytes).len());
        }
        took.sort_unstable();
        let (p50, p99) = (took[took.len() / 2], took[(took.len() * 99).div_ceil(100) - 1]);
        let core = busy / took.len() as u64;
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let (status, bytes) = last;
        println!("{name:<34}{words:<16}{:>9.2}{:>9.2}{:>9.2}{status:>8}{bytes:>9}", millis(p50), millis(p99), core as f64 / 1e6);
        self.costs.push((who, core));
        if p99 > LONGEST {
            self.missed.push(format!("{name}, {words}: p99 {:.0} ms", millis(p99)));
        }
    }

    /// Somebody of this kind, and a share of theirs.
    fn subject(&mut self, who: Who) -> Subject {
        let is_own = |number: usize| match who {
            Who::Operator => true,
            Who::Owner => owner_of(number) == LARGE_OWNER,
            Who::Target => owner_of(number) == LARGE_TARGET,
            Who::Ordinary => owner_of(number) > LARGE_TARGET,
        };
        let mut number = self.random.below(self.shares);
        while !is_own(number) {
            number = self.random.below(self.shares);
        }
        Subject { who, owner: tenant(owner_of(number)), asset: asset(number), share: share(number), number }
    }

    fn report_rates(&self) {
        println!();
        for (who, words) in WHO {
            let own: Vec<u64> = self.costs.iter().filter(|(of, _)| *of == who).map(|(_, cost)| *cost).collect();
            let mean = own.iter().sum::<u64>() as f64 / own.len() as f64;
            println!("every route in turn, {words}: {:.0} requests/s on a core", 1e9 / mean);
        }
    }

    fn report(&self) {
        println!();
        println!("peak {} MB", status_kb("VmHWM") / 1024);
        println!("over {} ms: {}", LONGEST.as_millis(), if self.missed.is_empty() { "none" } else { "" });
        self.missed.iter().for_each(|missed| println!("  {missed}"));
    }
}

fn request(address: &str, subject: &Subject) -> Request<Body> {
    let builder = Request::builder().uri(address).header(HOST, "localhost").header(ACCEPT_ENCODING, "gzip");
    let who = if subject.who == Who::Operator { "operator".to_owned() } else { subject.owner.clone() };
    let builder = if address.starts_with("/api") {
        builder.header(AUTHORIZATION, format!("Bearer {who}"))
    } else {
        let party = match TenantId::parse(&who) {
            Ok(tenant) if subject.who != Who::Operator => Party::Tenant(tenant),
            _ => Party::Operator,
        };
        let session = Session {
            caller: Caller { who: party, role: Role::Admin, name: Some("Ann".into()) },
            holder: Some(TokenHash::of(&who)),
            expires: TimestampMs(SystemClock.wall().0 + 3_600_000),
            nonce: "0123456789abcdefghijklmnop".to_owned(),
        };
        builder.header(COOKIE, format!("sharecast_session={}", SessionKey::of(SECRET.as_bytes()).seal(&session)))
    };
    builder.body(Body::empty()).expect("a request")
}

fn tokens_of() -> String {
    let line = |token: &str, who: &str| format!("  - {{ sha256: {}, {who}, role: admin, name: Ann }}\n", TokenHash::of(token));
    let mut all = format!("tokens:\n{}", line("operator", "operator: true"));
    (0..TENANTS).map(tenant).for_each(|tenant| all += &line(&tenant, &format!("tenant: {tenant}")));
    all
}

/// One in ten.
fn is_invitation(number: usize) -> bool {
    matches!(number % 20, 3 | 6)
}

/// Half of all is the large owner's.
fn owner_of(number: usize) -> usize {
    if number.is_multiple_of(2) { LARGE_OWNER } else { 1 + number / 2 % (TENANTS - 1) }
}

/// A quarter of all is for the large target.
fn target_of(number: usize) -> usize {
    let target = if number % 4 < 2 && owner_of(number) != LARGE_TARGET { LARGE_TARGET } else { (number / 7) % TENANTS };
    if target == owner_of(number) { (target + 1) % TENANTS } else { target }
}

fn asset(number: usize) -> String {
    format!("asset-{number:010}")
}

fn share(number: usize) -> String {
    format!("share-{number:010}")
}

/// The table that is filled.
struct Fleet {
    log: ControlFold,
    shares: usize,
}

impl Fleet {
    fn fill(&mut self) {
        for owner in 0..TENANTS {
            let data = r#"{"profile":"hire","spec":{"telemetry":{"include":["$.v","$.ts"]},"details":{"include":["$.name"]}}}"#;
            self.send(&tenant(owner), "profile.published", data);
        }
        for owner in 0..TENANTS {
            for target in [LARGE_OWNER, LARGE_TARGET, (owner + 1) % TENANTS, (owner + 7) % TENANTS] {
                if owner != target {
                    let data = format!(r#"{{"tenants":["{}","{}"],"auto_accept":true}}"#, tenant(owner), tenant(target));
                    self.event("/operator", "partnership.established", &data);
                }
            }
        }
        for number in 0..self.shares {
            self.offer(number);
        }
    }

    /// One in ten is an invitation; some wait for their target, some are over.
    fn offer(&mut self, number: usize) {
        let (owner, target, share) = (tenant(owner_of(number)), tenant(target_of(number)), share(number));
        let who = if is_invitation(number) {
            format!(r#""invitee":"site{number}@bygg.example","code_hash":"{}""#, TokenHash::of(&share))
        } else {
            format!(r#""target_tenant":"{target}","target_asset":"their-{number:010}""#)
        };
        let data = format!(
            r#"{{"share":"{share}","asset":"{}",{who},"streams":["telemetry","details"],"profile":"hire","label":"Excavator {} t","ends":"2{:03}-06-01T00:00:00Z"}}"#,
            asset(number),
            number % 90,
            100 + number % 800
        );
        self.send(&owner, "share.offered", &data);
        let is_pending = is_invitation(number);
        match number % 100 {
            17 if !is_pending => self.event(&source(&owner), "share.revoked", &format!(r#"{{"share":"{share}"}}"#)),
            23 | 43 => self.event(&source(&owner), "share.cancelled", &format!(r#"{{"share":"{share}"}}"#)),
            // No partner: it waits for the target.
            _ if !is_pending && number % 20 > 4 => {
                self.event(&source(&target), "share.accepted", &format!(r#"{{"share":"{share}"}}"#));
            }
            _ => {}
        }
    }

    fn send(&mut self, tenant: &str, kind: &str, data: &str) {
        self.log.send(&source(tenant), kind, data);
    }

    /// One that may come to nothing: the share may be accepted already.
    fn event(&mut self, source: &str, kind: &str, data: &str) {
        black_box(self.log.try_event(source, kind, data));
    }
}
