//! What is wrong in a file that a person wrote: where, with the line and a caret, and what to write instead.

use std::fmt;

use crate::document::TextPosition;

/// One thing that is wrong, or to be warned about. It repeats no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, or `environment variable NAME`.
    pub source: String,
    /// Where in it.
    pub place: Option<TextPosition>,
    /// The line it stands in, cut to what a terminal shows and without secrets, and the caret's column in it, from 0.
    pub shown: Option<(String, usize)>,
    /// What is wrong.
    pub what: String,
    /// What to write instead; empty where `what` says it.
    pub instead: String,
}

/// All that is wrong with a configuration, in the order of its files and lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<Diagnostic>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some(place) = self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}", self.what)?;
        if let Some((line, caret)) = &self.shown {
            write!(f, "\n    {line}\n    {:caret$}^", "")?;
        }
        if !self.instead.is_empty() {
            write!(f, "\n    {}", self.instead)?;
        }
        Ok(())
    }
}

impl Diagnostic {
    /// One in a text, with the line shown as `secrets` allow.
    pub fn in_text(source: &str, text: &str, place: TextPosition, secrets: &Secrets, what: String, instead: String) -> Self {
        let above_and_line = text.lines().take(place.line as usize);
        // Where the text could not be read, a secret may go on below the line that names it.
        let may_show = !secrets.is_unread || !(above_and_line.clone().any(is_secret_name) || is_in_kafka(above_and_line.clone()));
        let line = above_and_line.last().filter(|_| may_show);
        let shown = line.and_then(|line| secrets.show(line, place)).map(|(line, column)| window(&line, column));
        Self { source: source.to_owned(), place: Some(place), shown, what, instead }
    }

    /// One that has no place in a text.
    pub fn without_place(source: &str, what: String, instead: String) -> Self {
        Self { source: source.to_owned(), place: None, shown: None, what, instead }
    }
}

/// What must not be shown of a text.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Where a secret value begins: the rest of its line is not shown.
    pub begins: Vec<TextPosition>,
    /// Words of secret values, for those that may go over several lines: a line with one of them is not shown.
    pub pieces: Vec<String>,
    /// Set where the text could not be read, so that secrets are known by the look of a line only.
    pub is_unread: bool,
}

const HIDDEN: &str = "***";

impl Secrets {
    /// The line as it may be shown, and the column of the place in it, from 0. None if nothing may be shown.
    fn show(&self, line: &str, place: TextPosition) -> Option<(String, usize)> {
        let column = (place.column as usize).saturating_sub(1);
        let mut shown = line.to_owned();
        if let Some(begin) = self.begins.iter().filter(|b| b.line == place.line).map(|b| b.column as usize - 1).min() {
            shown = line.chars().take(begin).chain(HIDDEN.chars()).collect();
        }
        if self.pieces.iter().any(|piece| shown.contains(piece.as_str())) {
            return None;
        }
        let column = column.min(shown.chars().count());
        Some((shown, column))
    }
}

/// Whether a key's name says that its value is a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["secret", "pass", "token", "credential", "jaas", "private", "pem", "oauthbearer.config", "sercet"]
        .iter()
        .any(|part| name.contains(part))
}

/// Whether the last of these lines is in the section `kafka`, as far as is known of a text that cannot be read: of librdkafka's
/// settings any may be a secret with a slip in its name.
fn is_in_kafka<'t>(lines: impl Iterator<Item = &'t str>) -> bool {
    lines.fold(false, |is_in, line| {
        let begins_section = line.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '"' | '\''));
        line.contains("kafka") || is_in && !begins_section
    })
}

const WINDOW: usize = 100;

/// At most `WINDOW` characters of a line around a column; control characters as blanks.
fn window(line: &str, column: usize) -> (String, usize) {
    let from = if line.chars().count() <= WINDOW { 0 } else { column.saturating_sub(WINDOW / 2) };
    let shown: String = line.chars().skip(from).take(WINDOW).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let trimmed = shown.trim_start();
    let cut = shown.len() - trimmed.len();
    let cut = if column - from >= cut { cut } else { 0 };
    (shown[cut..].trim_end().to_owned(), column - from - cut)
}

/// The place `at` characters into a scalar that begins at `start`, for pointing into a path: quotes and the escapes
/// before it count as they are written.
pub fn place_inside(text: &str, start: TextPosition, at: usize) -> TextPosition {
    let line = text.lines().nth((start.line as usize).saturating_sub(1)).unwrap_or("");
    let mut rest = line.chars().skip((start.column as usize).saturating_sub(1)).peekable();
    let mut column = start.column;
    let quote = rest.next_if(|c| matches!(c, '"' | '\''));
    column += u32::from(quote.is_some());
    for _ in 0..at {
        column += match (quote, rest.next()) {
            (Some('\''), Some('\'')) => 1 + u32::from(rest.next_if_eq(&'\'').is_some()),
            (Some('"'), Some('\\')) => {
                let digits = match rest.next() {
                    Some('x') => 2,
                    Some('u') => 4,
                    Some('U') => 8,
                    _ => 0,
                };
                2 + rest.by_ref().take(digits).count() as u32
            }
            (_, Some(_)) => 1,
            (_, None) => 0,
        };
    }
    TextPosition { line: start.line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u32, column: u32) -> TextPosition {
        TextPosition { line, column }
    }

    #[test]
    fn says_where_what_and_what_instead() {
        let text = "a: 1\nstreams:\n\tmodus: append\n";
        let d = Diagnostic::in_text("c.yaml", text, place(3, 2), &Secrets::default(), "unknown key".into(), "write `mode`".into());
        assert_eq!(d.to_string(), "c.yaml:3:2: unknown key\n    modus: append\n    ^\n    write `mode`");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let d = Diagnostic::in_text("c", &text, place(1, 5001), &Secrets::default(), String::new(), String::new());
        let (line, caret) = d.shown.unwrap();
        assert_eq!((line.chars().count(), line.chars().nth(caret)), (WINDOW, Some('X')));
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = "a: 1\nmask: { secret: hunter2, modus: 1 }\nkey: |\n  abc\n  def\n";
        let secrets = Secrets { begins: vec![place(2, 17)], pieces: vec!["def".into()], is_unread: false };
        let d = Diagnostic::in_text("c", text, place(2, 26), &secrets, String::new(), String::new());
        assert_eq!(d.shown, Some(("mask: { secret: ***".into(), 19)));
        assert_eq!(Diagnostic::in_text("c", text, place(5, 3), &secrets, String::new(), String::new()).shown, None);
        let unread = Secrets { is_unread: true, ..Secrets::default() };
        let text_of_kafka = "a: 1\nkafka:\n  client:\n    sasl.pasword: hunter2\nlog: [\n";
        for line in 1..=5 {
            let d = Diagnostic::in_text("c", text_of_kafka, place(line, 1), &unread, String::new(), String::new());
            assert_eq!(d.shown.is_some(), line == 1 || line == 5, "{line}");
        }
        for line in 1..=5 {
            let d = Diagnostic::in_text("c", text, place(line, 1), &unread, String::new(), String::new());
            assert_eq!(d.shown.map(|(text, _)| text), (line == 1).then(|| "a: 1".to_owned()), "{line}");
        }
    }

    #[test]
    fn points_into_quoted_text() {
        assert_eq!(place_inside("a: $.b", place(1, 4), 2), place(1, 6));
        assert_eq!(place_inside("a: '$[''b'']'", place(1, 4), 4), place(1, 10));
        assert_eq!(place_inside(r#"a: "$\u0061\tb""#, place(1, 4), 3), place(1, 14));
        assert_eq!(place_inside("a: $", place(1, 4), 9), place(1, 5));
    }
}
