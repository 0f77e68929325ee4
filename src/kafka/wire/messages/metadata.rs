//! Who leads what, and who coordinates whom.

use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::frame::{FrameReader, FrameWriter, MalformedAnswer};

/// A broker's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka::wire) struct NodeAddress {
    pub(in crate::kafka::wire) node: i32,
    pub(in crate::kafka::wire) host: String,
    pub(in crate::kafka::wire) port: u16,
}

/// Which topic of its name it is: one that is made again has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(in crate::kafka::wire) struct TopicId(pub(in crate::kafka::wire) [u8; 16]);

/// What is known of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::kafka::wire) struct TopicLeaders {
    pub(in crate::kafka::wire) error: ErrorCode,
    pub(in crate::kafka::wire) name: String,
    pub(in crate::kafka::wire) id: TopicId,
    /// By partition, the node that leads it; -1 where none does.
    pub(in crate::kafka::wire) leaders: Vec<i32>,
    /// By partition, since which epoch.
    pub(in crate::kafka::wire) epochs: Vec<i32>,
}

pub(in crate::kafka::wire) fn ask_topics(request: &mut FrameWriter, topics: &[&str]) {
    request.array(topics.len());
    for topic in topics {
        // The id of a topic that is asked for by its name is 0.
        request.raw(&[0; 16]).string(topic).no_tags();
    }
    // No topic is made by a question, and nobody wants to know who may do what.
    request.bool(false).bool(false).no_tags();
}

pub(in crate::kafka::wire) fn read_topics(mut answer: FrameReader<'_>) -> Result<(Vec<NodeAddress>, Vec<TopicLeaders>), MalformedAnswer> {
    let _throttle_ms = answer.i32()?;
    let nodes = answer.array(11, read_node)?;
    let _cluster = answer.nullable_string()?;
    let _controller = answer.i32()?;
    let topics = answer.array(26, |topic| {
        let error = ErrorCode(topic.i16()?);
        let name = topic.nullable_string()?.unwrap_or_default().to_owned();
        let id = TopicId(topic.fixed()?);
        let _is_internal = topic.bool()?;
        let partitions = topic.array(18, |partition| {
            let _error = partition.i16()?;
            let (index, leader) = (partition.i32()?, partition.i32()?);
            let epoch = partition.i32()?;
            for _replicas in 0..3 {
                partition.array(4, FrameReader::i32)?;
            }
            partition.skip_tags()?;
            Ok((index, (leader, epoch)))
        })?;
        let _operations = topic.i32()?;
        topic.skip_tags()?;
        let (leaders, epochs) = by_index(&partitions)?.into_iter().unzip();
        Ok(TopicLeaders { error, name, id, leaders, epochs })
    })?;
    answer.skip_tags()?;
    answer.end()?;
    Ok((nodes, topics))
}

/// The leaders, with their epochs, in the order of their partitions, which are numbered from 0 without a gap.
fn by_index(partitions: &[(i32, (i32, i32))]) -> Result<Vec<(i32, i32)>, MalformedAnswer> {
    let mut leaders = vec![None; partitions.len()];
    for (index, leader) in partitions {
        let place = usize::try_from(*index).ok().and_then(|index| leaders.get_mut(index));
        *place.ok_or(MalformedAnswer("partitions are not numbered from 0 on"))? = Some(*leader);
    }
    leaders.into_iter().collect::<Option<Vec<(i32, i32)>>>().ok_or(MalformedAnswer("a partition comes twice"))
}

/// The nodes that an answer to a fetch or a produce names after its last field, where it says who leads by now.
pub(super) fn read_tagged_nodes(answer: &mut FrameReader<'_>) -> Result<Vec<NodeAddress>, MalformedAnswer> {
    let mut nodes = Vec::new();
    answer.tags(|tag, field| {
        if tag == 0 {
            nodes = field.array(11, read_node)?;
        }
        Ok(())
    })?;
    Ok(nodes)
}

/// A broker as metadata and hints name it.
fn read_node(node: &mut FrameReader<'_>) -> Result<NodeAddress, MalformedAnswer> {
    let (id, host, port) = (node.i32()?, node.string()?.to_owned(), node.i32()?);
    let _rack = node.nullable_string()?;
    node.skip_tags()?;
    Ok(NodeAddress { node: id, host, port: port_of(port)? })
}

fn port_of(port: i32) -> Result<u16, MalformedAnswer> {
    u16::try_from(port).map_err(|_| MalformedAnswer("a port is none"))
}

/// What has a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::kafka::wire) enum CoordinatorKind {
    Group,
    Transaction,
}

pub(in crate::kafka::wire) fn ask_coordinator(request: &mut FrameWriter, kind: CoordinatorKind, name: &str) {
    let kind = match kind {
        CoordinatorKind::Group => 0,
        CoordinatorKind::Transaction => 1,
    };
    request.i8(kind).array(1).string(name).no_tags();
}

/// The one coordinator that was asked for.
pub(in crate::kafka::wire) fn read_coordinator(mut answer: FrameReader<'_>) -> Result<(ErrorCode, NodeAddress), MalformedAnswer> {
    let _throttle_ms = answer.i32()?;
    let found = answer.array(15, |coordinator| {
        let _name = coordinator.string()?;
        let (node, host, port) = (coordinator.i32()?, coordinator.string()?.to_owned(), coordinator.i32()?);
        let error = ErrorCode(coordinator.i16()?);
        let _words = coordinator.nullable_string()?;
        coordinator.skip_tags()?;
        // Where there is none its port is no port.
        let port = if error == ErrorCode::NONE { port_of(port)? } else { 0 };
        Ok((error, NodeAddress { node, host, port }))
    })?;
    answer.skip_tags()?;
    answer.end()?;
    found.into_iter().next().ok_or(MalformedAnswer("it names no coordinator"))
}
