//! Changes the text of a file of tokens, and leaves every other line of it as it is.

use crate::access::{Caller, Party, TokenHash, Tokens};
use crate::config::ConfigErrors;
use crate::json::text::write_string;

/// Why a file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It is wrong as it is.
    #[error("{0}")]
    Wrong(#[from] ConfigErrors),
    /// It is written in a form that only a person can change.
    #[error("{0}: `tokens` is not a list with a line `- sha256: …` of its own for each token; write it so, or change it by hand")]
    Form(String),
}

/// What a file that is not there yet begins with.
const HEAD: &str = "# Who may come in: of each token its SHA-256, for whom it acts, and its role.\n\
                    # `sharecast token new` adds one, `sharecast token revoke` takes one away.\n";

/// The text with one more token at its end.
///
/// # Errors
/// The file is wrong, or its form does not allow it.
pub fn with_token(source: &str, text: &str, hash: TokenHash, caller: &Caller) -> Result<String, TokenFileError> {
    let before = Tokens::parse(source, text)?;
    let mut out = if text.trim().is_empty() { HEAD.to_owned() } else { text.to_owned() };
    if !out.ends_with('\n') {
        out.push('\n');
    }
    if before.entries().is_empty() {
        let lines = out.lines().filter(|line| !matches!(line.split('#').next().unwrap_or_default().trim_end(), "tokens:" | "tokens: []"));
        out = lines.map(|line| format!("{line}\n")).collect();
        out.push_str("tokens:\n");
    }
    out.push_str(&entry(hash, caller, indent(text, &before)));
    let after = Tokens::parse(source, &out).ok().filter(|after| {
        let (last, others) = after.entries().split_last().map_or((None, &[][..]), |(last, others)| (Some(last), others));
        last.is_some_and(|last| last.hash == hash && last.caller == *caller)
            && others.iter().map(|entry| entry.hash).eq(before.entries().iter().map(|entry| entry.hash))
    });
    after.map(|_| out).ok_or_else(|| TokenFileError::Form(source.to_owned()))
}

/// The text without one of its tokens.
///
/// # Errors
/// The file is wrong, or its form does not allow it.
pub fn without_token(source: &str, text: &str, hash: TokenHash) -> Result<String, TokenFileError> {
    let before = Tokens::parse(source, text)?;
    let form = || TokenFileError::Form(source.to_owned());
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let entry = before.entries().iter().find(|entry| entry.hash == hash).ok_or_else(form)?;
    let begins = |line: &&str| line.trim_start().starts_with("- ") || line.trim() == "-";
    let at = (entry.place.line as usize).saturating_sub(1);
    let first = (0..=at.min(lines.len().saturating_sub(1))).rev().find(|line| begins(&lines[*line])).ok_or_else(form)?;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let is_of_entry = |line: &&&str| !line.trim().is_empty() && !line.trim_start().starts_with('#') && depth(line) > depth(lines[first]);
    let count = 1 + lines[first + 1..].iter().take_while(is_of_entry).count();
    let out: String = lines[..first].iter().chain(&lines[first + count..]).copied().collect();
    let left = before.entries().iter().map(|entry| entry.hash).filter(|other| *other != hash);
    let is_right = Tokens::parse(source, &out).is_ok_and(|after| after.entries().iter().map(|entry| entry.hash).eq(left));
    if is_right { Ok(out) } else { Err(form()) }
}

/// How far the list is moved in.
fn indent(text: &str, tokens: &Tokens) -> usize {
    let line = tokens.entries().first().and_then(|entry| text.lines().nth((entry.place.line as usize).saturating_sub(1)));
    line.filter(|line| line.trim_start().starts_with("- ")).map_or(2, |line| line.len() - line.trim_start().len())
}

fn entry(hash: TokenHash, caller: &Caller, indent: usize) -> String {
    let quoted = |text: &str| {
        let mut out = Vec::new();
        write_string(text, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    let who = match &caller.who {
        Party::Tenant(tenant) => format!("tenant: {}", quoted(tenant.as_str())),
        Party::Operator => "operator: true".to_owned(),
    };
    let name = caller.name.as_deref().map(|name| format!("name: {}", quoted(name)));
    let fields = [Some(format!("sha256: \"{hash}\"")), Some(who), Some(format!("role: {}", caller.role.word())), name];
    let lines = fields.into_iter().flatten().enumerate();
    lines.map(|(index, field)| format!("{:indent$}{} {field}\n", "", if index == 0 { '-' } else { ' ' })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::id::TenantId;

    fn caller(tenant: &str, name: Option<&str>) -> Caller {
        Caller { who: Party::Tenant(TenantId::parse(tenant).unwrap()), role: Role::Viewer, name: name.map(Into::into) }
    }

    #[test]
    fn a_token_is_added_to_whatever_is_there() {
        let one = TokenHash::of("one");
        for text in [
            "",
            "# mine\n",
            "tokens:\n",
            "tokens: []   # none\n",
            "tokens:\n- { sha256: aa, operator: true } # boss",
            "tokens:\n    - sha256: aa\n      operator: true\n    # the end\n",
        ] {
            let text = text.replace("aa", &TokenHash::of("zero").to_string());
            let first = with_token("t", &text, one, &caller("true", Some("Ann \"A\": #1"))).unwrap();
            let tokens = Tokens::parse("t", &first).unwrap();
            assert_eq!(tokens.caller("one"), Some(caller("true", Some("Ann \"A\": #1"))), "{first}");
            for comment in ["# mine", "# boss", "# the end"] {
                assert_eq!(text.contains(comment), first.contains(comment), "{first}");
            }
            let second = with_token("t", &first, TokenHash::of("two"), &caller("b", None)).unwrap();
            assert_eq!(without_token("t", &second, TokenHash::of("two")).unwrap(), first);
        }
    }

    #[test]
    fn a_token_goes_and_its_neighbours_and_comments_stay() {
        let [a, b, c] = ["a", "b", "c"].map(TokenHash::of);
        let text = format!(
            "# top\ntokens:\n  # of a\n  - sha256: {a}\n    operator: true\n\n  # of b\n  - {{ sha256: {b}, tenant: t, role: admin }}\n  -\n    tenant: u\n    sha256: {c}\n    role: viewer\n"
        );
        assert_eq!(without_token("t", &text, b).unwrap(), text.replace(&format!("  - {{ sha256: {b}, tenant: t, role: admin }}\n"), ""));
        let without = without_token("t", &text, c).unwrap();
        assert!(without.ends_with("role: admin }\n"), "{without}");
        let without = without_token("t", &text, a).unwrap();
        assert!(without.starts_with("# top\ntokens:\n  # of a\n\n  # of b\n"), "{without}");
        let none = without_token("t", &without_token("t", &without, b).unwrap(), c).unwrap();
        assert!(Tokens::parse("t", &none).unwrap().entries().is_empty());
        assert!(with_token("t", &none, a, &caller("x", None)).unwrap().contains("# of b"));
    }

    #[test]
    fn what_cannot_be_changed_by_line_is_left_to_a_person() {
        let text = format!("tokens: [ {{ sha256: {}, operator: true }} ]\n", TokenHash::of("a"));
        assert!(matches!(with_token("t", &text, TokenHash::of("b"), &caller("x", None)), Err(TokenFileError::Form(_))));
        assert!(matches!(without_token("t", &text, TokenHash::of("a")), Err(TokenFileError::Form(_))));
        assert!(matches!(with_token("t", "tokens: 5", TokenHash::of("b"), &caller("x", None)), Err(TokenFileError::Wrong(_))));
    }
}
