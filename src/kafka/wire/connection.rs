//! One connection to one broker: the handshake, and questions with their answers in order.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::error_code::ErrorCode;
use super::frame::{FrameReader, FrameWriter, MalformedAnswer};
use super::messages::Api;
use super::messages::handshake::{self, BrokerVersions, LoginAnswer};
use super::messages::produce::{GatheredRequest, ProduceBatch};
use super::sasl::{Credentials, Mechanism};
use super::settings::{NotNative, WireSettings};
use super::stream::BrokerStream;
use crate::kafka::client::Deadline;

/// So much is read at a time, and reserved before anything of a frame has come.
const READ_BYTES: usize = 64 << 10;
/// After this part of its lifetime a login is made again, with a connection of its own.
const LOGIN_COUNTS: f64 = 0.8;

/// A connection is of no further use: nobody knows what became of what was asked on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Lost(pub(super) String);

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self("no answer in time".to_owned()),
            _ => Self(error.to_string()),
        }
    }
}

impl From<MalformedAnswer> for Lost {
    fn from(malformed: MalformedAnswer) -> Self {
        Self(malformed.to_string())
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConnectError {
    /// It may be there later.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The broker does not let this client in.
    #[error("{0}")]
    LoginRefused(String),
    /// The cluster does not speak what is needed.
    #[error(transparent)]
    NotNative(#[from] NotNative),
}

impl From<MalformedAnswer> for ConnectError {
    fn from(malformed: MalformedAnswer) -> Self {
        Self::Lost(malformed.into())
    }
}

/// A connection that was greeted and logged in.
pub(super) struct BrokerConnection {
    stream: BrokerStream,
    client_id: String,
    /// What was read: the first `filled` bytes count.
    inbox: Vec<u8>,
    filled: usize,
    /// Of the question that comes next.
    correlation: i32,
    /// What was asked and is not answered yet, in order.
    asked: VecDeque<(i32, Api)>,
    /// What the broker speaks.
    pub(super) versions: BrokerVersions,
    /// Until then the login counts.
    login_until: Option<Deadline>,
    receive_bytes: usize,
}

impl BrokerConnection {
    /// Connects, asks what the broker speaks, and logs in.
    pub(super) fn open(host: &str, port: u16, settings: &WireSettings, deadline: Deadline) -> Result<Self, ConnectError> {
        let stream = BrokerStream::connect(host, port, settings.tls.as_ref(), deadline).map_err(Lost::from)?;
        if settings.keeps_alive {
            stream.keep_alive().map_err(Lost::from)?;
        }
        let mut connection = Self {
            stream,
            client_id: settings.client_id.clone(),
            inbox: Vec::new(),
            filled: 0,
            correlation: 0,
            asked: VecDeque::new(),
            versions: BrokerVersions::default(),
            login_until: None,
            receive_bytes: settings.receive_bytes,
        };
        connection.versions = connection.exchange(Api::Versions, deadline, handshake::ask_versions, handshake::read_versions)?;
        if let Some(lacking) = connection.versions.lacks() {
            let (name, version) = (lacking.name(), lacking.version());
            return Err(NotNative(format!("the broker {host}:{port} does not speak {name} version {version}, as Kafka 4.0 does")).into());
        }
        if let Some(credentials) = &settings.credentials {
            connection.log_in(credentials, deadline)?;
        }
        Ok(connection)
    }

    fn log_in(&mut self, credentials: &Credentials, deadline: Deadline) -> Result<(), ConnectError> {
        let name = credentials.mechanism.name();
        let ask = |request: &mut FrameWriter| handshake::ask_mechanism(request, name);
        let (error, mechanisms) = self.exchange(Api::SaslHandshake, deadline, ask, handshake::read_mechanisms)?;
        if error != ErrorCode::NONE {
            return Err(ConnectError::LoginRefused(format!("{name}: {error}; the broker takes {}", mechanisms.join(", "))));
        }
        let answer = match (credentials.mechanism, credentials.scram()) {
            (_, Err(error)) => return Err(ConnectError::LoginRefused(format!("{name}: {error}"))),
            (Mechanism::Plain, _) | (_, Ok(None)) => self.say(name, &credentials.plain(), deadline)?,
            (_, Ok(Some(scram))) => {
                let challenge = self.say(name, &scram.first(), deadline)?;
                let refused = |why: String| ConnectError::LoginRefused(format!("{name}: {why}"));
                let (last, server) = scram.last(&challenge.token).map_err(refused)?;
                let answer = self.say(name, &last, deadline)?;
                if !server.accepts(&answer.token) {
                    return Err(refused("the broker does not know the password itself".to_owned()));
                }
                answer
            }
        };
        if answer.lifetime_ms > 0 {
            self.login_until = Some(Deadline::after(Duration::from_millis(answer.lifetime_ms as u64).mul_f64(LOGIN_COUNTS)));
        }
        Ok(())
    }

    fn say(&mut self, name: &str, token: &[u8], deadline: Deadline) -> Result<LoginAnswer, ConnectError> {
        let ask = |request: &mut FrameWriter| handshake::ask_login(request, token);
        let answer = self.exchange(Api::SaslAuthenticate, deadline, ask, handshake::read_login)?;
        if answer.error != ErrorCode::NONE {
            let words = answer.words.unwrap_or_default();
            return Err(ConnectError::LoginRefused(format!("{name}: {}: {words}", answer.error)));
        }
        Ok(answer)
    }

    /// Whether it may be asked something: its login counts, and all that was asked is answered.
    pub(super) fn is_fresh(&self) -> bool {
        self.asked.is_empty() && !self.login_until.is_some_and(Deadline::has_passed)
    }

    fn begin(&mut self, api: Api) -> FrameWriter {
        let correlation = self.correlation;
        self.correlation = correlation.wrapping_add(1);
        self.asked.push_back((correlation, api));
        api.request(correlation, &self.client_id)
    }

    /// Asks something small and waits for the answer.
    pub(super) fn exchange<T>(
        &mut self,
        api: Api,
        deadline: Deadline,
        ask: impl FnOnce(&mut FrameWriter),
        read: impl FnOnce(FrameReader<'_>) -> Result<T, MalformedAnswer>,
    ) -> Result<T, Lost> {
        self.send(api, deadline, ask)?;
        self.receive(deadline, read)
    }

    /// Sends batches; what became of them is received later.
    pub(super) fn send_batches(
        &mut self,
        transactional_id: &str,
        timeout: Duration,
        batches: &[ProduceBatch<'_>],
        deadline: Deadline,
    ) -> Result<(), Lost> {
        let header = self.begin(Api::Produce);
        let request = GatheredRequest::write(header, transactional_id, timeout.as_millis() as i32, batches);
        Ok(self.stream.write_all(&mut request.slices(), deadline)?)
    }

    /// Asks something small; the answer is received later.
    pub(super) fn send(&mut self, api: Api, deadline: Deadline, ask: impl FnOnce(&mut FrameWriter)) -> Result<(), Lost> {
        let mut request = self.begin(api);
        ask(&mut request);
        let mut bytes = request.bytes;
        let length = bytes.len() as u32 - 4;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        Ok(self.stream.write_all(&mut [IoSlice::new(&bytes)], deadline)?)
    }

    /// The socket, to wait for it.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.stream.socket().as_fd()
    }

    /// Takes what is there of the answer to the one question that was asked, and waits for nothing. `spare` is memory for the next one.
    pub(super) fn receive_now(&mut self, spare: impl FnOnce() -> Vec<u8>) -> Result<Received, Lost> {
        let before = self.filled;
        loop {
            let end = match self.inbox[..self.filled].first_chunk::<4>() {
                Some(length) => 4 + self.length(*length)?,
                None => 4,
            };
            if self.filled >= end && end > 4 {
                return self.whole(end, spare());
            }
            self.make_room();
            match self.stream.read_now(&mut self.inbox[self.filled..])? {
                None if self.filled == before => return Ok(Received::Nothing),
                None => return Ok(Received::Part),
                Some(0) => return Err(Lost("the broker closed the connection".to_owned())),
                Some(count) => self.filled += count,
            }
        }
    }

    fn whole(&mut self, end: usize, spare: Vec<u8>) -> Result<Received, Lost> {
        let (correlation, api) = self.asked.pop_front().ok_or_else(|| Lost("nothing was asked".to_owned()))?;
        if self.filled > end {
            return Err(Lost("something follows an answer that was not asked for".to_owned()));
        }
        let frame = AnswerFrame { bytes: std::mem::replace(&mut self.inbox, spare), end, api };
        self.filled = 0;
        let (answers, _) = api.answer(&frame.bytes[4..end])?;
        if answers != correlation {
            return Err(Lost("an answer to another question".to_owned()));
        }
        Ok(Received::Whole(frame))
    }

    fn length(&self, length: [u8; 4]) -> Result<usize, Lost> {
        match u32::from_be_bytes(length) as usize {
            length if length > self.receive_bytes => {
                Err(Lost(format!("an answer of {length} bytes is more than receive.message.max.bytes")))
            }
            length => Ok(length),
        }
    }

    /// Waits for the answer to the oldest question.
    pub(super) fn receive<T>(
        &mut self,
        deadline: Deadline,
        read: impl FnOnce(FrameReader<'_>) -> Result<T, MalformedAnswer>,
    ) -> Result<T, Lost> {
        let (correlation, api) = self.asked.pop_front().ok_or_else(|| Lost("nothing was asked".to_owned()))?;
        self.fill(4, deadline)?;
        let end = 4 + self.length([self.inbox[0], self.inbox[1], self.inbox[2], self.inbox[3]])?;
        self.fill(end, deadline)?;
        let (answers, answer) = api.answer(&self.inbox[4..end])?;
        if answers != correlation {
            return Err(Lost("an answer to another question".to_owned()));
        }
        let found = read(answer)?;
        self.inbox.copy_within(end..self.filled, 0);
        self.filled -= end;
        if self.inbox.len() > 16 * READ_BYTES {
            self.inbox.truncate(self.filled.max(READ_BYTES));
            self.inbox.shrink_to_fit();
        }
        Ok(found)
    }

    /// Reads until so many bytes are there. Memory is reserved as they come.
    fn fill(&mut self, wanted: usize, deadline: Deadline) -> Result<(), Lost> {
        while self.filled < wanted {
            self.make_room();
            match self.stream.read(&mut self.inbox[self.filled..], deadline)? {
                0 => return Err(Lost("the broker closed the connection".to_owned())),
                count => self.filled += count,
            }
        }
        Ok(())
    }
    /// Memory is reserved as bytes come.
    fn make_room(&mut self) {
        if self.inbox.len() == self.filled {
            let more = self.filled.max(READ_BYTES);
            self.inbox.resize(self.filled + more, 0);
        }
    }
}

/// What there was of an answer.
pub(super) enum Received {
    Nothing,
    Part,
    Whole(AnswerFrame),
}

/// An answer in the memory that it was read into.
pub(super) struct AnswerFrame {
    /// From the frame's length on; what follows the end is of no meaning.
    bytes: Vec<u8>,
    end: usize,
    api: Api,
}

impl AnswerFrame {
    /// Reads it; places in it are counted from the beginning of the memory, up to where the answer ends.
    pub(super) fn read<T>(&self, read: impl FnOnce(FrameReader<'_>, usize) -> Result<T, MalformedAnswer>) -> Result<T, MalformedAnswer> {
        let (_, answer) = self.api.answer(&self.bytes[4..self.end])?;
        read(answer, self.end)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
