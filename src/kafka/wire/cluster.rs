//! The brokers as one client knows them: their addresses, its connections to them, and who coordinates what.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::connection::{BrokerConnection, ConnectError, Lost};
use super::error_code::ErrorCode;
use super::frame::{FrameReader, FrameWriter, MalformedAnswer};
use super::messages::Api;
use super::messages::metadata::{self, CoordinatorKind, NodeAddress, TopicLeaders};
use super::settings::{NotNative, WireSettings};
use super::verdict::{CallFailure, CoordinatorVerdict};
use crate::kafka::client::Deadline;

/// A broker that could not be reached is not tried again for so long.
const AWAY: Duration = Duration::from_millis(100);
/// Between two attempts of a call, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// The level of `transaction.version` at which each end of a transaction raises the epoch.
const NEEDED_LEVEL: i16 = 2;

/// What a connection is for. A broker answers one request of a connection at a time: what is asked of a coordinator would wait behind
/// batches for their acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    Batches,
    Calls,
}

/// Why a call to a coordinator came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallError {
    /// Nobody answered in time, or only that it is to be asked again. What was asked may have been done.
    Unanswered(String),
    LoginRefused(String),
    NotNative(NotNative),
    Refused(CallFailure, ErrorCode),
}

/// What is asked of whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct CoordinatorCall<'c> {
    pub(super) kind: CoordinatorKind,
    /// The group, or the transactional.id.
    pub(super) name: &'c str,
    pub(super) api: Api,
}

/// A client's view of the cluster.
pub(super) struct Cluster {
    pub(super) settings: WireSettings,
    nodes: BTreeMap<i32, NodeAddress>,
    connections: HashMap<(i32, Purpose), BrokerConnection>,
    /// Nodes that could not be reached a moment ago.
    away: HashMap<i32, Deadline>,
    /// Of each group and transactional.id, of which there are few, the node that coordinates it.
    coordinators: Vec<(CoordinatorKind, String, i32)>,
    /// The newest state of the cluster's features that a broker has told.
    features_epoch: i64,
    /// The level of `transaction.version` that it is for.
    needed_level: i16,
}

impl Cluster {
    pub(super) fn new(settings: WireSettings) -> Self {
        Self {
            settings,
            nodes: BTreeMap::new(),
            connections: HashMap::new(),
            away: HashMap::new(),
            coordinators: Vec::new(),
            features_epoch: -1,
            needed_level: NEEDED_LEVEL,
        }
    }

    /// One for a client that only reads, which transactions may end in either way for.
    pub(super) fn for_reading(settings: WireSettings) -> Self {
        Self { needed_level: i16::MIN, ..Self::new(settings) }
    }

    /// All nodes that are known.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &NodeAddress> {
        self.nodes.values()
    }

    /// Whether its address is known.
    pub(super) fn knows(&self, node: i32) -> bool {
        self.nodes.contains_key(&node)
    }

    /// Takes in an address that a broker named.
    pub(super) fn learn(&mut self, node: NodeAddress) {
        let id = node.node;
        if self.nodes.insert(id, node.clone()).is_some_and(|before| before != node) {
            self.connections.retain(|(connected, _), _| *connected != id);
        }
    }

    /// The address of a node, or of one of those to begin with, which are counted from -1 downwards.
    fn address(&self, node: i32) -> Option<(String, u16)> {
        match usize::try_from(-1 - i64::from(node)) {
            Ok(begin) => self.settings.bootstrap.get(begin).cloned(),
            Err(_) => self.nodes.get(&node).map(|known| (known.host.clone(), known.port)),
        }
    }

    /// A connection to a node, made if there is none.
    pub(super) fn connection(&mut self, node: i32, purpose: Purpose, deadline: Deadline) -> Result<&mut BrokerConnection, ConnectError> {
        let key = (node, purpose);
        if !self.connections.get(&key).is_some_and(BrokerConnection::is_fresh) {
            self.connections.remove(&key);
            let connection = self.open(node, deadline).inspect_err(|_| {
                self.away.insert(node, Deadline::after(AWAY));
            })?;
            self.connections.insert(key, connection);
        }
        self.existing(node, purpose).ok_or_else(|| Lost("the connection is gone".to_owned()).into())
    }

    /// A connection that something was asked on.
    pub(super) fn existing(&mut self, node: i32, purpose: Purpose) -> Option<&mut BrokerConnection> {
        self.connections.get_mut(&(node, purpose))
    }

    /// Gives a connection up: nobody knows what it still brings.
    pub(super) fn give_up(&mut self, node: i32, purpose: Purpose) {
        self.connections.remove(&(node, purpose));
    }

    /// Gives up all connections of this purpose on which nothing is asked.
    pub(super) fn hang_up(&mut self, purpose: Purpose) {
        self.connections.retain(|(_, of), _| *of != purpose);
    }

    fn open(&mut self, node: i32, deadline: Deadline) -> Result<BrokerConnection, ConnectError> {
        let (host, port) = self.address(node).ok_or_else(|| Lost(format!("node {node} is not known")))?;
        let about = |Lost(words)| Lost(format!("{host}:{port}: {words}"));
        if self.away.get(&node).is_some_and(|until| !until.has_passed()) {
            return Err(about(Lost("it could not be reached".to_owned())).into());
        }
        let until = deadline.min(Deadline::after(self.settings.attempt));
        let connection = BrokerConnection::open(&host, port, &self.settings, until).map_err(|error| match error {
            ConnectError::Lost(lost) => about(lost).into(),
            other => other,
        })?;
        // A broker that has not heard of the newest state yet is no reason to give up what is agreed on.
        if connection.versions.features_epoch >= self.features_epoch {
            self.features_epoch = connection.versions.features_epoch;
            let level = connection.versions.transaction_version;
            if level < self.needed_level {
                return Err(NotNative(format!(
                    "the cluster's feature transaction.version is {level}, and {NEEDED_LEVEL} is needed: \
                     kafka-features.sh upgrade --feature transaction.version={NEEDED_LEVEL}"
                ))
                .into());
            }
        }
        Ok(connection)
    }

    /// Asks one node.
    fn ask<T>(
        &mut self,
        node: i32,
        api: Api,
        deadline: Deadline,
        ask: impl Fn(&mut FrameWriter),
        read: impl Fn(FrameReader<'_>) -> Result<T, MalformedAnswer>,
    ) -> Result<T, ConnectError> {
        let until = deadline.min(Deadline::after(self.settings.attempt));
        let answer = self.connection(node, Purpose::Calls, until)?.exchange(api, until, ask, read);
        if answer.is_err() {
            self.give_up(node, Purpose::Calls);
        }
        Ok(answer?)
    }

    /// Asks whichever node answers: those with a connection first, then the others, then where the client began.
    fn ask_any<T>(
        &mut self,
        api: Api,
        deadline: Deadline,
        ask: impl Fn(&mut FrameWriter),
        read: impl Fn(FrameReader<'_>) -> Result<T, MalformedAnswer>,
    ) -> Result<T, ConnectError> {
        let is_connected = |node: &i32| self.connections.contains_key(&(*node, Purpose::Calls));
        let (connected, others): (Vec<i32>, Vec<i32>) = self.nodes.keys().copied().partition(is_connected);
        let begin = (1..=self.settings.bootstrap.len() as i32).map(|at| -at);
        let mut last = ConnectError::Lost(Lost("kafka.bootstrap names no broker".to_owned()));
        for node in connected.into_iter().chain(others).chain(begin) {
            if deadline.has_passed() {
                break;
            }
            match self.ask(node, api, deadline, &ask, &read) {
                Err(error @ ConnectError::NotNative(_)) => return Err(error),
                Err(error @ ConnectError::LoginRefused(_)) => last = error,
                Err(error) if !matches!(last, ConnectError::LoginRefused(_)) => last = error,
                Err(_) => {}
                Ok(answer) => return Ok(answer),
            }
        }
        Err(last)
    }

    /// Asks for topics and takes in where the nodes are.
    pub(super) fn ask_topics(&mut self, topics: &[&str], deadline: Deadline) -> Result<Vec<TopicLeaders>, ConnectError> {
        let ask = |request: &mut FrameWriter| metadata::ask_topics(request, topics);
        let (nodes, topics) = self.ask_any(Api::Metadata, deadline, ask, metadata::read_topics)?;
        self.nodes.retain(|id, _| nodes.iter().any(|node| node.node == *id));
        nodes.into_iter().for_each(|node| self.learn(node));
        Ok(topics)
    }

    /// The node that coordinates a group or a transactional.id.
    fn coordinator(&mut self, call: CoordinatorCall<'_>, deadline: Deadline) -> Result<Result<i32, ErrorCode>, ConnectError> {
        let known = self.coordinators.iter().find(|(kind, name, _)| (*kind, name.as_str()) == (call.kind, call.name));
        if let Some((.., node)) = known.filter(|(.., node)| self.knows(*node)) {
            return Ok(Ok(*node));
        }
        let ask = |request: &mut FrameWriter| metadata::ask_coordinator(request, call.kind, call.name);
        let (error, node) = self.ask_any(Api::FindCoordinator, deadline, ask, metadata::read_coordinator)?;
        if error != ErrorCode::NONE {
            return Ok(Err(error));
        }
        let id = node.node;
        self.learn(node);
        self.forget_coordinator(call);
        self.coordinators.push((call.kind, call.name.to_owned(), id));
        Ok(Ok(id))
    }

    fn forget_coordinator(&mut self, call: CoordinatorCall<'_>) {
        self.coordinators.retain(|(kind, name, _)| (*kind, name.as_str()) != (call.kind, call.name));
    }

    /// Asks a coordinator until it has answered what counts, or until the time is over. The same question may come to it twice.
    pub(super) fn call<T>(
        &mut self,
        call: CoordinatorCall<'_>,
        deadline: Deadline,
        ask: impl Fn(&mut FrameWriter),
        read: impl Fn(FrameReader<'_>) -> Result<T, MalformedAnswer>,
        judge: impl Fn(&T) -> (CoordinatorVerdict, ErrorCode),
    ) -> Result<T, CallError> {
        let (mut pause, longest) = AGAIN;
        loop {
            let words = match self.call_once(call, deadline, &ask, &read) {
                Ok(Ok(answer)) => match judge(&answer) {
                    (CoordinatorVerdict::Done, _) => return Ok(answer),
                    (CoordinatorVerdict::Failed(failure), code) => return Err(CallError::Refused(failure, code)),
                    (CoordinatorVerdict::AgainLater, code) => code.to_string(),
                    (CoordinatorVerdict::AgainElsewhere, code) => {
                        self.forget_coordinator(call);
                        code.to_string()
                    }
                },
                Ok(Err(code)) => match of_search(code) {
                    Some(failure) => return Err(CallError::Refused(failure, code)),
                    None => code.to_string(),
                },
                Err(ConnectError::LoginRefused(words)) => return Err(CallError::LoginRefused(words)),
                Err(ConnectError::NotNative(why)) => return Err(CallError::NotNative(why)),
                Err(ConnectError::Lost(Lost(words))) => {
                    self.forget_coordinator(call);
                    words
                }
            };
            if deadline.left() <= pause {
                return Err(CallError::Unanswered(words));
            }
            tracing::debug!(call = call.api.name(), words, "asked again");
            std::thread::sleep(pause);
            pause = (pause * 2).min(longest);
        }
    }

    fn call_once<T>(
        &mut self,
        call: CoordinatorCall<'_>,
        deadline: Deadline,
        ask: impl Fn(&mut FrameWriter),
        read: impl Fn(FrameReader<'_>) -> Result<T, MalformedAnswer>,
    ) -> Result<Result<T, ErrorCode>, ConnectError> {
        match self.coordinator(call, deadline)? {
            Ok(node) => self.ask(node, call.api, deadline, ask, read).map(Ok),
            Err(code) => Ok(Err(code)),
        }
    }
}

/// How the search for a coordinator fails; none where it is to be looked for again.
fn of_search(code: ErrorCode) -> Option<CallFailure> {
    match code {
        ErrorCode::GROUP_AUTHORIZATION_FAILED => Some(CallFailure::Abort),
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED | ErrorCode::UNSUPPORTED_VERSION => {
            Some(CallFailure::Fatal)
        }
        _ => None,
    }
}
