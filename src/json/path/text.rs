//! The grammar of paths: RFC 9535 as far as the subset goes, and for the rest what to write instead.

use super::{Filter, Literal, Name, Path, PathError, Segment};
use crate::json::scan::read_escape;

pub(super) fn parse(text: &str) -> Result<Path, PathError> {
    let mut cursor = Cursor { text, at: 0 };
    if !cursor.take("$") {
        return Err(cursor.error("a path begins with $: write $.name"));
    }
    let mut segments = Vec::new();
    while cursor.at < text.len() {
        let before_blanks = cursor.at;
        cursor.skip_blanks();
        if cursor.at == text.len() {
            cursor.at = before_blanks;
            return Err(cursor.error("blanks behind the path: leave them out"));
        }
        segments.push(cursor.segment()?);
    }
    Ok(Path { segments })
}

struct Cursor<'a> {
    text: &'a str,
    /// The byte that is read next, at a character's beginning.
    at: usize,
}

type Parsed<T> = Result<T, PathError>;

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, token: &str) -> bool {
        let is_there = self.rest().starts_with(token);
        self.at += if is_there { token.len() } else { 0 };
        is_there
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn error(&self, what: impl Into<String>) -> PathError {
        PathError { what: what.into(), at: self.text[..self.at].chars().count() }
    }

    fn segment(&mut self) -> Parsed<Segment> {
        if self.rest().starts_with("..") {
            return Err(self.error("`..` is not supported: write each level, as in $.a.b or $.*.b"));
        }
        if self.take(".") {
            return if self.take("*") { Ok(Segment::Wildcard) } else { Ok(Segment::Name(self.shorthand()?)) };
        }
        if self.take("[") {
            return self.bracketed();
        }
        Err(self.error("expected .name, ['name'], [*] or [?@.key=='value']"))
    }

    fn shorthand(&mut self) -> Parsed<Name> {
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        let rest = self.rest();
        if !rest.starts_with(is_first) {
            return Err(
                self.error("a name behind a dot is letters, digits and _, not beginning with a digit: write ['name'] for any other")
            );
        }
        let length = rest.find(|c: char| !is_first(c) && !c.is_ascii_digit()).unwrap_or(rest.len());
        self.at += length;
        Ok(Name::new(rest[..length].to_owned()))
    }

    fn bracketed(&mut self) -> Parsed<Segment> {
        self.skip_blanks();
        let segment = match self.peek() {
            Some('\'' | '"') => Segment::Name(Name::new(self.string()?)),
            Some('*') => {
                self.at += 1;
                Segment::Wildcard
            }
            Some('?') => {
                self.at += 1;
                Segment::Filter(self.filter()?)
            }
            Some('0'..='9' | '-' | ':') => {
                return Err(self.error("indexes and slices are not supported: write [*], or pick elements by [?@.key=='value']"));
            }
            Some('(') => return Err(self.error("expressions are not supported: write ['name'], [*] or [?@.key=='value']")),
            _ => return Err(self.error("expected 'name', * or ?@.key=='value' in brackets; a name needs quotes: ['name']")),
        };
        self.skip_blanks();
        match self.peek() {
            Some(']') => {
                self.at += 1;
                Ok(segment)
            }
            Some(',') => Err(self.error("a list of selectors is not supported: write one path for each")),
            Some(':') => Err(self.error("slices are not supported: write [*], or pick elements by [?@.key=='value']")),
            _ => Err(self.error("expected ] here")),
        }
    }

    fn filter(&mut self) -> Parsed<Filter> {
        self.skip_blanks();
        match self.peek() {
            Some('@') => self.at += 1,
            Some('(') => return Err(self.error("parentheses are not supported: write [?@.key=='value']")),
            Some('!') => return Err(self.error("negation is not supported: write [?@.key=='value'] for each value wanted")),
            Some('$') => return Err(self.error("a filter looks at the element itself: write @.key, not $")),
            Some('\'' | '"' | '0'..='9' | '-') => return Err(self.error("the literal stands on the right: write [?@.key=='value']")),
            _ => return Err(self.error("expected @.key=='value'; functions and other expressions are not supported")),
        }
        self.skip_blanks();
        let key = self.filter_key()?;
        self.skip_blanks();
        self.equality()?;
        self.skip_blanks();
        let literal = self.literal()?;
        self.skip_blanks();
        if self.rest().starts_with("&&") {
            return Err(self.error("&& is not supported: put a second filter behind the first where it can be"));
        }
        if self.rest().starts_with("||") {
            return Err(self.error("|| is not supported: write one path for each value"));
        }
        Ok(Filter { key, literal })
    }

    fn filter_key(&mut self) -> Parsed<Name> {
        if self.rest().starts_with("..") {
            return Err(self.error("`..` is not supported: write @.key"));
        }
        if self.take(".") {
            return if self.peek() == Some('*') {
                Err(self.error("a wildcard is not supported here: write @.key"))
            } else {
                self.shorthand()
            };
        }
        if self.take("[") {
            if !matches!(self.peek(), Some('\'' | '"')) {
                return Err(self.error("expected a name in quotes: write @['key']"));
            }
            let name = self.string()?;
            return if self.take("]") { Ok(Name::new(name)) } else { Err(self.error("expected ] here, without blanks before it")) };
        }
        Err(self.error("@ alone is not supported: write @.key"))
    }

    fn equality(&mut self) -> Parsed<()> {
        match self.rest().as_bytes() {
            [b'=', b'=', ..] => {
                self.at += 2;
                Ok(())
            }
            [b'=', ..] => Err(self.error("= is not an operator: write ==")),
            [b'.' | b'[', ..] => Err(self.error("a filter looks at one key of the element: write @.key=='value'")),
            [b'!' | b'<' | b'>', ..] => Err(self.error("only == is supported: write [?@.key=='value']")),
            [b']' | b'&' | b'|' | b',', ..] => Err(self.error("a test for existence is not supported: write [?@.key=='value']")),
            _ => Err(self.error("expected == and a literal here")),
        }
    }

    fn literal(&mut self) -> Parsed<Literal> {
        match self.peek() {
            Some('\'' | '"') => Ok(Literal::String(self.string()?)),
            Some('0'..='9' | '-') => Ok(Literal::Number(self.number()?)),
            Some('@' | '$') => Err(self.error("comparing two members is not supported: write a literal on the right")),
            _ if self.take("true") => Ok(Literal::True),
            _ if self.take("false") => Ok(Literal::False),
            _ if self.take("null") => Ok(Literal::Null),
            _ => Err(self.error("expected a string in quotes, a number, true, false or null")),
        }
    }

    fn number(&mut self) -> Parsed<String> {
        let rest = self.rest();
        let length = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        // The number literals of RFC 9535 are those of JSON.
        if crate::json::decimal::Decimal::parse(&rest.as_bytes()[..length]).is_none() {
            return Err(self.error("not a number: write it as JSON does, as in 1, -0.5 or 1e3"));
        }
        self.at += length;
        Ok(rest[..length].to_owned())
    }

    /// A string literal in the quotes that stand here. Only these need an escape in it, and only they may have one.
    fn string(&mut self) -> Parsed<String> {
        let quote = self.peek().unwrap_or('"');
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(self.error(format!("the string has no end: close it with {quote}"))),
                Some(c) if c == quote => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape(quote)?),
                Some(c) if c < ' ' => return Err(self.error("a control character in a string: write it as \\u00xx")),
                Some(c) => {
                    self.at += c.len_utf8();
                    text.push(c);
                }
            }
        }
    }

    fn escape(&mut self, quote: char) -> Parsed<char> {
        let rest = self.rest();
        if quote == '\'' && rest.starts_with("\\'") {
            self.at += 2;
            return Ok('\'');
        }
        match read_escape(rest.as_bytes()) {
            Some((c, behind)) if !(c == '"' && quote == '\'' && rest.starts_with("\\\"")) => {
                self.at += rest.len() - behind.len();
                Ok(c)
            }
            _ => Err(self.error(format!("no escape of RFC 9535: \\{quote} \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX are"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let name = |segment: &Segment| match segment {
            Segment::Name(name) => name.text.clone(),
            Segment::Wildcard => "*".to_owned(),
            Segment::Filter(filter) => format!("?{}{:?}", filter.key.text, filter.literal),
        };
        Path::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).segments.iter().map(name).collect()
    }

    #[test]
    fn the_subset_is_read_with_blanks_where_rfc_9535_allows_them() {
        assert_eq!(names("$"), [""; 0]);
        assert_eq!(names("$ .engine ['rpm']\n[ \"a b\"\t]"), ["engine", "rpm", "a b"]);
        assert_eq!(names("$.a.*[*][ * ].é_1"), ["a", "*", "*", "*", "é_1"]);
        assert_eq!(
            names(r#"$['quo\'te']["back\\slash"]['\uD83D\uDE9C']['"']["'"]['\/\b']"#),
            ["quo'te", "back\\slash", "🚜", "\"", "'", "/\u{8}"]
        );
        assert_eq!(names("$[?@.b==1][ ? @ .c == -0.5E+3 ]"), ["?bNumber(\"1\")", "?cNumber(\"-0.5E+3\")"]);
        assert_eq!(names("$[?@['k v']=='it\\'s'][?@[\"x\"]==\"\"]"), ["?k vString(\"it's\")", "?xString(\"\")"]);
        assert_eq!(names("$[?@.a==true][?@.a==false][?@.a\r==\tnull]"), ["?aTrue", "?aFalse", "?aNull"]);
    }

    #[test]
    fn all_else_is_refused_with_what_to_write() {
        for (text, at) in [
            ("", 0),
            ("a", 0),
            (" $", 0),
            ("$ ", 1),
            ("$.a ", 3),
            ("$a", 1),
            ("$.", 2),
            ("$. a", 2),
            ("$.1", 2),
            ("$.-a", 2),
            ("$..a", 1),
            ("$..*", 1),
            ("$.é..a", 3),
            ("$[0]", 2),
            ("$[-1]", 2),
            ("$[1:2]", 2),
            ("$[:]", 2),
            ("$['a','b']", 5),
            ("$[*,'a']", 3),
            ("$[a]", 2),
            ("$['a'", 5),
            ("$['a]", 5),
            ("$[]", 2),
            ("$[(@.a)]", 2),
            ("$[?(@.a==1)]", 3),
            ("$[?@.a]", 6),
            ("$[?@==1]", 4),
            ("$[?@.a!=1]", 6),
            ("$[?@.a>1]", 6),
            ("$[?@.a=1]", 6),
            ("$[?1==@.a]", 3),
            ("$[?!@.a]", 3),
            ("$[?@.a==1&&@.b==2]", 9),
            ("$[?@.a==1||@.b==2]", 9),
            ("$[?@.a.b==1]", 6),
            ("$[?@['a']['b']==1]", 9),
            ("$[?@.a==@.b]", 8),
            ("$[?$.a==1]", 3),
            ("$[?length(@.a)==1]", 3),
            ("$[?@[0]==1]", 5),
            ("$[?@[ 'a']==1]", 5),
            ("$[?@['a' ]==1]", 8),
            ("$[?@.*==1]", 5),
            ("$[?@..a==1]", 4),
            ("$[?@.a==1,?@.a==2]", 9),
            ("$[?@.a==01]", 8),
            ("$[?@.a==1.]", 8),
            ("$[?@.a==.1]", 8),
            ("$[?@.a==+1]", 8),
            ("$[?@.a==1e]", 8),
            ("$[?@.a==-]", 8),
            ("$[?@.a==True]", 8),
            ("$[?@.a==nullx]", 12),
            ("$[?@.a=='x]", 11),
            (r#"$["\'"]"#, 3),
            (r#"$['\"']"#, 3),
            (r"$['\x']", 3),
            (r"$['\ud800']", 3),
            (r"$['\u12']", 3),
            ("$['\u{1}']", 3),
            ("$['a']b", 6),
            ("$['a'].['b']", 7),
            ("$.a[", 4),
            ("$.*a", 3),
        ] {
            match Path::parse(text) {
                Ok(path) => panic!("{text} was read as {path:?}"),
                Err(error) => assert_eq!(error.at, at, "{text}: {error}"),
            }
        }
    }
}
