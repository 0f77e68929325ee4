//! A small SMTP server that keeps what it is given, and does what it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use super::super::broker::PATIENCE;

/// Certificate and key of `localhost`, signed by itself.
pub(crate) const CERTIFICATE: &str = include_str!("tls/cert.pem");
const KEY: &str = include_str!("tls/key.pem");

/// A mail that was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) to: String,
    pub(crate) content: String,
    /// Whether it came over TLS.
    pub(crate) is_private: bool,
    /// What AUTH has said.
    pub(crate) login: Option<String>,
}

impl Given {
    /// A header of it.
    pub(crate) fn header(&self, name: &str) -> String {
        let begin = format!("{name}: ");
        let head = self.content.split("\r\n\r\n").next().unwrap();
        head.lines().find_map(|line| line.strip_prefix(&begin)).unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
    }

    /// The code in its link. A body with a long line is quoted-printable.
    pub(crate) fn code(&self) -> String {
        let content = self.content.replace("=\r\n", "").replace("=3D", "=");
        content.split("/invitation?code=").nth(1).expect("a link").chars().take(26).collect()
    }
}

/// What the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Takes,
    /// Keeps a mail and never answers.
    HangsAfterData,
}

#[derive(Default)]
struct Kept {
    mails: Mutex<Vec<Given>>,
    /// Recipients that were refused, each time.
    refused: Mutex<Vec<String>>,
    told: Condvar,
}

/// The server; it serves until the process ends.
pub(crate) struct Sink {
    pub(crate) port: u16,
    kept: Arc<Kept>,
    manner: Arc<Mutex<Manner>>,
}

impl Sink {
    pub(crate) fn start(has_tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (kept, manner) = (Arc::<Kept>::default(), Arc::new(Mutex::new(Manner::Takes)));
        let (keeping, behaving) = (Arc::clone(&kept), Arc::clone(&manner));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, manner) = (Arc::clone(&keeping), Arc::clone(&behaving));
                std::thread::spawn(move || converse(stream, has_tls, &kept, &manner));
            }
        });
        Self { port, kept, manner }
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// All that were given, once there are so many.
    pub(crate) fn await_mails(&self, count: usize) -> Vec<Given> {
        let mails = self.kept.mails.lock().unwrap();
        let (mails, _) = self.kept.told.wait_timeout_while(mails, PATIENCE, |mails| mails.len() < count).unwrap();
        assert_eq!(mails.len(), count, "{mails:#?}");
        mails.clone()
    }

    pub(crate) fn refused(&self, to: &str) -> usize {
        self.kept.refused.lock().unwrap().iter().filter(|refused| *refused == to).count()
    }
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// Ends where the client does.
fn converse(stream: TcpStream, has_tls: bool, kept: &Kept, manner: &Mutex<Manner>) {
    let mut wire = BufReader::new(Box::new(stream.try_clone().unwrap()) as Box<dyn Wire>);
    let (mut is_private, mut to, mut login) = (false, String::new(), None);
    let say = |wire: &mut BufReader<Box<dyn Wire>>, line: &str| wire.get_mut().write_all(format!("{line}\r\n").as_bytes()).is_ok();
    say(&mut wire, "220 sink");
    loop {
        let mut line = String::new();
        if wire.read_line(&mut line).is_err() || line.is_empty() {
            return;
        }
        let verb = line.split([' ', '\r']).next().unwrap_or_default().to_uppercase();
        let is_heard = match verb.as_str() {
            "EHLO" if has_tls && !is_private => say(&mut wire, "250-sink\r\n250-8BITMIME\r\n250 STARTTLS"),
            "EHLO" => say(&mut wire, "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN"),
            "STARTTLS" => {
                say(&mut wire, "220 go on");
                let identity = native_tls::Identity::from_pkcs8(CERTIFICATE.as_bytes(), KEY.as_bytes()).unwrap();
                let acceptor = native_tls::TlsAcceptor::new(identity).unwrap();
                let Ok(private) = acceptor.accept(stream.try_clone().unwrap()) else { return };
                is_private = true;
                wire = BufReader::new(Box::new(private));
                true
            }
            "AUTH" => {
                login = line.split_whitespace().nth(2).map(str::to_owned);
                say(&mut wire, "235 welcome")
            }
            "MAIL" => say(&mut wire, "250 yes"),
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                let mut refused = kept.refused.lock().unwrap();
                let is_first = !refused.contains(&to);
                let answer = match to.split('@').next() {
                    Some("nobody") => "550 5.1.1 no such user",
                    Some("later") if is_first => "450 4.2.0 greylisted",
                    _ => "250 yes",
                };
                if !answer.starts_with('2') {
                    refused.push(to.clone());
                }
                drop(refused);
                say(&mut wire, answer)
            }
            "DATA" => {
                say(&mut wire, "354 go on");
                let mut content = String::new();
                while !content.ends_with("\r\n.\r\n") {
                    if wire.read_line(&mut content).is_err() {
                        return;
                    }
                }
                kept.mails.lock().unwrap().push(Given { to: to.clone(), content, is_private, login: login.clone() });
                kept.told.notify_all();
                if *manner.lock().unwrap() == Manner::HangsAfterData {
                    // Until the client is gone.
                    let _ = wire.read_line(&mut String::new());
                    return;
                }
                say(&mut wire, "250 taken")
            }
            "QUIT" => {
                say(&mut wire, "221 bye");
                return;
            }
            _ => say(&mut wire, "250 yes"),
        };
        if !is_heard {
            return;
        }
    }
}
