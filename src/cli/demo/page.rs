//! What the demo prints: headings, commands, results; colours only where a person looks.

use std::io::{IsTerminal, Write, stdout};

/// How a piece of text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it is.
    Plain,
    /// What a step is about.
    Heading,
    /// What one would type.
    Command,
    /// Of less weight.
    Faint,
    /// Came true.
    Good,
    /// Was changed on its way.
    Changed,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Heading => "1",
            Self::Command => "36",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Changed => "33",
        }
    }
}

/// Standard output, step by step.
#[derive(Debug)]
pub(super) struct Page {
    has_colours: bool,
    step: u32,
}

impl Page {
    /// Colours on a terminal, unless NO_COLOR says otherwise (no-color.org) or the terminal has none.
    pub(super) fn on_stdout() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { has_colours: stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb, step: 0 }
    }

    /// Without colours.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { has_colours: false, step: 0 }
    }

    /// The text in its tone.
    pub(super) fn toned(&self, tone: Tone, text: &str) -> String {
        if self.has_colours && tone != Tone::Plain { format!("\x1b[{}m{text}\x1b[0m", tone.code()) } else { text.to_owned() }
    }

    /// One line as it is. A reader that has gone is no fault of the story.
    pub(super) fn line(&self, text: &str) {
        let _ = writeln!(stdout(), "{text}");
    }

    /// A paragraph within a step.
    pub(super) fn say(&self, text: &str) {
        self.line(&format!("   {text}"));
    }

    /// A paragraph of less weight.
    pub(super) fn aside(&self, text: &str) {
        self.line(&format!("   {}", self.toned(Tone::Faint, text)));
    }

    /// What was promised, and seen.
    pub(super) fn seen(&self, text: &str) {
        self.line(&format!("   {} {text}", self.toned(Tone::Good, "ok")));
    }

    /// A command line, written as one would type it; one that is too long goes on below.
    pub(super) fn command(&self, line: &str) {
        for (at, part) in broken(line, 74).iter().enumerate() {
            let lead = if at == 0 { "   $ " } else { "       " };
            self.line(&self.toned(Tone::Command, &format!("{lead}{part}")));
        }
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, heading: &str) {
        self.step += 1;
        self.line("");
        self.line(&format!("{}  {}", self.step, self.toned(Tone::Heading, heading)));
    }
}

/// The line in parts of at most about `width`, each but the last ending in a backslash; options stay with their values.
fn broken(line: &str, width: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    for group in line.split(" --").enumerate().map(|(at, group)| if at == 0 { group.to_owned() } else { format!("--{group}") }) {
        let part = parts.last_mut().expect("begun with one");
        if !part.is_empty() && part.len() + 1 + group.len() > width {
            part.push_str(" \\");
            parts.push(group);
        } else {
            part.push_str(if part.is_empty() { "" } else { " " });
            part.push_str(&group);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_broken_before_an_option() {
        assert_eq!(broken("a b --c d", 40), ["a b --c d"]);
        assert_eq!(broken("a b --c d --e f", 10), ["a b --c d \\", "--e f"]);
    }

    #[test]
    fn without_colours_text_is_as_it_is() {
        let page = |has_colours| Page { has_colours, step: 0 };
        assert_eq!(page(false).toned(Tone::Good, "x"), "x");
        assert_eq!(page(true).toned(Tone::Good, "x"), "\x1b[32mx\x1b[0m");
        assert_eq!(page(true).toned(Tone::Plain, "x"), "x");
    }
}
