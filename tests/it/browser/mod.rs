//! A real Chromium, driven over WebDriver's HTTP by a small client: what a person at a screen does, and what they see.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::broker::PATIENCE;
use super::instance::await_that;

/// The name of an element in WebDriver's JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window, or several tabs. It ends with its owner.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    http: ureq::Agent,
    _profile: tempfile::TempDir,
}

/// Whether tests are told that there is no browser here: else they fail where there is none.
pub(crate) fn is_without() -> bool {
    let is_without = std::env::var("SHARECAST_NO_BROWSER").is_ok_and(|value| value == "1");
    if is_without {
        eprintln!("not tried: SHARECAST_NO_BROWSER=1 says that there is no browser");
    }
    is_without
}

/// Leaves a test that a browser is needed for, where tests are told that there is none.
macro_rules! needs_browser {
    () => {
        if $crate::browser::is_without() {
            return;
        }
    };
}
pub(crate) use needs_browser;

/// How a browser is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    pub(crate) has_script: bool,
    pub(crate) is_dark: bool,
}

pub(crate) const DESK: Screen = Screen { width: 1280, has_script: true, is_dark: false };

impl Browser {
    /// Starts `chromedriver` on any free port, and a browser by it.
    pub(crate) fn start(screen: Screen) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver does not run ({error}): apt-get install chromium chromium-driver, or set SHARECAST_NO_BROWSER=1 to leave the browser's tests out"));
        // Its first line names the port that was asked for, a later one that which it has.
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| line.split("on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok().filter(|port| *port != 0))
            .expect("it names its port");
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--force-prefers-reduced-motion".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--lang=en-GB".to_owned(),
            format!("--window-size={},900", screen.width.max(500)),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if screen.is_dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let script = if screen.has_script { 1 } else { 2 };
        let mut options = json!({"args": arguments, "prefs": {"profile.managed_default_content_settings.javascript": script}});
        if screen.width < 500 {
            options["mobileEmulation"] = json!({"deviceMetrics": {"width": screen.width, "height": 740, "pixelRatio": 1.0}});
        }
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
        let mut browser = Self { driver, session: format!("http://127.0.0.1:{port}/session"), http: config.into(), _profile: profile };
        let asked = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"}}}});
        let answer = browser.ask("", Some(&asked));
        browser.session = format!("{}/{}", browser.session, answer["sessionId"].as_str().expect("a session"));
        browser
    }

    fn try_ask(&self, path: &str, body: Option<&Value>) -> Result<Value, Value> {
        let address = format!("{}{path}", self.session);
        let answer = match body {
            Some(body) => self.http.post(&address).header("content-type", "application/json").send(body.to_string()),
            None => self.http.get(&address).call(),
        };
        let text = answer.expect("the driver answers").body_mut().read_to_string().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        if value["value"]["error"].is_string() { Err(value["value"].clone()) } else { Ok(value["value"].clone()) }
    }

    fn ask(&self, path: &str, body: Option<&Value>) -> Value {
        self.try_ask(path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn open(&self, address: &str) {
        self.ask("/url", Some(&json!({"url": address})));
    }

    pub(crate) fn address(&self) -> String {
        self.ask("/url", None).as_str().unwrap().to_owned()
    }

    fn by_selector(selector: &str) -> Value {
        json!({"using": "css selector", "value": selector})
    }

    fn try_find(&self, selector: &str) -> Option<String> {
        let found = self.try_ask("/element", Some(&Self::by_selector(selector))).ok()?;
        Some(found[ELEMENT].as_str()?.to_owned())
    }

    fn find(&self, selector: &str) -> String {
        let mut found = None;
        await_that(selector, || {
            found = self.try_find(selector);
            found.is_some()
        });
        found.unwrap()
    }

    pub(crate) fn has(&self, selector: &str) -> bool {
        self.try_find(selector).is_some()
    }

    pub(crate) fn click(&self, selector: &str) {
        self.act(&Self::by_selector(selector), selector, |element| self.try_ask(&format!("/element/{element}/click"), Some(&json!({}))));
    }

    /// The first link or button with this text.
    pub(crate) fn press(&self, text: &str) {
        let path = format!("//*[self::a or self::button][contains(normalize-space(.), {text:?})]");
        let asked = json!({"using": "xpath", "value": path});
        self.act(&asked, text, |element| self.try_ask(&format!("/element/{element}/click"), Some(&json!({}))));
    }

    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        self.act(&Self::by_selector(selector), selector, |element| {
            self.try_ask(&format!("/element/{element}/clear"), Some(&json!({})))?;
            self.try_ask(&format!("/element/{element}/value"), Some(&json!({"text": text})))
        });
    }

    /// Finds an element and does something with it. A page that moves may have put another in its place in between: then that is found.
    fn act<T, E>(&self, asked: &Value, what: &str, with: impl Fn(&str) -> Result<T, E>) {
        await_that(what, || {
            let found = self.try_ask("/element", Some(asked)).ok();
            found.and_then(|found| with(found[ELEMENT].as_str()?).ok()).is_some()
        });
    }

    /// Keys to whatever has the focus.
    pub(crate) fn keys(&self, keys: &str) {
        let actions: Vec<Value> =
            keys.chars().flat_map(|key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]).collect();
        self.ask("/actions", Some(&json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]})));
    }

    /// What a person reads on the page.
    pub(crate) fn text(&self) -> String {
        let body = self.find("body");
        self.try_ask(&format!("/element/{body}/text"), None).ok().and_then(|text| Some(text.as_str()?.to_owned())).unwrap_or_default()
    }

    pub(crate) fn await_text(&self, text: &str) {
        await_that(&format!("{text:?} on {}:\n{}", self.address(), self.text()), || self.text().contains(text));
    }

    /// Runs a script of the test, not of the page.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.ask("/execute/sync", Some(&json!({"script": script, "args": []})))
    }

    pub(crate) fn run_async(&self, script: &str) -> Value {
        self.ask("/execute/async", Some(&json!({"script": script, "args": []})))
    }

    pub(crate) fn screenshot(&self, to: &Path) {
        use base64::Engine;
        let png = self.ask("/screenshot", None);
        let png = base64::engine::general_purpose::STANDARD.decode(png.as_str().unwrap()).unwrap();
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, png).unwrap();
    }

    /// What the browser has to say of the pages since it was asked last.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let lines = self.ask("/se/log", Some(&json!({"type": "browser"})));
        lines.as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    /// A cookie of the page's site, as the browser keeps it.
    pub(crate) fn cookie(&self, name: &str) -> Value {
        self.ask(&format!("/cookie/{name}"), None)
    }

    /// Forgets every cookie of the page's site.
    pub(crate) fn forget(&self) {
        self.http.delete(format!("{}/cookie", self.session)).call().expect("the driver answers");
    }

    pub(crate) fn new_tab(&self) {
        let tab = self.ask("/window/new", Some(&json!({"type": "tab"})));
        self.show_tab(tab["handle"].as_str().unwrap());
    }

    pub(crate) fn tabs(&self) -> Vec<String> {
        self.ask("/window/handles", None).as_array().unwrap().iter().map(|tab| tab.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn show_tab(&self, tab: &str) {
        self.ask("/window", Some(&json!({"handle": tab})));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.http.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
