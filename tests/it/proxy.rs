//! Between clients and a broker: plain TCP that knows where Kafka's frames begin, and which request an answer is for. Answers are
//! late, missing, repeated or out of order as rules say; no byte is rewritten, because the broker's `advertised.listeners` points here.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Kafka's numbers of calls.
pub(crate) mod api {
    pub(crate) const PRODUCE: i16 = 0;
    pub(crate) const FETCH: i16 = 1;
    pub(crate) const LIST_OFFSETS: i16 = 2;
    pub(crate) const METADATA: i16 = 3;
    pub(crate) const OFFSET_FETCH: i16 = 9;
    pub(crate) const FIND_COORDINATOR: i16 = 10;
    pub(crate) const JOIN_GROUP: i16 = 11;
    pub(crate) const HEARTBEAT: i16 = 12;
    pub(crate) const SYNC_GROUP: i16 = 14;
    pub(crate) const END_TXN: i16 = 26;
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It comes this much later, and with it all that come after it on its connection.
    Late(Duration),
    /// It comes after the next answer on its connection.
    AfterNext,
    /// It comes twice.
    Twice,
    /// It does not come.
    Missing,
    /// Half of it comes, and the connection ends.
    Cut,
    /// The request itself is held back until `release`, whoever waits for it.
    Held,
}

/// Which answers are meant.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// To this call.
    pub(crate) api: i16,
    /// To requests that hold this text: the name of a topic, a group or a client. Newer ones name topics by an id, so not all do.
    pub(crate) text: String,
    pub(crate) fate: Fate,
    /// So many of them.
    pub(crate) count: usize,
}

type Rules = Arc<Mutex<Vec<Rule>>>;
type Met = Arc<Mutex<HashMap<(i16, String), usize>>>;

/// Serves until the process ends.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    rules: Rules,
    /// How often answers met a rule, by its call and text.
    met: Met,
    held: Arc<Held>,
}

/// Requests that are held back.
#[derive(Default)]
struct Held {
    /// Whether they may go, and the errors that the brokers have answered them with.
    state: Mutex<(bool, Vec<i16>)>,
    changed: Condvar,
}

impl Proxy {
    /// Listens; `broker` is where connections go, which may begin to listen later.
    pub(crate) fn start(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (rules, met) = (Rules::default(), Met::default());
        let held = Arc::<Held>::default();
        let connection = Connection { rules: Arc::clone(&rules), met: Arc::clone(&met), awaited: Arc::default(), held: Arc::clone(&held) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(broker) = TcpStream::connect(("127.0.0.1", broker)) else { continue };
                // Answers are small, and whoever waits for them must not wait for more.
                client.set_nodelay(true).unwrap();
                broker.set_nodelay(true).unwrap();
                connection.anew().serve(client, broker);
            }
        });
        Self { port, rules, met, held }
    }

    /// Adds rules; the first that fits an answer holds.
    pub(crate) fn rule(&self, rules: impl IntoIterator<Item = Rule>) {
        self.rules.lock().unwrap().extend(rules);
    }

    /// Takes the rules for requests with this text back.
    pub(crate) fn forget(&self, text: &str) {
        self.rules.lock().unwrap().retain(|rule| rule.text != text);
    }

    /// Lets what is held back go, and returns the error that the first of it is answered with: of EndTxn, or of a call like it.
    pub(crate) fn release(&self) -> i16 {
        let mut state = self.held.state.lock().unwrap();
        state.0 = true;
        self.held.changed.notify_all();
        while state.1.is_empty() {
            state = self.held.changed.wait(state).unwrap();
        }
        state.0 = false;
        self.held.changed.notify_all();
        state.1.remove(0)
    }

    /// How many answers to this call have met a rule for requests with this text: tests that run beside one another share a proxy.
    pub(crate) fn met_of(&self, api: i16, text: &str) -> usize {
        self.met.lock().unwrap().get(&(api, text.to_owned())).copied().unwrap_or(0)
    }
}

/// What both directions of one connection know.
#[derive(Clone)]
struct Connection {
    rules: Rules,
    met: Met,
    /// The fates of answers to come, by correlation id.
    awaited: Arc<Mutex<HashMap<i32, Fate>>>,
    held: Arc<Held>,
}

impl Connection {
    fn anew(&self) -> Self {
        Self { awaited: Arc::default(), ..self.clone() }
    }

    fn serve(self, client: TcpStream, broker: TcpStream) {
        let there = (client.try_clone().unwrap(), broker.try_clone().unwrap(), self.clone());
        thread::spawn(move || there.2.pass_requests(there.0, there.1));
        thread::spawn(move || self.pass_answers(broker, client));
    }

    fn pass_requests(&self, mut client: TcpStream, mut broker: TcpStream) {
        while let Some(frame) = read_frame(&mut client) {
            let fated = self.fate_of(&frame);
            let is_held = fated.is_some_and(|(_, fate)| fate == Fate::Held);
            if let Some((correlation, fate)) = fated {
                if is_held {
                    let state = self.held.state.lock().unwrap();
                    drop(self.held.changed.wait_while(state, |(may_go, _)| !*may_go).unwrap());
                }
                self.awaited.lock().unwrap().insert(correlation, fate);
            }
            if broker.write_all(&frame).is_err() {
                break;
            }
            // Whoever asked has gone, and the broker must not be left before it has answered.
            if is_held {
                let state = self.held.state.lock().unwrap();
                drop(self.held.changed.wait_while(state, |(may_go, answered)| *may_go && answered.is_empty()).unwrap());
            }
        }
        let _ = broker.shutdown(Shutdown::Both);
    }

    fn pass_answers(&self, mut broker: TcpStream, mut client: TcpStream) {
        let mut later = Vec::new();
        while let Some(frame) = read_frame(&mut broker) {
            let correlation = i32::from_be_bytes(frame[4..8].try_into().unwrap());
            let fate = self.awaited.lock().unwrap().remove(&correlation);
            let mut frames = vec![frame];
            match fate {
                None => {}
                Some(Fate::Late(late)) => thread::sleep(late),
                Some(Fate::Twice) => frames.push(frames[0].clone()),
                Some(Fate::Missing) => frames.clear(),
                Some(Fate::Cut) => {
                    let _ = client.write_all(&frames[0][..frames[0].len() / 2]);
                    break;
                }
                Some(Fate::Held) => {
                    // After length, correlation id, no tags, and the throttle time.
                    self.held.state.lock().unwrap().1.push(i16::from_be_bytes([frames[0][13], frames[0][14]]));
                    self.held.changed.notify_all();
                }
                Some(Fate::AfterNext) => {
                    later.append(&mut frames);
                    continue;
                }
            }
            frames.append(&mut later);
            if frames.iter().any(|frame| client.write_all(frame).is_err()) {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    }

    /// Correlation id and fate of the answer to a request, if a rule is for it.
    fn fate_of(&self, request: &[u8]) -> Option<(i32, Fate)> {
        let api = i16::from_be_bytes(request.get(4..6)?.try_into().ok()?);
        let correlation = i32::from_be_bytes(request.get(8..12)?.try_into().ok()?);
        let mut rules = self.rules.lock().unwrap();
        let holds = |text: &str| request.windows(text.len()).any(|window| window == text.as_bytes());
        let rule = rules.iter_mut().find(|rule| rule.api == api && rule.count > 0 && holds(&rule.text))?;
        rule.count -= 1;
        *self.met.lock().unwrap().entry((api, rule.text.clone())).or_default() += 1;
        Some((correlation, rule.fate))
    }
}

/// One frame with its length in front; none at the end.
fn read_frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).ok()?;
    let size = usize::try_from(i32::from_be_bytes(frame[..4].try_into().unwrap())).ok()?;
    frame.resize(4 + size, 0);
    from.read_exact(&mut frame[4..]).ok()?;
    (size >= 4).then_some(frame)
}
