//! The connections to leaders, each with the one question that is asked on it.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::positions::{AskedPartition, FetchAsk, FetchEvent, FetchPositions};
use super::{FetchWaker, earlier};
use crate::kafka::client::Deadline;
use crate::kafka::wire::connection::{AnswerFrame, BrokerConnection, ConnectError, Lost, Received};
use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::frame::FrameWriter;
use crate::kafka::wire::messages::Api;
use crate::kafka::wire::messages::fetch::{FetchPlace, FetchSize, ask_fetch, read_fetch};
use crate::kafka::wire::messages::leader_epoch::{EpochPlace, ask_ends, read_ends};
use crate::kafka::wire::messages::metadata::NodeAddress;
use crate::kafka::wire::settings::ReadSettings;

/// Between two attempts to reach a leader, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A leader of which not a byte has come for so long after it was to have answered will not answer.
const SILENT: Duration = Duration::from_secs(10);
/// And from then on another one may lead.
const SUSPECT: Duration = Duration::from_secs(1);
/// A leader that brings little is asked again so long after it was asked: at a low rate records come a few at a time, and each question
/// names all partitions.
const PACE: Duration = Duration::from_millis(4);
const LITTLE: usize = 128 << 10;

enum FetchLinkState {
    /// Since a thread connects to it.
    Connecting(Receiver<Result<BrokerConnection, ConnectError>>),
    Open(Box<BrokerConnection>),
    Away,
}

/// What was asked and is not answered.
struct FetchFlight {
    is_ends: bool,
    asked: Vec<AskedPartition>,
    sent: Instant,
    /// Something came of the answer then, or it was to have come by then.
    heard: Instant,
    was_suspected: bool,
}

struct FetchLink {
    address: NodeAddress,
    state: FetchLinkState,
    flight: Option<FetchFlight>,
    not_before: Option<Instant>,
    pause: Duration,
}

/// All connections that something is fetched over.
pub(super) struct FetchLinks {
    settings: Arc<ReadSettings>,
    waker: Arc<FetchWaker>,
    nodes: BTreeMap<i32, NodeAddress>,
    links: BTreeMap<i32, FetchLink>,
}

impl FetchLinks {
    pub(super) fn new(settings: ReadSettings, waker: FetchWaker) -> Self {
        Self { settings: Arc::new(settings), waker: Arc::new(waker), nodes: BTreeMap::new(), links: BTreeMap::new() }
    }

    /// Takes in where a node is.
    pub(super) fn learn(&mut self, node: &NodeAddress) {
        self.nodes.insert(node.node, node.clone());
    }

    /// The sockets of which something is to come.
    pub(super) fn awaited(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.links.values().filter(|link| link.flight.is_some()).filter_map(|link| match &link.state {
            FetchLinkState::Open(connection) => Some(connection.socket()),
            FetchLinkState::Connecting(_) | FetchLinkState::Away => None,
        })
    }

    /// When something is to be done that nothing will come for.
    pub(super) fn next_due(&self, now: Instant, is_paused: bool) -> Option<Instant> {
        let due = |link: &FetchLink| match &link.flight {
            Some(flight) => Some(flight.heard + if flight.was_suspected { SILENT } else { SUSPECT }),
            None if is_paused => None,
            None => link.not_before.filter(|until| *until > now),
        };
        self.links.values().map(due).fold(None, earlier)
    }

    /// Takes in what has come.
    pub(super) fn receive(&mut self, positions: &mut FetchPositions, now: Instant) {
        let nodes: Vec<i32> = self.links.keys().copied().collect();
        for node in nodes {
            if let Err(error) = self.receive_from(node, positions, now) {
                self.lose(node, error, positions, now);
            }
        }
        let (leaders, known) = (positions.leaders(), &self.nodes);
        self.links.retain(|node, link| {
            let is_wanted = leaders.contains(node) && known.get(node) == Some(&link.address);
            if !is_wanted && let Some(flight) = link.flight.take() {
                positions.lost(*node, &flight.asked);
            }
            is_wanted
        });
    }

    fn receive_from(&mut self, node: i32, positions: &mut FetchPositions, now: Instant) -> Result<(), ConnectError> {
        let Some(link) = self.links.get_mut(&node) else { return Ok(()) };
        if let FetchLinkState::Connecting(connecting) = &link.state {
            link.state = match connecting.try_recv() {
                Err(TryRecvError::Empty) => return Ok(()),
                Ok(connection) => FetchLinkState::Open(Box::new(connection?)),
                Err(TryRecvError::Disconnected) => return Err(Lost("the thread that connects has ended".to_owned()).into()),
            };
        }
        let (FetchLinkState::Open(connection), Some(flight)) = (&mut link.state, &mut link.flight) else { return Ok(()) };
        match connection.receive_now(|| positions.spare_frame())? {
            Received::Whole(frame) => self.take(node, frame, positions, now).map_err(ConnectError::from),
            Received::Part => {
                flight.heard = now;
                Ok(())
            }
            Received::Nothing => {
                let silent = now.saturating_duration_since(flight.heard);
                if silent >= SILENT {
                    return Err(Lost("no answer in time".to_owned()).into());
                }
                if silent >= SUSPECT && !std::mem::replace(&mut flight.was_suspected, true) {
                    positions.suspect(node);
                }
                Ok(())
            }
        }
    }

    /// Takes in a whole answer.
    fn take(&mut self, node: i32, frame: AnswerFrame, positions: &mut FetchPositions, now: Instant) -> Result<(), Lost> {
        let Some((link, flight)) = self.links.get_mut(&node).and_then(|link| link.flight.take().map(|flight| (link, flight))) else {
            return Ok(());
        };
        if flight.is_ends {
            match frame.read(|answer, _| read_ends(answer)) {
                Ok(ends) => positions.checked(node, &flight.asked, &ends, now),
                Err(malformed) => {
                    link.flight = Some(flight);
                    return Err(malformed.into());
                }
            }
            link.pause = AGAIN.0;
            positions.give_back(frame.into_bytes());
            return Ok(());
        }
        let answer = match frame.read(read_fetch) {
            Ok(answer) => answer,
            Err(malformed) => {
                link.flight = Some(flight);
                return Err(malformed.into());
            }
        };
        for address in answer.nodes {
            self.nodes.insert(address.node, address);
        }
        if answer.error != ErrorCode::NONE {
            link.flight = Some(flight);
            return Err(Lost(answer.error.to_string()));
        }
        let bytes = Arc::new(frame.into_bytes());
        let came = positions.answered(node, flight.asked, answer.partitions, &bytes, now);
        if let Some(bytes) = Arc::into_inner(bytes) {
            positions.give_back(bytes);
        }
        link.pause = AGAIN.0;
        let throttle = Duration::from_millis(u64::try_from(answer.throttle_ms).unwrap_or(0));
        let again = if came < LITTLE { flight.sent + PACE } else { now };
        link.not_before = Some(again.max(now + throttle));
        Ok(())
    }

    /// The connection is of no further use, and nobody knows what became of what was asked on it.
    fn lose(&mut self, node: i32, error: ConnectError, positions: &mut FetchPositions, now: Instant) {
        let Some(link) = self.links.get_mut(&node) else { return };
        tracing::debug!(node, %error, "a leader is asked again");
        link.state = FetchLinkState::Away;
        link.not_before = Some(now + link.pause);
        link.pause = (2 * link.pause).min(AGAIN.1);
        let asked = link.flight.take().map(|flight| flight.asked).unwrap_or_default();
        positions.lost(node, &asked);
        match error {
            ConnectError::Lost(_) => {}
            ConnectError::LoginRefused(words) => {
                positions.tell(FetchEvent::Unavailable(format!("the cluster refused the login: {words}")));
            }
            ConnectError::NotNative(why) => positions.tell(FetchEvent::NotNative(why.to_string())),
        }
    }

    /// Asks each leader that nothing is asked of for what is to be asked for.
    pub(super) fn ask(&mut self, positions: &mut FetchPositions, now: Instant) {
        for node in positions.leaders() {
            let Some(address) = self.nodes.get(&node) else {
                positions.suspect(node);
                continue;
            };
            let fresh =
                || FetchLink { address: address.clone(), state: FetchLinkState::Away, flight: None, not_before: None, pause: AGAIN.0 };
            let link = self.links.entry(node).or_insert_with(fresh);
            if link.flight.is_some() || link.not_before.is_some_and(|until| until > now) {
                continue;
            }
            if let FetchLinkState::Open(connection) = &link.state
                && !connection.is_fresh()
            {
                link.state = FetchLinkState::Away;
            }
            match &mut link.state {
                FetchLinkState::Connecting(_) => {}
                FetchLinkState::Away => link.state = connect(address, &self.settings, &self.waker),
                FetchLinkState::Open(connection) => {
                    let Some(ask) = positions.due(node, now) else { continue };
                    let (sent, flight) = send(connection, ask, positions, &self.settings, now);
                    link.flight = Some(flight);
                    if let Err(lost) = sent {
                        self.lose(node, lost.into(), positions, now);
                    }
                }
            }
        }
    }
}

fn connect(address: &NodeAddress, settings: &Arc<ReadSettings>, waker: &Arc<FetchWaker>) -> FetchLinkState {
    let (reply, connecting) = sync_channel(1);
    let (address, settings, waker) = (address.clone(), Arc::clone(settings), Arc::clone(waker));
    let connect = move || {
        let NodeAddress { host, port, .. } = address;
        let until = Deadline::after(settings.wire.attempt);
        // Whoever asked for it may be gone.
        let _ = reply.send(BrokerConnection::open(&host, port, &settings.wire, until));
        waker.wake();
    };
    // Where no thread can be made its end is found gone, and that is tried again.
    if let Err(error) = thread::Builder::new().name("fetch-connect".to_owned()).spawn(connect) {
        tracing::error!(%error, "no thread to connect to a leader");
    }
    FetchLinkState::Connecting(connecting)
}

fn send(
    connection: &mut BrokerConnection,
    ask: FetchAsk,
    positions: &FetchPositions,
    settings: &ReadSettings,
    now: Instant,
) -> (Result<(), Lost>, FetchFlight) {
    let until = Deadline::after(settings.wire.attempt);
    let flight = |is_ends, asked, wait_ms: i32| {
        let heard = now + Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
        FetchFlight { is_ends, asked, sent: now, heard, was_suspected: false }
    };
    match ask {
        FetchAsk::Ends(asked) => {
            let place = |asked: &AskedPartition| (asked.topic, asked.source.partition, asked.leader_epoch, asked.place.epoch);
            let mut places: Vec<_> = asked.iter().map(place).collect();
            places.sort_unstable();
            let places: Vec<EpochPlace<'_>> = places
                .into_iter()
                .map(|(topic, partition, leader_epoch, read_epoch)| EpochPlace {
                    topic: positions.topic_name(topic),
                    partition,
                    leader_epoch,
                    read_epoch,
                })
                .collect();
            let sent = connection.send(Api::OffsetForLeaderEpoch, until, |request: &mut FrameWriter| ask_ends(request, &places));
            (sent, flight(true, asked, 0))
        }
        FetchAsk::Records(asked, waits) => {
            let place = |asked: &AskedPartition| FetchPlace {
                topic: asked.id,
                partition: asked.source.partition,
                leader_epoch: asked.leader_epoch,
                offset: asked.place.next,
            };
            let places: Vec<FetchPlace> = asked.iter().map(place).collect();
            let size = if waits { FetchSize { wait_ms: 0, ..settings.size } } else { settings.size };
            let sent = connection.send(Api::Fetch, until, |request: &mut FrameWriter| ask_fetch(request, size, &places));
            (sent, flight(false, asked, size.wait_ms))
        }
    }
}
