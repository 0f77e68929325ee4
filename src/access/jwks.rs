//! Where an identity provider's keys come from: a file, or a URL that is asked again in time and when a token names a key that is not known.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tracing::warn;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use crate::access::Caller;
use crate::access::jwt::{JwksError, JwtKeys, JwtRefusal, JwtRules};
use crate::clock::{BootTime, Clock};
use crate::config::JwtConfig;

/// How old keys may become before they are asked for again.
const REFRESH: Duration = Duration::from_secs(600);
/// Tokens with keys that nobody knows ask no more often than this, whoever sends them.
const UNKNOWN_KEY: Duration = Duration::from_secs(30);
/// The longest wait for the provider.
const ANSWER: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const MAX_JWKS: u64 = 1 << 20;

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum JwksSourceError {
    /// The file or the answer is no set of keys.
    #[error("{from}: {error}")]
    Keys {
        /// Where they are from.
        from: String,
        /// What is wrong.
        error: JwksError,
    },
    /// They cannot be read or fetched.
    #[error("{from}: {why}")]
    Unreachable {
        /// Where they should be.
        from: String,
        /// Why.
        why: String,
    },
    /// Who is on the way could put keys of their own in place.
    #[error("{0}: keys are taken from https:// or from a file alone; http:// only from this machine")]
    Insecure(String),
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum JwksPlace {
    File(String),
    Url(String),
}

impl JwksPlace {
    fn of(text: &str) -> Result<Self, JwksSourceError> {
        if text.starts_with("https://") {
            return Ok(Self::Url(text.to_owned()));
        }
        let Some(rest) = text.strip_prefix("http://") else { return Ok(Self::File(text.to_owned())) };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        let is_local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if is_local { Ok(Self::Url(text.to_owned())) } else { Err(JwksSourceError::Insecure(text.to_owned())) }
    }

    /// Waits for the provider, for a bounded time.
    fn read(&self) -> Result<JwtKeys, JwksSourceError> {
        let (from, text) = match self {
            Self::File(path) => (path, std::fs::read_to_string(path).map_err(|error| error.to_string())),
            Self::Url(url) => (url, fetch(url)),
        };
        let text = text.map_err(|why| JwksSourceError::Unreachable { from: from.clone(), why })?;
        JwtKeys::parse(&text).map_err(|error| JwksSourceError::Keys { from: from.clone(), error })
    }
}

fn fetch(url: &str) -> Result<String, String> {
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build();
    // What a redirection leads to was not written by whoever configures.
    let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER)).max_redirects(0).tls_config(tls).build();
    let mut answer = ureq::Agent::new_with_config(config).get(url).call().map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("the answer is {}", answer.status()));
    }
    answer.body_mut().with_config().limit(MAX_JWKS).read_to_string().map_err(|error| error.to_string())
}

/// Knows callers by the tokens that a provider has signed.
pub struct Jwt {
    rules: JwtRules,
    place: JwksPlace,
    keys: ArcSwap<JwtKeys>,
    /// When keys were asked for last.
    asked: Mutex<BootTime>,
    clock: Arc<dyn Clock>,
}

impl Jwt {
    /// Reads the keys for the first time. Blocks.
    ///
    /// # Errors
    /// They cannot be had.
    pub fn open(config: &JwtConfig, clock: Arc<dyn Clock>) -> Result<Self, JwksSourceError> {
        let place = JwksPlace::of(&config.jwks)?;
        let keys = ArcSwap::from_pointee(place.read()?);
        Ok(Self { rules: JwtRules::of(config), place, keys, asked: Mutex::new(clock.boot()), clock })
    }

    /// Who holds the token, by the keys that are known now. Never blocks.
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn caller(&self, token: &str) -> Result<Caller, JwtRefusal> {
        self.rules.caller(token, &self.keys.load(), self.clock.wall())
    }

    /// Asks for the keys again if that is due: after ten minutes, or `after_unknown` after half of one. Tells whether they were asked
    /// for. Blocks for some seconds at most; keys that cannot be had leave those that are known.
    pub fn refresh(&self, after_unknown: bool) -> bool {
        let wait = if after_unknown { UNKNOWN_KEY } else { REFRESH };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.clock.boot().since(*asked) < wait {
            return false;
        }
        *asked = self.clock.boot();
        match self.place.read() {
            Ok(keys) => self.keys.store(Arc::new(keys)),
            Err(error) => warn!(%error, "the keys that sign tokens stay as they were"),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use super::*;
    use crate::time::TimestampMs;

    /// A clock that a test moves.
    #[derive(Default)]
    struct HandClock(AtomicU64);

    impl Clock for HandClock {
        fn wall(&self) -> TimestampMs {
            TimestampMs(0)
        }

        fn boot(&self) -> BootTime {
            BootTime(Duration::from_secs(self.0.load(Ordering::Relaxed)))
        }

        fn sleep(&self, _: Duration) {}
    }

    fn config(jwks: &str) -> JwtConfig {
        JwtConfig {
            issuer: "i".to_owned(),
            audience: "a".to_owned(),
            jwks: jwks.to_owned(),
            algorithms: vec!["RS256".to_owned()],
            tenant_claim: "tenant".to_owned(),
            role_claim: "role".to_owned(),
        }
    }

    /// Answers every request with this, and counts them.
    fn provider(answer: &'static str) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&count);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut buffer = [0; 1024];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    let read = stream.read(&mut buffer).unwrap();
                    if read == 0 {
                        break;
                    }
                    request.extend_from_slice(&buffer[..read]);
                }
                counting.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        (url, count)
    }

    #[test]
    fn keys_are_asked_for_again_but_not_by_every_token() {
        const BODY: &str = include_str!("testdata/jwks.json");
        let answer: &'static str =
            Box::leak(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{BODY}", BODY.len()).into_boxed_str());
        let (url, count) = provider(answer);
        let clock = Arc::new(HandClock::default());
        let jwt = Jwt::open(&config(&url), Arc::<HandClock>::clone(&clock)).unwrap();
        let asked = |at: u64, after_unknown: bool| {
            clock.0.store(at, Ordering::Relaxed);
            jwt.refresh(after_unknown);
            count.load(Ordering::SeqCst)
        };
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert_eq!((asked(29, true), asked(30, true), asked(31, true)), (1, 2, 2));
        assert_eq!((asked(629, false), asked(630, false)), (2, 3));
    }

    #[test]
    fn what_is_no_safe_source_of_keys_is_refused() {
        for url in ["http://id.example.com/jwks", "http://10.0.0.1/jwks", "http://127.0.0.1.example.com/", "http://user@127.0.0.1:1@e.com/"]
        {
            assert!(matches!(JwksPlace::of(url), Err(JwksSourceError::Insecure(_))), "{url}");
        }
        for url in ["http://127.0.0.1:80/jwks", "http://[::1]:80/jwks", "http://localhost/jwks", "https://id.example.com/jwks"] {
            assert_eq!(JwksPlace::of(url).unwrap(), JwksPlace::Url(url.to_owned()));
        }
        let (moved, _) = provider("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let clock: Arc<dyn Clock> = Arc::new(HandClock::default());
        assert!(matches!(Jwt::open(&config(&moved), Arc::clone(&clock)), Err(JwksSourceError::Unreachable { .. })));
        assert!(matches!(Jwt::open(&config("/nowhere"), clock), Err(JwksSourceError::Unreachable { .. })));
    }
}
