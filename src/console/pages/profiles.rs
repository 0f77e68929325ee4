//! Sharing profiles: the list, and an editor beside a record: the owner's left, what would leave right, as one types.

use maud::{Markup, html};

use crate::console::model::query;
use crate::console::pages::leaves::{LeavingExample, every_member};
use crate::console::pages::terms::critical_ticks;
use crate::console::parts::{Badge, BadgeTone, Choice, FieldOf, FormSeal, empty, head};

/// One profile of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProfileRow {
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) revision: u32,
    pub(crate) is_retired: bool,
    pub(crate) streams: Vec<String>,
    /// Live shares that use it.
    pub(crate) shares: usize,
}

/// The list.
pub(crate) fn list(rows: &[ProfileRow], may_write: bool, is_operator: bool, said: Option<&Markup>) -> Markup {
    let actions = may_write.then(|| html! { a.button.primary href="/profiles/edit" { "New profile" } });
    html! {
        (head(html! { "Sharing profiles" }, Some(html! { "A profile says which members of a record leave, and how they are changed on the way. Nothing else leaves." }), actions))
        @if let Some(said) = said { (said) }
        section.panel id="profile-list" data-live data-rows aria-label="Sharing profiles" {
            @if rows.is_empty() {
                @let action = may_write.then(|| html! { a.button.primary href="/profiles/edit" { "New profile" } });
                (empty("No profiles yet", "Write one beside a record of yours. Until then only the built-in profile `all`, which is everything, can be named.", action))
            } @else {
                div.scroll { table.folds {
                    thead { tr {
                        th scope="col" { "Profile" } @if is_operator { th scope="col" { "Owner" } } th scope="col" { "Version" } th scope="col" { "Streams" } th scope="col" { "Live shares" } th scope="col" { "Status" }
                    } }
                    tbody { @for row in rows {
                        tr data-row={ (row.owner) "/" (row.name) } {
                            td data-head="Profile" { a href={ "/profiles/edit" (query(&[("name", &row.name), ("owner", if is_operator { &row.owner } else { "" })])) } { (row.name) } }
                            @if is_operator { td data-head="Owner" { (row.owner) } }
                            td data-head="Version" { "v" (row.revision) }
                            td data-head="Streams" { (row.streams.join(", ")) }
                            td data-head="Live shares" { (row.shares) }
                            td data-head="Status" { div { @if row.is_retired { (Badge::new("Retired", "■", BadgeTone::Over).with("its shares release nothing")) } @else { (Badge::new("Published", "●", BadgeTone::Good)) } } }
                        }
                    } }
                } }
            }
        }
    }
}

/// The editor.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProfileEditor {
    pub(crate) owner: String,
    pub(crate) name: String,
    /// None of one that is not published yet.
    pub(crate) revision: Option<u32>,
    pub(crate) is_retired: bool,
    pub(crate) source: String,
    pub(crate) stream: String,
    pub(crate) streams: Vec<String>,
    /// The record that is projected, and of which asset it is.
    pub(crate) record: String,
    pub(crate) asset: String,
    pub(crate) assets: Vec<Choice>,
    pub(crate) error: Option<String>,
    /// Members that are marked critical, to be ticked before it is published.
    pub(crate) ticks: Vec<String>,
    pub(crate) shares: usize,
    pub(crate) may_write: bool,
    pub(crate) is_operator: bool,
}

/// What an evaluation found.
#[derive(Debug, Clone)]
pub(crate) enum EditorPreview {
    /// The text is no profile: where, and why.
    Broken {
        line: Option<usize>,
        what: String,
    },
    /// It says something, and there is no record to show it on.
    NoRecord(String),
    Shown {
        example: LeavingExample,
        critical: Vec<String>,
    },
}

/// The page.
pub(crate) fn edit(editor: &ProfileEditor, preview: &EditorPreview, seal: &FormSeal) -> Markup {
    let title = if editor.revision.is_some() { editor.name.clone() } else { "New profile".to_owned() };
    let version = editor.revision.map(|revision| format!("v{revision}"));
    let streams: Vec<Choice> = editor.streams.iter().map(Choice::plain).collect();
    let preview_address = "/profiles/render";
    html! {
        nav.crumb aria-label="Above" { a href="/profiles" { "Sharing profiles" } }
        (head(html! { (title) @if let Some(version) = version { " " span.muted { (version) } } },
            Some(html! { @if editor.shares > 0 { (uses(editor.shares)) ": publishing changes what leaves for them at once." } @else { "Left a record of yours, in the middle the profile, right what would leave." } }), None))
        form.row.at-end method="get" action="/profiles/edit" {
            @if !editor.name.is_empty() { input type="hidden" name="name" value=(editor.name); }
            @if !editor.owner.is_empty() { input type="hidden" name="owner" value=(editor.owner); }
            (FieldOf { name: "asset", label: "Newest record of asset", value: &editor.asset, suffix: "-of", ..FieldOf::default() }.text_of(&editor.assets))
            (FieldOf { name: "stream", label: "Stream", value: &editor.stream, suffix: "-of", ..FieldOf::default() }.select(&streams))
            button { "Show this record" }
        }
        form.stack method="post" action="/profiles/edit" data-preview=(preview_address) data-into="preview" {
            (seal.fields())
            input type="hidden" name="stream" value=(editor.stream);
            input type="hidden" name="asset" value=(editor.asset);
            div.editor {
                (FieldOf { name: "record", label: "A record, as it came", value: &editor.record, hint: Some("of an asset, or pasted"), ..FieldOf::default() }.area(true, 18))
                (FieldOf { name: "source", label: "Profile", value: &editor.source, hint: Some("YAML: include, exclude, transform, for each stream"), error: editor.error.as_deref(), ..FieldOf::default() }.area(true, 18))
                div.stack.tight id="preview" aria-live="polite" { (rendered(preview)) }
            }
            (critical_ticks(&editor.ticks, None))
            div.row.at-end {
                button formaction="/profiles/show" formnovalidate { "Evaluate" }
                @if editor.may_write {
                    @if editor.is_operator { (FieldOf { name: "owner", label: "Owner", value: &editor.owner, is_required: true, ..FieldOf::default() }.text()) }
                    @else if !editor.owner.is_empty() { input type="hidden" name="owner" value=(editor.owner); }
                    (FieldOf { name: "name", label: "Name", value: &editor.name, is_required: true, ..FieldOf::default() }.text())
                    button.primary { @if editor.revision.is_some() { "Publish" } @else { "Publish as new" } }
                }
            }
        }
        @if editor.may_write && editor.revision.is_some() && !editor.is_retired {
            form.panel method="post" action="/profiles/retire" { div.body {
                (seal.for_form("retire"))
                input type="hidden" name="name" value=(editor.name);
                @if !editor.owner.is_empty() { input type="hidden" name="owner" value=(editor.owner); }
                h2 { "Retire" }
                p { "Its shares release nothing until it is published again, and no new offer can name it." }
                div { button.danger { "Retire " (editor.name) @if editor.shares > 0 { ", which stops " (shares(editor.shares)) } } }
            } }
        }
    }
}

fn shares(count: usize) -> String {
    if count == 1 { "1 live share".to_owned() } else { format!("{count} live shares") }
}

fn uses(count: usize) -> String {
    format!("{} {}", shares(count), if count == 1 { "uses it" } else { "use it" })
}

/// The right side: what the server made of what was typed.
pub(crate) fn rendered(preview: &EditorPreview) -> Markup {
    html! {
        span.label { "What would leave" }
        span.small.muted { "to any target, as you type" }
        @match preview {
            EditorPreview::Broken { line, what } => {
                p.error { @if let Some(line) = line { "line " (line) ": " } (what) }
            },
            EditorPreview::NoRecord(why) => { p.muted { (why) } },
            EditorPreview::Shown { example, critical } => {
                @if let Some(note) = &example.note { p { (note) } }
                @match &example.after { Some(after) => { pre tabindex="0" { (after) } }, None => { p.muted { "Nothing leaves." } } }
                @if !critical.is_empty() { p { b { "Marked critical, and leaves: " } (critical.join("; ")) } }
                (every_member(&example.members))
            },
        }
    }
}
