//! The file of tokens: of each the SHA-256, for whom it acts, and its role. Nothing here reads a file.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::access::{Caller, MAX_NAME, Party, Role, is_name};
use crate::config::diagnostic::Secrets;
use crate::config::{ConfigErrors, Diagnostic, read_document};
use crate::document::{DocumentKind, Node, TextPosition};
use crate::id::TenantId;

/// SHA-256 of a token's text. It opens nothing, but who has it can try guesses without being seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

/// One token of the file.
#[derive(Debug, Clone)]
pub struct TokenEntry {
    /// Of its text.
    pub hash: TokenHash,
    /// Who holds it.
    pub caller: Caller,
    /// Where its `sha256` is written.
    pub(crate) place: TextPosition,
}

/// All tokens of a file.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    entries: Vec<TokenEntry>,
}

const KEYS: [&str; 5] = ["sha256", "tenant", "operator", "role", "name"];

impl TokenHash {
    /// The hash of a token's text.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads 64 hex digits; none of anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (index, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
        }
        Some(Self(hash))
    }

    /// Whether the two are equal, in a time that does not depend on where they differ.
    fn equals(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(other.0).fold(0, |difference, (one, two)| difference | (one ^ two));
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}

impl Tokens {
    /// Reads the text of a file; `source` names it in errors.
    ///
    /// # Errors
    /// Everything that is wrong, with its place and what to write instead; no value that might be a token is shown.
    pub fn parse(source: &str, text: &str) -> Result<Self, ConfigErrors> {
        let root = read_document(source, text).map_err(|error| ConfigErrors(vec![error]))?;
        let mut reader = EntryReader { source, text, secrets: secrets_of(&root), errors: Vec::new() };
        let entries = reader.file(&root);
        if reader.errors.is_empty() { Ok(Self { entries }) } else { Err(ConfigErrors(reader.errors)) }
    }

    /// Who holds this token; none if the file does not have it. Its time does not depend on which token is nearly right.
    pub fn caller(&self, token: &str) -> Option<Caller> {
        self.holder(&TokenHash::of(token))
    }

    /// The same for who kept the hash alone.
    pub fn holder(&self, hash: &TokenHash) -> Option<Caller> {
        let mut found = None;
        for entry in &self.entries {
            if entry.hash.equals(hash) {
                found = Some(&entry.caller);
            }
        }
        found.cloned()
    }

    /// All of them, in the order of the file.
    pub fn entries(&self) -> &[TokenEntry] {
        &self.entries
    }
}

/// Each value but a party, a role and a name: it may be a token that was written in place of its hash.
fn secrets_of(root: &Node) -> Secrets {
    let mut secrets = Secrets::default();
    let entries = root.members().iter().flat_map(|member| member.value.as_list().unwrap_or_default());
    for entry in entries {
        let fields = entry.members().iter().filter(|field| !["tenant", "operator", "role", "name"].contains(&field.name.as_str()));
        secrets.begins.extend(fields.map(|field| field.value.place));
        if entry.members().is_empty() {
            secrets.begins.push(entry.place);
        }
    }
    secrets
}

/// A text as it was written, of a number too.
fn text_of(node: &Node) -> Option<&str> {
    match &node.kind {
        DocumentKind::String(text) | DocumentKind::Number(text) => Some(text),
        DocumentKind::Null | DocumentKind::Bool(_) | DocumentKind::List(_) | DocumentKind::Map(_) => None,
    }
}

/// Reads the document and gathers what is wrong.
struct EntryReader<'t> {
    source: &'t str,
    text: &'t str,
    secrets: Secrets,
    errors: Vec<Diagnostic>,
}

impl EntryReader<'_> {
    fn error(&mut self, place: TextPosition, what: impl Into<String>, instead: impl Into<String>) {
        let error = Diagnostic::in_text(self.source, self.text, place, &self.secrets, what.into(), instead.into());
        self.errors.push(error);
    }

    fn file(&mut self, root: &Node) -> Vec<TokenEntry> {
        if root.is_null() {
            return Vec::new();
        }
        if !matches!(root.kind, DocumentKind::Map(_)) {
            self.error(root.place, format!("a file of tokens is {}, not a map", root.kind_name()), "write `tokens:` and a list below it");
        }
        for member in root.members().iter().filter(|member| member.name != "tokens") {
            self.error(member.place, format!("unknown key `{}`", member.name), "the only key is `tokens`");
        }
        let Some(list) = root.get("tokens").filter(|list| !list.is_null()) else { return Vec::new() };
        let Some(items) = list.as_list() else {
            self.error(list.place, format!("`tokens` is {}, not a list", list.kind_name()), "write each token as `- sha256: …`");
            return Vec::new();
        };
        let entries: Vec<TokenEntry> = items.iter().filter_map(|item| self.entry(item)).collect();
        let mut first = HashMap::new();
        for entry in &entries {
            if let Some(line) = first.insert(entry.hash, entry.place.line) {
                self.error(entry.place, format!("this token is there twice, first in line {line}"), "remove one of them");
            }
        }
        entries
    }

    fn entry(&mut self, item: &Node) -> Option<TokenEntry> {
        let DocumentKind::Map(fields) = &item.kind else {
            let instead = "write `sha256`, `tenant` (or `operator: true`), `role` and, if you like, `name`";
            self.error(item.place, format!("a token is {}, not a map", item.kind_name()), instead);
            return None;
        };
        for field in fields.iter().filter(|field| !KEYS.contains(&field.name.as_str())) {
            let instead = format!("the keys of a token are {}", KEYS.map(|key| format!("`{key}`")).join(", "));
            self.error(field.place, "unknown key of a token", instead);
        }
        let hash = self.hash(item);
        let who = self.party(item);
        let is_operator = who == Some(Party::Operator);
        let role = self.role(item, is_operator);
        let name = self.name(item);
        let (hash, place) = hash?;
        Some(TokenEntry { hash, caller: Caller { who: who?, role: role?, name: name? }, place })
    }

    fn hash(&mut self, item: &Node) -> Option<(TokenHash, TextPosition)> {
        let instead = "write the 64 hex digits that `printf %s TOKEN | sha256sum` prints, or let `sharecast token new` make a token";
        let Some(written) = item.get("sha256") else {
            self.error(item.place, "a token has no `sha256`", instead);
            return None;
        };
        let hash = text_of(written).and_then(TokenHash::parse);
        if hash.is_none() {
            self.error(written.place, "`sha256` is no SHA-256: 64 hex digits are", instead);
        }
        hash.map(|hash| (hash, written.place))
    }

    fn party(&mut self, item: &Node) -> Option<Party> {
        let operator = item.get("operator").filter(|node| !node.is_null());
        let tenant = item.get("tenant").filter(|node| !node.is_null());
        if let Some(node) = operator.filter(|node| node.as_bool().is_none()) {
            self.error(node.place, format!("`operator` is {}", node.kind_name()), "write `operator: true`, or `tenant: ID` in its place");
            return None;
        }
        match (operator.and_then(Node::as_bool).unwrap_or(false), tenant) {
            (true, None) => Some(Party::Operator),
            (false, Some(node)) => {
                let id = text_of(node).map(TenantId::parse);
                if let Some(Ok(id)) = id {
                    return Some(Party::Tenant(id));
                }
                let rule = "a tenant id has 1 to 64 of A-Z a-z 0-9 _ -, beginning with a letter or digit";
                self.error(node.place, "`tenant` is no tenant id", rule);
                None
            }
            (true, Some(node)) => {
                self.error(node.place, "a token is the operator's or a tenant's, not both", "remove `operator` or `tenant`");
                None
            }
            (false, None) => {
                self.error(item.place, "a token says neither `tenant` nor `operator`", "write `tenant: ID` or `operator: true`");
                None
            }
        }
    }

    fn role(&mut self, item: &Node, is_operator: bool) -> Option<Role> {
        let instead = "write `viewer` (sees) or `admin` (acts)";
        match item.get("role").filter(|node| !node.is_null()) {
            Some(node) => {
                let role = node.as_str().and_then(Role::parse);
                if role.is_none() {
                    self.error(node.place, "`role` is no role", instead);
                }
                role
            }
            None if is_operator => Some(Role::Admin),
            None => {
                self.error(item.place, "a token has no `role`", instead);
                None
            }
        }
    }

    fn name(&mut self, item: &Node) -> Option<Option<Arc<str>>> {
        let Some(node) = item.get("name").filter(|node| !node.is_null()) else { return Some(None) };
        match text_of(node).filter(|text| is_name(text)) {
            Some(text) => Some(Some(text.into())),
            None => {
                self.error(node.place, "`name` is no name", format!("write 1 to {MAX_NAME} bytes without control characters"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(token: &str) -> String {
        TokenHash::of(token).to_string()
    }

    fn read(text: &str) -> Tokens {
        Tokens::parse("tokens.yaml", text).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn a_token_is_known_by_its_hash() {
        let text = format!(
            "# Who may come in.\ntokens:\n  - {{ sha256: {}, tenant: acme, role: admin, name: Ann }}\n  - sha256: '{}'\n    tenant: 7\n    role: viewer\n  - {{ sha256: {}, operator: true }}\n",
            hash("one"),
            hash("two").to_uppercase(),
            hash("three")
        );
        let tokens = read(&text);
        let caller = |token| tokens.caller(token).map(|caller| (caller.who, caller.role, caller.name.map(|name| name.to_string())));
        let tenant = |id| Party::Tenant(TenantId::parse(id).unwrap());
        assert_eq!(caller("one"), Some((tenant("acme"), Role::Admin, Some("Ann".into()))));
        assert_eq!(caller("two"), Some((tenant("7"), Role::Viewer, None)));
        assert_eq!(caller("three"), Some((Party::Operator, Role::Admin, None)));
        for unknown in ["", "One", "one ", &hash("one")] {
            assert_eq!(caller(unknown), None, "{unknown}");
        }
        assert_eq!(tokens.holder(&TokenHash::of("one")), tokens.caller("one"));
    }

    #[test]
    fn every_bit_of_a_hash_counts() {
        let known = TokenHash::of("one");
        assert!(known.equals(&known));
        for bit in 0..256 {
            let mut other = known;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!known.equals(&other), "{bit}");
        }
    }

    #[test]
    fn no_tokens_is_no_error() {
        for text in ["", "# nobody yet\n", "tokens:\n", "tokens: []\n"] {
            assert!(read(text).entries().is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_what_to_write() {
        let hash = hash("one");
        for (text, place, what, instead) in [
            ("- a\n".to_owned(), "1:1", "a file of tokens is a list", "write `tokens:`"),
            ("token: []\n".to_owned(), "1:1", "unknown key `token`", "the only key is `tokens`"),
            ("tokens: acme\n".to_owned(), "1:9", "`tokens` is a string", "`- sha256: …`"),
            ("tokens:\n  - acme\n".to_owned(), "2:5", "a token is a string", "write `sha256`"),
            ("tokens:\n  - { tenant: acme, role: admin }\n".to_owned(), "2:5", "no `sha256`", "sha256sum"),
            ("tokens:\n  - { sha256: hunter2, tenant: acme, role: admin }\n".to_owned(), "2:15", "no SHA-256", "sha256sum"),
            (format!("tokens:\n  - {{ sha256: {hash}, role: admin }}\n"), "2:5", "neither `tenant` nor `operator`", "`tenant: ID`"),
            (format!("tokens:\n  - {{ sha256: {hash}, tenant: a, operator: true }}\n"), "2:89", "not both", "remove"),
            (format!("tokens:\n  - {{ sha256: {hash}, operator: yes-please }}\n"), "2:91", "`operator` is a string", "`operator: true`"),
            (format!("tokens:\n  - {{ sha256: {hash}, tenant: \"a b\", role: admin }}\n"), "2:89", "no tenant id", "1 to 64"),
            (format!("tokens:\n  - {{ sha256: {hash}, tenant: a }}\n"), "2:5", "no `role`", "`viewer`"),
            (format!("tokens:\n  - {{ sha256: {hash}, tenant: a, role: root }}\n"), "2:98", "`role` is no role", "`viewer`"),
            (
                format!("tokens:\n  - {{ sha256: {hash}, tenant: a, role: admin, name: \"\\n\" }}\n"),
                "2:111",
                "no name",
                "control characters",
            ),
            (format!("tokens:\n  - {{ sha256: {hash}, tenant: a, role: admin, rolle: hunter2 }}\n"), "2:105", "unknown key", "`sha256`"),
            (
                format!("tokens:\n  - {{ sha256: {hash}, tenant: a, role: admin }}\n  - {{ sha256: {hash}, operator: true }}\n"),
                "3:15",
                "twice, first in line 2",
                "remove",
            ),
            ("tokens:\n  - { sha256: hunter2\n".to_owned(), "3:1", "", ""),
        ] {
            let error = Tokens::parse("tokens.yaml", &text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("tokens.yaml:{place}: ")), "{text}{error}");
            assert!(error.contains(what) && error.contains(instead), "{text}{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn all_errors_are_said_at_once() {
        let error = Tokens::parse("t", "tokens:\n  - { sha256: x, tenant: '', role: y, name: '' }\n").unwrap_err();
        assert_eq!(error.0.len(), 4, "{error}");
    }
}
