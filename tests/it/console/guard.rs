//! Forms of others, sessions, what a browser is allowed, and who may only look.

use sharecast::access::session::{Session, SessionKey};
use sharecast::access::{Caller, Party, Role, TokenHash};
use sharecast::clock::{Clock, SystemClock};
use sharecast::id::TenantId;
use sharecast::time::TimestampMs;

use super::super::broker::{shared, unique};
use super::super::browser::{Browser, DESK, needs_browser};
use super::super::fixture::World;
use super::{Console, SECRET, offered};

/// Forms of nobody and of another session are refused, and a viewer changes nothing.
#[test]
fn a_form_without_its_token_writes_nothing() {
    needs_browser!();
    let world = World::new(shared(), 1, "");
    world.make_control();
    let share = unique("share");
    offered(&world, &share, "");
    let console = Console::start(&world, &["northwind", "acme"]);
    let browser = Browser::start(DESK);
    console.sign_in(&browser, "northwind");
    browser.open(&console.at(&format!("/assets/stop?asset=NW-7&share={share}")));
    browser.run("document.querySelector('main [name=csrf]').value = 'other'");
    browser.press("Take back the offer of NW-7");
    browser.await_text("That form is no longer good");
    browser.open(&console.at("/assets/sharing?asset=NW-7"));
    browser.await_text("Pending");
    let token = browser.run("return document.querySelector('[name=csrf]').value");
    // Of one session it is good, of another it is not.
    console.sign_in(&browser, "northwind");
    browser.open(&console.at(&format!("/assets/stop?asset=NW-7&share={share}")));
    browser.run(&format!("document.querySelector('main [name=csrf]').value = {token}"));
    browser.press("Take back the offer of NW-7");
    browser.await_text("That form is no longer good");

    console.sign_in(&browser, "viewer");
    browser.open(&console.at("/assets/sharing?asset=NW-7"));
    browser.await_text("Pending");
    assert!(!browser.text().contains("Stop"), "{}", browser.text());
    browser.run("document.querySelector('form[action=\"/sign-out\"]').requestSubmit()");
    browser.await_text("Whoever runs this installation gives you one");
    browser.open(&console.at("/assets/sharing?asset=NW-7"));
    browser.await_text("Sign in");
}

/// No script reads the session, no frame holds a page, and nothing that is written into a page runs.
#[test]
fn the_session_and_the_pages_are_guarded() {
    needs_browser!();
    let world = World::new(shared(), 1, "");
    world.make_control();
    let console = Console::start(&world, &["northwind"]);
    let answer = ureq::get(console.at("/sign-in")).call().unwrap();
    let header = |name: &str| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
    let policy = header("content-security-policy");
    assert!(!policy.contains("unsafe-") && policy.starts_with("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
    assert_eq!((header("referrer-policy").as_str(), header("x-content-type-options").as_str()), ("no-referrer", "nosniff"));

    let browser = Browser::start(DESK);
    console.sign_in(&browser, "northwind");
    let cookie = browser.cookie("sharecast_session");
    assert_eq!((&cookie["httpOnly"], &cookie["sameSite"], &cookie["path"]), (&true.into(), &"Strict".into(), &"/".into()), "{cookie}");
    assert!(!cookie["value"].as_str().unwrap().contains("token-northwind"), "{cookie}");
    assert_eq!(browser.run("return document.cookie"), "");
    let ran = "const script = document.createElement('script'); script.textContent = 'window.ran = true'; document.body.append(script);
               return window.ran === true";
    assert_eq!(browser.run(ran), false, "a script that was written into the page ran");
    // A page of another origin gets nothing by the session.
    let elsewhere = console.address.replace("127.0.0.1", "localhost");
    browser.open(&format!("{elsewhere}/sign-in"));
    let read = format!(
        "const done = arguments[arguments.length - 1];
         fetch('{}', {{ credentials: 'include', mode: 'cors' }}).then(() => done('read'), () => done('refused'))",
        console.at("/assets")
    );
    assert_eq!(browser.run_async(&read), "refused");
}

/// A proxy that asks for a password of its own sends it on with each request: who signed in here stays signed in, and nobody else does.
#[test]
fn the_password_of_a_proxy_keeps_nobody_out() {
    let world = World::new(shared(), 1, "");
    world.make_control();
    let console = Console::start(&world, &["northwind"]);
    let session = Session {
        caller: Caller {
            who: Party::Tenant(TenantId::parse(&world.tenant("northwind")).unwrap()),
            role: Role::Admin,
            name: Some("Ann".into()),
        },
        holder: Some(TokenHash::of("token-northwind")),
        expires: TimestampMs(SystemClock.wall().0 + 60_000),
        nonce: "0123456789abcdefghijklmnop".to_owned(),
    };
    let cookie = format!("sharecast_session={}", SessionKey::of(SECRET.as_bytes()).seal(&session));
    let page = |authorization: &str, cookie: &str| {
        let request = ureq::get(console.at("/partnerships")).header("authorization", authorization).header("cookie", cookie);
        request.call().unwrap().body_mut().read_to_string().unwrap()
    };
    let is_in = |page: String| page.contains("Partnerships") && !page.contains("name=\"token\"");
    assert!(is_in(page("Basic YW5uOnNlY3JldA==", &cookie)));
    assert!(is_in(page("Bearer token-northwind", "")));
    assert!(!is_in(page("Basic YW5uOnNlY3JldA==", "")), "a password is no token");
    assert!(!is_in(page("Basic YW5uOnNlY3JldA==", &cookie[..cookie.len() - 2])), "a cookie of nobody");
    assert!(!is_in(page("Bearer token-of-nobody", &cookie)), "a token that does not count");
    // The API knows tokens alone.
    let api = ureq::get(console.at("/api/v1/tenants")).header("authorization", "Basic YW5uOnNlY3JldA==").header("cookie", &cookie);
    let Err(ureq::Error::StatusCode(status)) = api.call() else { panic!("the API lets in whoever has a cookie") };
    assert_eq!(status, 401);
}
