//! A state: a word, a shape and a colour, never a colour alone.

use maud::{Markup, Render, html};

/// The kinds of colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadgeTone {
    Good,
    Wait,
    Bad,
    Over,
    Info,
}

impl BadgeTone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "badge good",
            Self::Wait => "badge wait",
            Self::Bad => "badge bad",
            Self::Over => "badge over",
            Self::Info => "badge info",
        }
    }
}

/// A state as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Badge {
    pub(crate) word: &'static str,
    pub(crate) shape: &'static str,
    pub(crate) tone: BadgeTone,
    /// Why, in a sentence: beside the badge for who cannot hover.
    pub(crate) hint: Option<String>,
}

impl Badge {
    pub(crate) fn new(word: &'static str, shape: &'static str, tone: BadgeTone) -> Self {
        Self { word, shape, tone, hint: None }
    }

    pub(crate) fn with(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl Render for Badge {
    fn render(&self) -> Markup {
        html! {
            span class=(self.tone.class()) title=[self.hint.as_deref()] {
                span.shape aria-hidden="true" { (self.shape) }
                (self.word)
            }
            @if let Some(hint) = &self.hint { span.second { (hint) } }
        }
    }
}
