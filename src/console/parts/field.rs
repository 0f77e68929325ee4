//! FormFields of forms: a label, a hint, and beside it what is wrong with what was typed, which stays.

use maud::{Markup, PreEscaped, html};

/// What each form that writes carries besides its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormSeal {
    /// That it is a form of this session.
    pub(crate) csrf: String,
    /// So that it writes once, however often it is sent.
    pub(crate) key: String,
}

impl FormSeal {
    /// The hidden fields.
    pub(crate) fn fields(&self) -> Markup {
        html! {
            input type="hidden" name="csrf" value=(self.csrf);
            input type="hidden" name="key" value=(self.key);
        }
    }

    /// The fields of a form with another key: several forms of one page write different things.
    pub(crate) fn for_form(&self, part: &str) -> Markup {
        html! {
            input type="hidden" name="csrf" value=(self.csrf);
            input type="hidden" name="key" value={ (self.key) "." (part) };
        }
    }
}

/// One of several values to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) words: String,
}

impl Choice {
    pub(crate) fn new(value: impl Into<String>, words: impl Into<String>) -> Self {
        Self { value: value.into(), words: words.into() }
    }

    /// Whose words are its value.
    pub(crate) fn plain(value: impl Into<String>) -> Self {
        let value = value.into();
        Self { words: value.clone(), value }
    }
}

/// One field.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FieldOf<'f> {
    pub(crate) name: &'f str,
    pub(crate) label: &'f str,
    pub(crate) value: &'f str,
    pub(crate) hint: Option<&'f str>,
    pub(crate) error: Option<&'f str>,
    pub(crate) is_required: bool,
    /// Parts several fields of one name on a page.
    pub(crate) suffix: &'f str,
}

impl FieldOf<'_> {
    fn id(&self) -> String {
        format!("f-{}{}", self.name, self.suffix)
    }

    fn described(&self, id: &str) -> Option<String> {
        let hint = self.hint.map(|_| format!("{id}-hint"));
        let error = self.error.map(|_| format!("{id}-error"));
        let all: Vec<String> = hint.into_iter().chain(error).collect();
        (!all.is_empty()).then(|| all.join(" "))
    }

    fn around(&self, control: &Markup) -> Markup {
        let id = self.id();
        html! {
            div.field.has-error[self.error.is_some()] {
                label for=(id) { (self.label) }
                @if let Some(hint) = self.hint { span.hint id={ (id) "-hint" } { (hint) } }
                @if let Some(error) = self.error { span.error id={ (id) "-error" } { (error) } }
                (control)
            }
        }
    }

    /// A line of text.
    pub(crate) fn text(&self) -> Markup {
        self.input("text", PreEscaped(String::new()))
    }

    /// An address.
    pub(crate) fn email(&self) -> Markup {
        self.input("email", PreEscaped(String::new()))
    }

    /// A day.
    pub(crate) fn date(&self) -> Markup {
        self.input("date", PreEscaped(String::new()))
    }

    /// What nobody shall read over a shoulder.
    pub(crate) fn secret(&self) -> Markup {
        self.input("password", PreEscaped(String::new()))
    }

    /// A line with values that it may complete.
    pub(crate) fn text_of(&self, known: &[Choice]) -> Markup {
        let list = format!("{}-list", self.id());
        let options = html! { datalist id=(list) { @for one in known { option value=(one.value) { (one.words) } } } };
        self.input("text", options)
    }

    #[allow(clippy::needless_pass_by_value, reason = "markup is made to be handed on")]
    fn input(&self, kind: &str, options: Markup) -> Markup {
        let id = self.id();
        let list = (!options.0.is_empty()).then(|| format!("{id}-list"));
        self.around(&html! {
            input type=(kind) id=(id) name=(self.name) value=(self.value) list=[list] required[self.is_required] autocomplete="off"
                aria-describedby=[self.described(&id)] aria-invalid=[self.error.map(|_| "true")] autofocus[self.error.is_some()];
            (options)
        })
    }

    /// Several lines.
    pub(crate) fn area(&self, is_code: bool, rows: u32) -> Markup {
        let id = self.id();
        // A line break at the beginning would be swallowed.
        self.around(&html! {
            textarea.code[is_code] id=(id) name=(self.name) rows=(rows) required[self.is_required] spellcheck=[is_code.then_some("false")]
                aria-describedby=[self.described(&id)] aria-invalid=[self.error.map(|_| "true")] autofocus[self.error.is_some()] {
                "\n" (self.value)
            }
        })
    }

    /// One of several; the first, without a value, says that none is chosen.
    pub(crate) fn select(&self, choices: &[Choice]) -> Markup {
        let id = self.id();
        self.around(&html! {
            select id=(id) name=(self.name) required[self.is_required]
                aria-describedby=[self.described(&id)] aria-invalid=[self.error.map(|_| "true")] autofocus[self.error.is_some()] {
                @for choice in choices {
                    option value=(choice.value) selected[choice.value == self.value] { (choice.words) }
                }
            }
        })
    }

    /// Boxes to tick, of one name.
    pub(crate) fn ticks(&self, choices: &[Choice], ticked: &[String]) -> Markup {
        let id = self.id();
        html! {
            fieldset.has-error[self.error.is_some()] aria-describedby=[self.described(&id)] {
                legend { (self.label) }
                @if let Some(hint) = self.hint { span.hint.small.muted id={ (id) "-hint" } { (hint) } }
                @if let Some(error) = self.error { span.error id={ (id) "-error" } { (error) } }
                @for (index, choice) in choices.iter().enumerate() {
                    label.choice {
                        input type="checkbox" name=(self.name) value=(choice.value) checked[ticked.contains(&choice.value)]
                            autofocus[index == 0 && self.error.is_some()];
                        span { (choice.words) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stands_beside_its_field_and_what_was_typed_stays() {
        let field = FieldOf { name: "to", label: "Account", value: "\"><b>", error: Some("unknown"), ..FieldOf::default() };
        let text = field.text().into_string();
        assert!(text.contains(r#"value="&quot;&gt;&lt;b&gt;""#) && text.contains(r#"aria-describedby="f-to-error""#), "{text}");
        assert!(text.contains(r#"aria-invalid="true""#) && text.contains(" autofocus"), "{text}");
        let text = FieldOf { error: None, ..field }.text().into_string();
        assert!(!text.contains("aria-") && !text.contains("autofocus"), "{text}");
    }
}
