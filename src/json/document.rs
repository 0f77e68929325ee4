//! JSON into the document tree and back.

use super::error::InvalidJson;
use super::tape::{NodeIndex, NodeKind, Tape};
use super::text::write_string;
use super::writer::{write_array, write_object};
use crate::document::{DocumentKind, Member, Node, TextPosition};

/// Parses what docs/rules/values.md#json-that-is-read takes; members keep their order and repeats, numbers their text.
pub fn parse(text: &[u8]) -> Result<Node, InvalidJson> {
    let mut tape = Tape::default();
    tape.parse(text)?;
    let mut builder = NodeBuilder { tape: &tape, text, buffer: String::new(), behind: 0, place: TextPosition { line: 1, column: 1 } };
    Ok(builder.node(NodeIndex::ROOT))
}

/// Appends the node as JSON without whitespace, numbers as written (docs/rules/values.md#json-that-is-written).
pub fn write(node: &Node, out: &mut Vec<u8>) {
    match &node.kind {
        DocumentKind::Null => out.extend_from_slice(b"null"),
        DocumentKind::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        DocumentKind::Number(number) => out.extend_from_slice(number.as_bytes()),
        DocumentKind::String(text) => write_string(text, out),
        DocumentKind::List(items) => {
            write_array(out, |out| items.iter().for_each(|item| write(item, out.item())));
        }
        DocumentKind::Map(members) => {
            write_object(out, |out| members.iter().for_each(|member| write(&member.value, out.member(&member.name))));
        }
    }
}

/// Recursion is bounded by the depth that the tape allows.
struct NodeBuilder<'a> {
    tape: &'a Tape,
    text: &'a [u8],
    buffer: String,
    /// The byte that `place` is the place of. Nodes are visited in the order they stand, so it only moves on.
    behind: usize,
    place: TextPosition,
}

impl NodeBuilder<'_> {
    fn node(&mut self, node: NodeIndex) -> Node {
        let place = self.place_of(self.tape.span(node).start);
        let kind = match self.tape.kind(node) {
            NodeKind::Null => DocumentKind::Null,
            NodeKind::True => DocumentKind::Bool(true),
            NodeKind::False => DocumentKind::Bool(false),
            NodeKind::Number => DocumentKind::Number(String::from_utf8_lossy(self.tape.raw(self.text, node)).into_owned()),
            NodeKind::String => DocumentKind::String(self.tape.string(self.text, node, &mut self.buffer).unwrap_or_default().to_owned()),
            NodeKind::Array => DocumentKind::List(self.tape.children(node).map(|child| self.node(child)).collect()),
            NodeKind::Object => DocumentKind::Map(self.tape.children(node).map(|child| self.member(child)).collect()),
        };
        Node { kind, place }
    }

    fn member(&mut self, node: NodeIndex) -> Member {
        let place = self.place_of(self.tape.name_span(node).start - 1);
        let name = self.tape.name(self.text, node, &mut self.buffer).to_owned();
        Member { name, place, value: self.node(node) }
    }

    fn place_of(&mut self, at: usize) -> TextPosition {
        for &byte in &self.text[self.behind..at] {
            if byte == b'\n' {
                self.place = TextPosition { line: self.place.line + 1, column: 1 };
            } else if byte & 0xc0 != 0x80 {
                self.place.column += 1;
            }
        }
        self.behind = at;
        self.place
    }
}

/// JSON with line ends and indents; numbers as they were written.
pub fn write_pretty(node: &Node, indent: usize, out: &mut Vec<u8>) {
    let line = |indent: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', indent * 2));
    };
    match &node.kind {
        DocumentKind::Map(members) if !members.is_empty() => {
            out.push(b'{');
            for (at, member) in members.iter().enumerate() {
                out.extend_from_slice(if at > 0 { b"," } else { b"" });
                line(indent + 1, out);
                write_string(&member.name, out);
                out.extend_from_slice(b": ");
                write_pretty(&member.value, indent + 1, out);
            }
            line(indent, out);
            out.push(b'}');
        }
        DocumentKind::List(items) if items.iter().any(|item| matches!(item.kind, DocumentKind::Map(_) | DocumentKind::List(_))) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                out.extend_from_slice(if at > 0 { b"," } else { b"" });
                line(indent + 1, out);
                write_pretty(item, indent + 1, out);
            }
            line(indent, out);
            out.push(b']');
        }
        _ => write(node, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        let mut out = Vec::new();
        write(&parse(text.as_bytes()).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_keep_their_text_and_members_their_repeats() {
        let text =
            r#" { "b" : [ 1.0 , 1e3, -0 , 12345678901234567890 ] , "a":null, "\u0062":true,"c":"\u00e9\u0000\/" , "d":{}, "e":[ ] } "#;
        assert_eq!(rewritten(text), r#"{"b":[1.0,1e3,-0,12345678901234567890],"a":null,"b":true,"c":"é\u0000/","d":{},"e":[]}"#);
        assert_eq!(parse(text.as_bytes()).unwrap().get("b").and_then(Node::as_bool), Some(true));
    }

    #[test]
    fn places_count_lines_and_characters() {
        let node = parse("{\"é\": 1,\n  \"b\": [true,\r\n null]}".as_bytes()).unwrap();
        let places: Vec<_> =
            node.members().iter().map(|m| (m.place.line, m.place.column, m.value.place.line, m.value.place.column)).collect();
        assert_eq!(places, [(1, 2, 1, 7), (2, 3, 2, 8)]);
        let null = node.get("b").and_then(Node::as_list).unwrap()[1].place;
        assert_eq!((null.line, null.column), (3, 2));
    }
}
