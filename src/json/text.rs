//! Strings: escaping (docs/rules/values.md#json-that-is-written), and unescaping.

use super::scan;
use super::scan::read_escape;

/// Appends `text` as a JSON string with its quotes, escaping only what JSON demands.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut from = 0;
    loop {
        let stop = scan::plain(bytes, from);
        out.extend_from_slice(&bytes[from..stop]);
        let Some(&byte) = bytes.get(stop) else { break };
        write_escape(byte, out);
        from = stop + 1;
    }
    out.push(b'"');
}

/// Appends valid JSON without the whitespace between its tokens.
pub(crate) fn write_compact(json: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => at = scan::string::<true>(json, at).map_or(json.len(), |(behind, _)| behind),
            b' ' | b'\n' | b'\r' | b'\t' => {
                out.extend_from_slice(&json[copied..at]);
                at = scan::blanks(json, at);
                copied = at;
            }
            _ => at += 1,
        }
    }
    out.extend_from_slice(&json[copied..]);
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        b'"' | b'\\' => byte,
        _ => {
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends the text that the inside of a JSON string stands for. `raw` is what stands between the quotes, already
/// found valid; where it is not, what cannot be read is left out.
pub fn unescape(raw: &[u8], out: &mut String) {
    for piece in pieces(raw) {
        match piece {
            Piece::Plain(text) => out.push_str(text),
            Piece::Escaped(c) => out.push(c),
        }
    }
}

/// Whether the inside of a JSON string stands for `text`; allocates nothing.
pub fn is_text(raw: &[u8], text: &str) -> bool {
    let mut rest = text;
    for piece in pieces(raw) {
        let left = match piece {
            Piece::Plain(plain) => rest.strip_prefix(plain),
            Piece::Escaped(c) => rest.strip_prefix(c),
        };
        match left {
            Some(left) => rest = left,
            None => return false,
        }
    }
    rest.is_empty()
}

enum Piece<'a> {
    Plain(&'a str),
    Escaped(char),
}

fn pieces(raw: &[u8]) -> Pieces<'_> {
    Pieces { rest: raw }
}

struct Pieces<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let length = self.rest.iter().position(|&b| b == b'\\').unwrap_or(self.rest.len());
        if length > 0 {
            let (plain, rest) = self.rest.split_at(length);
            self.rest = rest;
            return std::str::from_utf8(plain).ok().map(Piece::Plain);
        }
        let (c, rest) = read_escape(self.rest)?;
        self.rest = rest;
        Some(Piece::Escaped(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn read(raw: &str) -> String {
        let mut out = String::new();
        unescape(raw.as_bytes(), &mut out);
        out
    }

    #[test]
    fn d5_escapes_what_json_demands_and_no_more() {
        assert_eq!(written("a/b\u{7f}é🔑"), "\"a/b\u{7f}é🔑\"");
        assert_eq!(written("\"\\\u{8}\u{c}\n\r\t\0\u{1f}"), r#""\"\\\b\f\n\r\t\u0000\u001f""#);
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(read(r#"\u0067ps \uD83D\ude9c \/\"\\\b\f\n\r\t\u0000"#), "gps 🚜 /\"\\\u{8}\u{c}\n\r\t\0");
        for bad in [r"\ud800", r"\udc00", r"\ud800\u0041", r"\ud800x", r"\x", r"\u12", r"\"] {
            assert!(read_escape(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in any::<String>(), other in any::<String>()) {
            let json = written(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text.clone());
            let inside = &json[1..json.len() - 1];
            prop_assert_eq!(read(inside), text.clone());
            prop_assert!(is_text(inside.as_bytes(), &text));
            prop_assert_eq!(is_text(inside.as_bytes(), &other), text == other);
        }
    }
}
