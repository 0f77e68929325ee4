//! What the forms of offers have in common: fields with what is wrong with them, what can be chosen, assets to tick or to paste.

use maud::{Markup, html};

use crate::console::model::ProfileChoice;
use crate::console::parts::{Choice, FieldOf};
use crate::share::state::Permission;

/// So many lines are shown of a list that names nothing.
const MOST_LINES: usize = 50;

/// What is wrong with a form: the field, empty for the form as a whole, and the words.
pub(crate) type FormErrors = [(&'static str, String)];

/// What is wrong with one field.
pub(crate) fn error_of<'f>(errors: &'f FormErrors, name: &str) -> Option<&'f str> {
    errors.iter().find(|(field, _)| *field == name).map(|(_, what)| what.as_str())
}

/// What is wrong with the form as a whole.
pub(crate) fn alert(errors: &FormErrors) -> Markup {
    html! { @if let Some(what) = error_of(errors, "") { p.error role="alert" { (what) } } }
}

/// A field with what is wrong with it.
pub(crate) fn field_of<'f>(errors: &'f FormErrors, name: &'f str, label: &'f str) -> FieldOf<'f> {
    FieldOf { name, label, error: error_of(errors, name), ..FieldOf::default() }
}

/// What the target may do, to choose from.
pub(crate) fn permissions() -> Vec<Choice> {
    Permission::ALL.into_iter().map(|one| Choice::plain(one.word())).collect()
}

/// Profiles to choose from; none is chosen before somebody does.
pub(crate) fn profiles(all: &[ProfileChoice]) -> Vec<Choice> {
    std::iter::once(Choice::new("", "Choose one")).chain(all.iter().map(profile_choice)).collect()
}

/// As it is offered for choice.
pub(crate) fn profile_choice(profile: &ProfileChoice) -> Choice {
    let version = profile.revision.map(|revision| format!(" v{revision}")).unwrap_or_default();
    let what = if profile.name == "all" && profile.revision.is_none() { " (everything)" } else { "" };
    Choice::new(profile.name.clone(), format!("{}{version}{what}", profile.name))
}

/// Members that the configuration marks critical: each is ticked by a person before it leaves.
pub(crate) fn critical_ticks(critical: &[String], error: Option<&str>) -> Markup {
    html! {
        @if !critical.is_empty() {
            fieldset.has-error[error.is_some()] {
                legend { "These members are marked critical, and leave. Tick each to say that it shall." }
                @if let Some(error) = error { span.error { (error) } }
                @for (at, member) in critical.iter().enumerate() {
                    label.choice {
                        input type="checkbox" name="critical" value=(member) required autofocus[at == 0 && error.is_some()];
                        span { (member) }
                    }
                }
            }
        }
    }
}

/// One thing to tick.
pub(crate) struct Tick<'f> {
    pub(crate) value: &'f str,
    pub(crate) title: &'f str,
    pub(crate) words: String,
    pub(crate) is_ticked: bool,
}

/// Things to tick, with a search among them, and beside them a list to paste. `below` stands under the ticks.
pub(crate) fn ticks_or_list(name: &str, what: &str, search: &str, ticks: &[Tick<'_>], below: &Markup, list: &FieldOf<'_>) -> Markup {
    html! {
        div.columns {
            @if !ticks.is_empty() {
                div.stack.tight {
                    (FieldOf { name: "search", label: "Search", suffix: "-assets", value: search, ..FieldOf::default() }.text())
                    div.ticks data-ticks="f-search-assets" tabindex="0" role="group" aria-label={ (what) " to tick" } {
                        @for tick in ticks {
                            label.choice {
                                input type="checkbox" name=(name) value=(tick.value) checked[tick.is_ticked];
                                span { b { (tick.title) } " " span.muted { (tick.words) } }
                            }
                        }
                    }
                    (below)
                }
            }
            (list.area(true, 8))
        }
    }
}

/// Lines of a pasted list that name nothing, and what can be done with them.
pub(crate) fn unknown_lines(legend: &str, lines: &[(usize, String)], ways: &[(&str, &str)]) -> Markup {
    html! {
        fieldset.has-error {
            legend { (legend) }
            ul { @for (line, text) in lines.iter().take(MOST_LINES) { li { "line " (line) ": " code { (text) } } } }
            @if lines.len() > MOST_LINES { p { "and " (lines.len() - MOST_LINES) " more" } }
            p { "Mend them in the list, or say what shall become of them:" }
            @for (way, words) in ways { label.choice { input type="checkbox" name="unknown" value=(way); span { (words) } } }
        }
    }
}
