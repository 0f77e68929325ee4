//! What is looked at in a condition's source before any parser sees it: its length, its characters, and how deep its tree can get.
//!
//! The parser recurses, and so does whatever drops its tree. So a bound of that depth is counted first, without recursion.

use super::InvalidCondition;

/// The longest source.
pub(super) const MAX_BYTES: usize = 4096;
/// The most brackets inside one another.
pub(super) const MAX_BRACKETS: usize = 32;
/// The deepest tree.
pub(super) const MAX_DEPTH: usize = 250;

/// What is counted between two brackets.
#[derive(Debug, Clone, Copy, Default)]
struct BracketLevel {
    /// Operators, members and calls since the last `&&`, `||`, `,`, `?` or `:`. Each can put one node above the one before.
    chain: usize,
    /// `?` since the last `,`: the tree of each lies in that of the one before.
    conditionals: usize,
}

/// Checks a source, and returns how often it calls `has`; or why it is refused, and at which byte.
pub(super) fn check(source: &str) -> Result<usize, InvalidCondition> {
    if source.len() > MAX_BYTES {
        return Err(InvalidCondition::new(format!("it has {} bytes: at most {MAX_BYTES} are read", source.len()), MAX_BYTES));
    }
    let levels = vec![BracketLevel::default()];
    let mut scan = Scan { source: source.as_bytes(), at: 0, levels, is_has: false, has_calls: 0, last: LastToken::Operator };
    while scan.at < scan.source.len() {
        scan.token()?;
        scan.check_depth()?;
    }
    Ok(scan.has_calls)
}

struct Scan<'s> {
    source: &'s [u8],
    at: usize,
    levels: Vec<BracketLevel>,
    /// The last word is `has`, and only blanks came since.
    is_has: bool,
    has_calls: usize,
    last: LastToken,
}

/// What a sign comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastToken {
    /// A name, a literal or a closing bracket: the sign is between two operands.
    Operand,
    Operator,
    /// A sign of one operand.
    Sign(u8),
}

impl Scan<'_> {
    fn token(&mut self) -> Result<(), InvalidCondition> {
        let at = self.at;
        let rest = &self.source[at..];
        match rest {
            [b'/', b'/', ..] => {
                self.at += rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |end| end + 1);
                return Ok(());
            }
            [b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c, ..] => {
                self.at += 1;
                return Ok(());
            }
            [b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => return self.word(),
            [b'\'' | b'"', ..] => return self.string(0, false),
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => {
                self.at += number_length(rest);
                self.is_has = false;
                self.last = LastToken::Operand;
                return Ok(());
            }
            _ => {}
        }
        self.has_calls += usize::from(self.is_has && rest[0] == b'(');
        self.is_has = false;
        self.sign(rest)?;
        let is_outermost = self.levels.len() == 1;
        let level = self.levels.last_mut().expect("one is always left");
        self.at += 1;
        match rest[0] {
            b'(' | b'[' => {
                level.chain += 1;
                self.levels.push(BracketLevel::default());
                if self.levels.len() > MAX_BRACKETS + 1 {
                    return Err(InvalidCondition::new(format!("brackets are more than {MAX_BRACKETS} deep"), at));
                }
            }
            b')' | b']' if !is_outermost => drop(self.levels.pop()),
            b')' | b']' => return Err(InvalidCondition::new("a bracket that none opens", at)),
            b',' => *level = BracketLevel::default(),
            b'?' => {
                level.chain = 0;
                level.conditionals += 1;
            }
            b':' => level.chain = 0,
            // Their terms become a balanced tree.
            b'&' | b'|' => level.chain = 0,
            b'.' | b'!' | b'-' | b'+' | b'*' | b'/' | b'%' | b'=' | b'<' | b'>' => level.chain += 1,
            b'{' | b'}' => return Err(InvalidCondition::new("there are no maps and messages in conditions", at)),
            _ => return Err(InvalidCondition::new("a character that has no meaning here", at)),
        }
        Ok(())
    }

    /// Notes what the next sign comes after. CEL has no `!` and `-` of one operand beside one another.
    fn sign(&mut self, rest: &[u8]) -> Result<(), InvalidCondition> {
        let is_of_one = match rest {
            [b'!', b'=', ..] => false,
            [b'!', ..] => true,
            [b'-', ..] => self.last != LastToken::Operand,
            _ => false,
        };
        match self.last {
            LastToken::Sign(other) if is_of_one && other != rest[0] => {
                return Err(InvalidCondition::new(
                    "! and - cannot stand side by side: one is for booleans, the other for numbers",
                    self.at,
                ));
            }
            _ => {}
        }
        self.last = match rest[0] {
            sign if is_of_one => LastToken::Sign(sign),
            b')' | b']' => LastToken::Operand,
            _ => LastToken::Operator,
        };
        Ok(())
    }

    /// A name, a keyword, or the letters before a string's quote.
    fn word(&mut self) -> Result<(), InvalidCondition> {
        let rest = &self.source[self.at..];
        let length = rest.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(rest.len());
        let word = &rest[..length];
        if matches!(rest.get(length), Some(b'\'' | b'"')) {
            match word {
                [b'r' | b'R'] => return self.string(1, true),
                [b'b' | b'B'] | [b'b' | b'B', b'r' | b'R'] | [b'r' | b'R', b'b' | b'B'] => {
                    return Err(InvalidCondition::new("there are no bytes in conditions: write a string", self.at));
                }
                _ => {}
            }
        }
        if word == b"in"
            && let Some(level) = self.levels.last_mut()
        {
            level.chain += 1;
        }
        self.is_has = word == b"has";
        self.last = if word == b"in" { LastToken::Operator } else { LastToken::Operand };
        self.at += length;
        Ok(())
    }

    /// A string from its quote, which comes after `prefix` bytes.
    fn string(&mut self, prefix: usize, is_raw: bool) -> Result<(), InvalidCondition> {
        self.is_has = false;
        self.last = LastToken::Operand;
        let start = self.at;
        let rest = &self.source[start + prefix..];
        let quote = rest[0];
        let quotes = if rest.starts_with(&[quote; 3]) { 3 } else { 1 };
        let mut at = quotes;
        while at < rest.len() {
            if rest[at..].starts_with(&[quote; 3][..quotes]) {
                self.at = start + prefix + at + quotes;
                return Ok(());
            }
            match rest[at] {
                b'\\' if !is_raw => at += 2,
                b'\n' | b'\r' if quotes == 1 => {
                    return Err(InvalidCondition::new("a string ends on its line: write \\n, or three quotes around it", start));
                }
                _ => at += 1,
            }
        }
        Err(InvalidCondition::new("a string that nothing ends", start))
    }

    fn check_depth(&self) -> Result<(), InvalidCondition> {
        let depth: usize = self.levels.iter().map(|level| level.chain + level.conditionals).sum();
        if depth > MAX_DEPTH {
            let what = format!("more than {MAX_DEPTH} operators or members inside one another: join parts by && or ||");
            return Err(InvalidCondition::new(what, self.at - 1));
        }
        Ok(())
    }
}

/// The bytes of a number, right or wrong: the parser judges it.
fn number_length(rest: &[u8]) -> usize {
    let mut at = 0;
    while at < rest.len() {
        let is_part = match rest[at] {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
            // A point only before digits, so that a member of a number is one.
            b'.' => rest.get(at + 1).is_some_and(u8::is_ascii_digit),
            b'+' | b'-' => at > 0 && matches!(rest[at - 1], b'e' | b'E') && !rest.starts_with(b"0x") && !rest.starts_with(b"0X"),
            _ => false,
        };
        if !is_part {
            break;
        }
        at += 1;
    }
    at
}
