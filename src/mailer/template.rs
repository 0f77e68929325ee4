//! Templates of mails: `{{name}}` is a value, `{{#name}}…{{/name}}` is there if the value is, `{{^name}}…{{/name}}` if it is not.

use std::fmt::Write;

/// The values that a mail has.
pub const NAMES: [&str; 11] =
    ["address", "owner", "label", "message", "permission", "streams", "starts", "ends", "offer_expires", "link", "code"];

/// Why a text is no template, with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TemplateFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what to write instead.
    pub what: String,
}

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailTemplate(Vec<MailTemplatePart>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum MailTemplatePart {
    Text(String),
    Value(&'static str),
    Section { name: &'static str, is_inverted: bool, parts: Vec<MailTemplatePart> },
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escaping {
    /// As they are.
    Text,
    /// For a text or a quoted attribute of HTML.
    Html,
}

impl MailTemplate {
    /// Reads a template. A section's tag that has a line of its own leaves no empty line.
    ///
    /// # Errors
    /// A value that no mail has, a tag or a section that does not end.
    pub fn parse(text: &str) -> Result<Self, TemplateFault> {
        let text = text.replace("\r\n", "\n");
        let fault = |at: usize, what: String| TemplateFault { line: text[..at].matches('\n').count() + 1, what };
        // The innermost section last; the first is the template itself.
        let mut open: Vec<(&'static str, bool, usize, Vec<MailTemplatePart>)> = vec![("", false, 0, Vec::new())];
        let mut at = 0;
        while let Some(begin) = text[at..].find("{{").map(|found| at + found) {
            let Some(end) = text[begin..].find("}}").map(|found| begin + found) else {
                return Err(fault(begin, "`{{` without `}}`".to_owned()));
            };
            let tag = text[begin + 2..end].trim();
            let (kind, word) = match tag.chars().next() {
                Some(kind @ ('#' | '^' | '/')) => (Some(kind), tag[1..].trim()),
                _ => (None, tag),
            };
            let Some(name) = NAMES.into_iter().find(|name| *name == word) else {
                return Err(fault(begin, format!("no mail has a value of this name; there are {}", NAMES.join(", "))));
            };
            let (mut before, mut after) = (begin, end + 2);
            let line = text[..begin].rfind('\n').map_or(0, |found| found + 1);
            let is_alone = text[line..begin].trim().is_empty() && text[after..].split('\n').next().unwrap_or_default().trim().is_empty();
            if kind.is_some() && is_alone && line >= at {
                before = line;
                after = text[after..].find('\n').map_or(text.len(), |found| after + found + 1);
            }
            let (_, _, _, parts) = open.last_mut().expect("the template itself is never closed");
            if at < before {
                parts.push(MailTemplatePart::Text(text[at..before].to_owned()));
            }
            match kind {
                None => parts.push(MailTemplatePart::Value(name)),
                Some('/') if open.len() > 1 && open.last().is_some_and(|(section, ..)| *section == name) => {
                    let Some((name, is_inverted, _, inner)) = open.pop() else { continue };
                    let (_, _, _, parts) = open.last_mut().expect("the template itself is never closed");
                    parts.push(MailTemplatePart::Section { name, is_inverted, parts: inner });
                }
                Some('/') => return Err(fault(begin, format!("`{{{{/{name}}}}}` ends no section that is open here"))),
                Some(kind) => open.push((name, kind == '^', begin, Vec::new())),
            }
            at = after;
        }
        let Some((name, _, begin, mut parts)) = open.pop() else { return Ok(Self(Vec::new())) };
        if !open.is_empty() {
            return Err(fault(begin, format!("the section `{name}` does not end: write `{{{{/{name}}}}}` after it")));
        }
        if at < text.len() {
            parts.push(MailTemplatePart::Text(text[at..].to_owned()));
        }
        Ok(Self(parts))
    }

    /// Writes it with these values; one that is empty is none.
    pub fn render<'v>(&self, escaping: Escaping, value: impl Fn(&str) -> Option<&'v str>) -> String {
        let mut out = String::new();
        let value = |name: &str| value(name).filter(|text| !text.is_empty());
        render(&self.0, escaping, &value, &mut out);
        out
    }
}

fn render<'v>(parts: &[MailTemplatePart], escaping: Escaping, value: &impl Fn(&str) -> Option<&'v str>, out: &mut String) {
    for part in parts {
        match part {
            MailTemplatePart::Text(text) => out.push_str(text),
            MailTemplatePart::Value(name) => escape(value(name).unwrap_or_default(), escaping, out),
            MailTemplatePart::Section { name, is_inverted, parts } => {
                if value(name).is_some() != *is_inverted {
                    render(parts, escaping, value, out);
                }
            }
        }
    }
}

fn escape(text: &str, escaping: Escaping, out: &mut String) {
    match escaping {
        Escaping::Text => out.push_str(text),
        Escaping::Html => text.chars().for_each(|c| match c {
            '&' | '<' | '>' | '"' | '\'' | '`' => {
                // Writing to a text cannot fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str, label: Option<&str>, escaping: Escaping) -> String {
        MailTemplate::parse(template).unwrap().render(escaping, |name| match name {
            "label" => label,
            "owner" => Some("acme"),
            _ => None,
        })
    }

    #[test]
    fn values_and_sections() {
        let template = "{{owner}}: {{#label}}<{{ label }}>{{/label}}{{^label}}none{{/label}}.";
        assert_eq!(rendered(template, Some("x"), Escaping::Text), "acme: <x>.");
        assert_eq!(rendered(template, None, Escaping::Text), "acme: none.");
        assert_eq!(rendered(template, Some(""), Escaping::Text), "acme: none.");
        assert_eq!(rendered("a\n{{#label}}\nb {{label}}\n{{/label}}\nc\n", Some("x"), Escaping::Text), "a\nb x\nc\n");
        assert_eq!(rendered("a\r\n{{#label}}\r\nb\r\n{{/label}}\r\nc", None, Escaping::Text), "a\nc");
        assert_eq!(rendered("{{#owner}}{{#label}}1{{/label}}{{^label}}2{{/label}}{{/owner}}", None, Escaping::Text), "2");
    }

    #[test]
    fn html_is_escaped_and_a_value_is_no_template() {
        let hostile = "<img onerror='x' src=\"y\">&{{owner}}`";
        let out = rendered("<p title=\"{{label}}\">{{label}}</p>", Some(hostile), Escaping::Html);
        assert!(!out.contains("<img") && !out.contains('\'') && out.matches('"').count() == 2 && out.contains("{{owner}}"), "{out}");
        assert_eq!(rendered("{{label}}", Some(hostile), Escaping::Text), hostile);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, what) in [
            ("a\nb {{owner\n", 2, "without"),
            ("a\n\n{{asset}}", 3, "there are address"),
            ("{{#label}}\nx", 1, "does not end"),
            ("x\n{{/label}}", 2, "ends no section"),
            ("{{#label}}{{#owner}}{{/label}}{{/owner}}", 1, "ends no section"),
        ] {
            let fault = MailTemplate::parse(text).unwrap_err();
            assert!(fault.line == line && fault.what.contains(what), "{text}: {fault}");
        }
    }
}
