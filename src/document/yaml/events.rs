//! The parser's events put together as a tree, without recursion.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{MAX_DEPTH, MAX_NODES, YamlError, repeated, scalar, words};
use crate::document::{DocumentKind, Member, Node, TextPosition};

/// Reads all events of a text.
pub(super) fn read(text: &str) -> Result<Node, YamlError> {
    let mut builder = YamlBuilder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|e| words::explained(e.info(), text, place(*e.marker())))?;
        builder.take(event, place(span.start))?;
    }
    Ok(builder.root.unwrap_or(Node { kind: DocumentKind::Null, place: TextPosition { line: 1, column: 1 } }))
}

#[derive(Default)]
struct YamlBuilder {
    root: Option<Node>,
    open: Vec<Open>,
    /// What anchors stand for, with the number of nodes in it. An anchor whose node is still open is not in it.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    documents: usize,
}

/// A list or map that has begun and not ended.
struct Open {
    place: TextPosition,
    anchor: usize,
    /// The count of nodes when it began.
    nodes_before: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { members: Vec<Member>, seen: HashMap<String, TextPosition>, key: Option<(String, TextPosition)> },
}

impl YamlBuilder {
    fn take(&mut self, event: Event<'_>, place: TextPosition) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(error(place, "a second document begins here; write one document a file".into()));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let kind = scalar_kind(text.into_owned(), style, tag.as_deref(), place)?;
                self.add(Node { kind, place }, anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => self.open(place, anchor, tag.as_deref(), Content::List(Vec::new())),
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map { members: Vec::new(), seen: HashMap::new(), key: None };
                self.open(place, anchor, tag.as_deref(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some((node, nodes)) = self.anchors.get(&anchor) else {
                    return Err(error(place, "an alias to what it stands in; write the value out".into()));
                };
                let (node, nodes) = (node.clone(), *nodes);
                self.add(node, 0, nodes)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, place: TextPosition, anchor: usize, tag: Option<&Tag>, content: Content) -> Result<(), YamlError> {
        if tag.is_some() {
            return Err(error(place, "tags are not read; remove it".into()));
        }
        if let Some(Open { content: Content::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(error(place, "a key must be a text, not a list or a map".into()));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(error(place, format!("lists and maps lie more than {MAX_DEPTH} deep in one another")));
        }
        self.open.push(Open { place, anchor, nodes_before: self.nodes, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let kind = match open.content {
            Content::List(items) => DocumentKind::List(items),
            Content::Map { members, .. } => DocumentKind::Map(members),
        };
        let inside = self.nodes - open.nodes_before;
        self.nodes = open.nodes_before;
        self.add(Node { kind, place: open.place }, open.anchor, inside + 1)
    }

    /// Puts a finished node of so many nodes where it belongs.
    fn add(&mut self, node: Node, anchor: usize, nodes: usize) -> Result<(), YamlError> {
        let place = node.place;
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(error(place, format!("more than {MAX_NODES} values, aliases written out")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), nodes));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { members, seen, key }) => match key.take() {
                Some((name, place)) => members.push(Member { name, place, value: node }),
                None => *key = Some((new_key(node, seen)?, place)),
            },
        }
        Ok(())
    }
}

fn new_key(node: Node, seen: &mut HashMap<String, TextPosition>) -> Result<String, YamlError> {
    let name = match node.kind {
        DocumentKind::String(text) | DocumentKind::Number(text) => text,
        DocumentKind::Bool(value) => value.to_string(),
        DocumentKind::Null => return Err(error(node.place, "a key is missing before the colon".into())),
        DocumentKind::List(_) | DocumentKind::Map(_) => return Err(error(node.place, "a key must be a text, not a list or a map".into())),
    };
    match seen.insert(name.clone(), node.place) {
        Some(first) => Err(repeated(&name, first, node.place)),
        None => Ok(name),
    }
}

fn scalar_kind(text: String, style: ScalarStyle, tag: Option<&Tag>, place: TextPosition) -> Result<DocumentKind, YamlError> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(DocumentKind::String(text)),
        Some(_) => Err(error(place, "tags other than !!str are not read; remove it".into())),
        None if style == ScalarStyle::Plain => Ok(scalar::plain(&text)),
        None => Ok(DocumentKind::String(text)),
    }
}

fn place(marker: Marker) -> TextPosition {
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    TextPosition { line: narrow(marker.line().max(1)), column: narrow(marker.col().saturating_add(1)) }
}

fn error(place: TextPosition, what: String) -> YamlError {
    YamlError { what, place, other: None }
}
