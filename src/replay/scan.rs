//! The members of a line, by the grammar of RFC 8259 alone.
//!
//! A line may hold a record that is no JSON that is read (docs/rules/values.md#json-that-is-read): too deep, with a number too large or a
//! lone surrogate. It is a line all the same (docs/rules/replay.md#files), so it is read here without those limits, and each value is
//! left where it stands.

use crate::json::text::read_escape;

/// One member of a line: the inside of its name, escapes and all, and its value's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineMember<'l> {
    pub(super) name: &'l [u8],
    pub(super) value: &'l [u8],
}

/// The text is not exactly one JSON object, with blanks around it at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoObject;

/// The memory of reading lines, reused from line to line.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// The closing brackets of what is open.
    open: Vec<u8>,
}

impl Scanner {
    /// Calls `each` with the members in the order they stand. `text` must be valid UTF-8.
    pub(super) fn members<'l>(&mut self, text: &'l [u8], mut each: impl FnMut(LineMember<'l>)) -> Result<(), NoObject> {
        let mut at = expect(text, blanks(text, 0), b'{')?;
        at = blanks(text, at);
        if text.get(at) == Some(&b'}') {
            return end(text, at + 1);
        }
        loop {
            let name_start = at + 1;
            at = string(text, at)?;
            let name = &text[name_start..at - 1];
            at = expect(text, blanks(text, at), b':')?;
            let start = blanks(text, at);
            at = self.value(text, start)?;
            each(LineMember { name, value: &text[start..at] });
            at = blanks(text, at);
            match text.get(at) {
                Some(b',') => at = blanks(text, at + 1),
                Some(b'}') => return end(text, at + 1),
                _ => return Err(NoObject),
            }
        }
    }

    /// The end of the value that begins at `at`. A loop, so that no depth exhausts the stack.
    fn value(&mut self, text: &[u8], mut at: usize) -> Result<usize, NoObject> {
        self.open.clear();
        loop {
            at = match text.get(at) {
                Some(b'{') => {
                    let inside = blanks(text, at + 1);
                    if text.get(inside) != Some(&b'}') {
                        self.open.push(b'}');
                        at = self.name(text, inside)?;
                        continue;
                    }
                    inside + 1
                }
                Some(b'[') => {
                    let inside = blanks(text, at + 1);
                    if text.get(inside) != Some(&b']') {
                        self.open.push(b']');
                        at = inside;
                        continue;
                    }
                    inside + 1
                }
                Some(b'"') => string(text, at)?,
                Some(b'-' | b'0'..=b'9') => number(text, at)?,
                Some(b't') => word(text, at, b"true")?,
                Some(b'f') => word(text, at, b"false")?,
                Some(b'n') => word(text, at, b"null")?,
                _ => return Err(NoObject),
            };
            loop {
                let Some(&close) = self.open.last() else { return Ok(at) };
                at = blanks(text, at);
                match text.get(at) {
                    Some(b',') => {
                        at = blanks(text, at + 1);
                        if close == b'}' {
                            at = self.name(text, at)?;
                        }
                        break;
                    }
                    Some(&b) if b == close => {
                        self.open.pop();
                        at += 1;
                    }
                    _ => return Err(NoObject),
                }
            }
        }
    }

    /// A member's name and colon; answers where its value begins.
    fn name(&self, text: &[u8], at: usize) -> Result<usize, NoObject> {
        let at = string(text, at)?;
        Ok(blanks(text, expect(text, blanks(text, at), b':')?))
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

fn blanks(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

fn expect(text: &[u8], at: usize, byte: u8) -> Result<usize, NoObject> {
    if text.get(at) == Some(&byte) { Ok(at + 1) } else { Err(NoObject) }
}

fn end(text: &[u8], at: usize) -> Result<(), NoObject> {
    if blanks(text, at) == text.len() { Ok(()) } else { Err(NoObject) }
}

fn word(text: &[u8], at: usize, word: &[u8]) -> Result<usize, NoObject> {
    if text[at..].starts_with(word) { Ok(at + word.len()) } else { Err(NoObject) }
}

fn string(text: &[u8], at: usize) -> Result<usize, NoObject> {
    let mut at = expect(text, at, b'"')?;
    loop {
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => match text.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                Some(b'u') if text.get(at + 2..at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => at += 6,
                _ => return Err(NoObject),
            },
            Some(0x20..) => at += 1,
            _ => return Err(NoObject),
        }
    }
}

fn number(text: &[u8], at: usize) -> Result<usize, NoObject> {
    let mut at = at + usize::from(text[at] == b'-');
    match text.get(at) {
        Some(b'0') => at += 1,
        _ => at = digits(text, at)?,
    }
    if text.get(at) == Some(&b'.') {
        at = digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        at = digits(text, at)?;
    }
    Ok(at)
}

/// One digit or more.
fn digits(text: &[u8], at: usize) -> Result<usize, NoObject> {
    let count = text[at.min(text.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 { Err(NoObject) } else { Ok(at + count) }
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
