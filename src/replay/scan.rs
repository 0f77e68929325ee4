//! The members of a line, by the grammar of RFC 8259 alone.
//!
//! A line may hold a record that is no JSON that is read (docs/rules/values.md#json-that-is-read): too deep, with a number too large or a
//! lone surrogate. It is a line all the same (docs/rules/replay.md#files), so it is read here without those limits, and each value is
//! left where it stands.

use crate::json::scan::read_escape;
use crate::json::tape::{NodeIndex, NodeKind, Tape};

/// One member of a line: the inside of its name, escapes and all, and its value's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineMember<'l> {
    pub(crate) name: &'l [u8],
    pub(crate) value: &'l [u8],
}

/// The text is not exactly one JSON object, with blanks around it at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoObject;

/// The text is not exactly one JSON list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoList;

/// The memory of reading lines, reused from line to line.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    tape: Tape,
}

impl Scanner {
    /// Calls `each` with the members in the order they stand.
    pub(super) fn members<'l>(&mut self, text: &'l [u8], each: impl FnMut(LineMember<'l>)) -> Result<(), NoObject> {
        self.tape.parse_grammar(text).map_err(|_| NoObject)?;
        if self.tape.kind(NodeIndex::ROOT) != NodeKind::Object {
            return Err(NoObject);
        }
        let member = |node| LineMember { name: &text[self.tape.name_span(node)], value: self.tape.raw(text, node) };
        self.tape.children(NodeIndex::ROOT).map(member).for_each(each);
        Ok(())
    }

    /// The same of the values of a list.
    pub(super) fn items<'l>(&mut self, text: &'l [u8], each: impl FnMut(&'l [u8])) -> Result<(), NoList> {
        self.tape.parse_grammar(text).map_err(|_| NoList)?;
        if self.tape.kind(NodeIndex::ROOT) != NodeKind::Array {
            return Err(NoList);
        }
        self.tape.children(NodeIndex::ROOT).map(|node| self.tape.raw(text, node)).for_each(each);
        Ok(())
    }
}

/// The text that the inside of a string of a scanned line stands for; none for a lone surrogate.
pub(super) fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(escape) = rest.find('\\') {
        text.push_str(&rest[..escape]);
        let (c, behind) = read_escape(&rest.as_bytes()[escape..])?;
        text.push(c);
        rest = &rest[rest.len() - behind.len()..];
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(text: &str) -> Result<Vec<(String, String)>, NoObject> {
        let mut found = Vec::new();
        Scanner::default().members(text.as_bytes(), |member| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            found.push((text(member.name), text(member.value)));
        })?;
        Ok(found)
    }

    #[test]
    fn values_stay_as_they_are_written() {
        let found = members("\t{ \"a\" : { \"x\":[ 1 , {}, [ ] ] } ,\"\\u0061\":-0.5E+7,\"b\":\"\\ud800\" } \r").unwrap();
        let expected = [("a", "{ \"x\":[ 1 , {}, [ ] ] }"), ("\\u0061", "-0.5E+7"), ("b", "\"\\ud800\"")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(members("{}"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_object_by_rfc_8259() {
        for bad in [
            "",
            " ",
            "[]",
            "1",
            "null",
            "{",
            "{}x",
            "{}{}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":+1}",
            "{\"a\":1e}",
            "{\"a\":-}",
            "{\"a\":nul}",
            "{\"a\":[1,]}",
            "{\"a\":[1}",
            "{\"a\":{]}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"",
            "{\"a\":1 2}",
            "\u{feff}{}",
            "{\"a\":NaN}",
            "{\"a\":[1 2]}",
            "{\"a\":{\"b\":1,}}",
            "{\"a\":-",
            "{\"a\":1e",
            "{\"a\":1.",
            "{\"a\":\u{a0}1}",
        ] {
            assert_eq!(members(bad), Err(NoObject), "{bad}");
        }
    }

    #[test]
    fn no_depth_exhausts_the_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(members(&deep).unwrap().len(), 1);
    }

    #[test]
    fn lone_surrogates_have_no_text() {
        assert_eq!(unescape(r"caf\u00e9 \uD83D\uDE9C \/").as_deref(), Some("café 🚜 /"));
        assert_eq!(unescape(r"a\ud800b"), None);
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in "[\\{\\}\\[\\],:\"a1e.\\-0 \\\\un]{0,24}") {
            let text = format!("{{\"k\":{text}}}");
            // serde_json refuses surrogates and numbers too large, which are none of this grammar's business.
            let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).map_err(|e| e.to_string());
            match members(&text) {
                Ok(_) => prop_assert!(theirs.as_ref().err().is_none_or(|e| e.contains("surrogate") || e.contains("out of range")), "{:?}", theirs),
                Err(NoObject) => prop_assert!(theirs.is_err(), "{}", text),
            }
        }
    }
}
