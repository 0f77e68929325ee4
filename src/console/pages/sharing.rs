//! Asset → Sharing: telemetry sharing and details sharing, each share a row that turns into fields where it stands.

use maud::{Markup, html};

use crate::console::model::{ProfileChoice, ShownShare, query};
use crate::console::pages::assets::{AssetHead, AssetTab};
use crate::console::pages::terms::{alert, critical_ticks, field_of, permissions, profile_choice};
use crate::console::parts::moment::window;
use crate::console::parts::{Choice, FieldOf, FormSeal, NoticeTone, empty, id, mailbox, notice, second};
use crate::console::status::SharingStatus;
use crate::time::TimestampMs;

/// What was stopped stays in its place for an hour.
const STAYS_MS: i64 = 3_600_000;

/// One section: the shares that name a stream.
#[derive(Debug, Clone)]
pub(crate) struct SharingSection {
    pub(crate) stream: String,
    pub(crate) rows: Vec<ShownShare>,
}

/// What is typed into a row that is edited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ShareEdit {
    pub(crate) share: String,
    pub(crate) stream: String,
    pub(crate) to: String,
    pub(crate) target_asset: String,
    pub(crate) profile: String,
    pub(crate) from: String,
    pub(crate) until: String,
    pub(crate) permission: String,
    /// The field and what is wrong with it.
    pub(crate) errors: Vec<(&'static str, String)>,
}

/// What a change would do, before it is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChangeReview {
    /// Each a sentence: what changes, for whom.
    pub(crate) sentences: Vec<String>,
    /// Members that are marked critical and leave by it, as sentences.
    pub(crate) critical: Vec<String>,
    /// It takes a revoke and an offer.
    pub(crate) is_another_target: bool,
}

/// The page.
#[derive(Debug, Clone)]
pub(crate) struct SharingPage {
    pub(crate) head: AssetHead,
    pub(crate) sections: Vec<SharingSection>,
    pub(crate) profiles: Vec<ProfileChoice>,
    pub(crate) partners: Vec<String>,
    pub(crate) edit: Option<ShareEdit>,
    pub(crate) review: Option<ChangeReview>,
    pub(crate) shows_over: bool,
    pub(crate) now: TimestampMs,
    pub(crate) seal: FormSeal,
    pub(crate) said: Option<Markup>,
}

/// The whole page.
pub(crate) fn sharing(page: &SharingPage) -> Markup {
    html! {
        (page.head.markup(AssetTab::Sharing))
        @if let Some(said) = &page.said { (said) }
        @for section in &page.sections { (section_of(page, section)) }
    }
}

fn title_of(stream: &str) -> String {
    let mut letters = stream.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{} sharing", letters.as_str())
}

fn section_of(page: &SharingPage, section: &SharingSection) -> Markup {
    let (open, over): (Vec<_>, Vec<_>) =
        section.rows.iter().partition(|share| !share.status.is_over() || was_just_stopped(share, page.now));
    let shown: Vec<&ShownShare> = if page.shows_over { section.rows.iter().collect() } else { open };
    let edit = page.edit.as_ref().filter(|edit| edit.stream == section.stream);
    html! {
        section.panel id={ "section-" (section.stream) } data-live data-rows[edit.is_none()] aria-label=(title_of(&section.stream)) {
            header { h2 { (title_of(&section.stream)) } }
            @if shown.is_empty() {
                (nothing(page, section))
            } @else {
                div.scroll { table.folds {
                    thead { tr {
                        th scope="col" { "Target tenant" }
                        th scope="col" { "Target asset" }
                        th scope="col" { "Sharing profile" }
                        th scope="col" { "From – until" }
                        th scope="col" { "Status" }
                        th scope="col" { span.hidden-visually { "Actions" } }
                    } }
                    tbody { @for share in shown { (row(page, section, share)) } }
                } }
            }
            @if let (Some(edit), Some(review)) = (edit, &page.review) { (review_of(page, edit, review)) }
            @else if let Some(edit) = edit { (edit_form(page, edit)) }
            @if !over.is_empty() && !page.shows_over {
                footer.small { a href=(page.head.address_with("sharing", &[("over", "1")])) { "Show " (over.len()) " that are over" } }
            }
        }
    }
}

/// Its row stays where it was, so that what became of it is seen there.
fn was_just_stopped(share: &ShownShare, now: TimestampMs) -> bool {
    match share.status {
        SharingStatus::Stopping => true,
        SharingStatus::Stopped(_) => share.ended_at.is_some_and(|at| at.millis().0 > now.0 - STAYS_MS),
        _ => false,
    }
}

fn nothing(page: &SharingPage, section: &SharingSection) -> Markup {
    let words = format!("Nobody gets the {} of {}", section.stream, page.head.asset);
    let pairs = [("asset", page.head.asset.as_str()), ("owner", page.head.owner.as_deref().unwrap_or_default())];
    let action =
        page.head.may_write.then(|| html! { a.button.primary href={ "/visibility" (query(&pairs)) } { "Share " (page.head.asset) } });
    empty(&words, "Share it with a partner, under a sharing profile that says which members leave.", action)
}

fn row(page: &SharingPage, section: &SharingSection, share: &ShownShare) -> Markup {
    let is_edited = page.edit.as_ref().is_some_and(|edit| edit.share == share.share && edit.stream == section.stream);
    html! {
        tr.is-open[is_edited] data-row=(share.share) {
            td data-head="Target tenant" {
                @match (&share.target, &share.invitee) {
                    (Some(target), _) => { span.wrap-anywhere { (target) } },
                    (None, Some(invitee)) => { (mailbox(invitee)) span.second { "invited" } },
                    (None, None) => {},
                }
            }
            td data-head="Target asset" { @if let Some(target_asset) = &share.target_asset { (id(target_asset)) } }
            td data-head="Sharing profile" { (share.profile_line()) @if share.permission != "view" { span.second { "may " (share.permission) } } }
            td data-head="From – until" { (window(share.starts, share.ends)) }
            td data-head="Status" { (share.status.badge()) (certain_since(&share.status)) }
            td { div.actions { (actions(page, section, share)) } }
        }
    }
}

fn certain_since(status: &SharingStatus) -> Markup {
    html! { @if let SharingStatus::Stopped(Some(at)) = status { span.second { "certain since " (second(at.moment())) } } }
}

fn actions(page: &SharingPage, section: &SharingSection, share: &ShownShare) -> Markup {
    let is_open = !share.status.is_over() && share.status != SharingStatus::Stopping;
    html! {
        @if is_open && page.head.may_write {
            a href=(page.head.address_with("sharing", &[("edit", &share.share), ("stream", &section.stream)])) {
                "Edit" span.hidden-visually { " the share with " (share.receiver()) }
            }
        }
        a href=(page.head.address_with("leaves", &[("share", &share.share)])) { "What leaves" }
        a href=(page.head.address_with("why", &[("share", &share.share), ("stream", &section.stream)])) { "Why?" }
        @if is_open && page.head.may_write {
            a href=(page.head.address_with("stop", &[("share", &share.share)])) {
                "Stop" span.hidden-visually { " sharing with " (share.receiver()) }
            }
        }
    }
}

fn edit_form(page: &SharingPage, edit: &ShareEdit) -> Markup {
    let field = |name, label, value| FieldOf { value, ..field_of(&edit.errors, name, label) };
    let profiles: Vec<Choice> = page.profiles.iter().map(profile_choice).collect();
    let partners: Vec<Choice> = page.partners.iter().map(Choice::plain).collect();
    html! {
        form.body.stack method="get" action="/assets/sharing" data-keep {
            (page.head.fields())
            input type="hidden" name="edit" value=(edit.share);
            input type="hidden" name="stream" value=(edit.stream);
            input type="hidden" name="review" value="1";
            h3 { "Edit this share" }
            (alert(&edit.errors))
            fieldset.fields.in-threes {
                (field("to", "Target tenant", &edit.to).text_of(&partners))
                (field("target_asset", "Target asset", &edit.target_asset).text())
                (field("profile", "Sharing profile", &edit.profile).select(&profiles))
                (FieldOf { hint: Some("from 00:00 UTC"), ..field("from", "From", &edit.from) }.date())
                (FieldOf { hint: Some("to its end, UTC"), ..field("until", "Until", &edit.until) }.date())
                (field("permission", "Permission", &edit.permission).select(&permissions()))
            }
            div.row {
                button.primary { "Save…" }
                a.button data-close href=(page.head.address("sharing")) { "Close without saving" }
                span.small.muted { "You see what changes before anything is done." }
            }
        }
    }
}

fn review_of(page: &SharingPage, edit: &ShareEdit, review: &ChangeReview) -> Markup {
    let back = [
        ("edit", edit.share.as_str()),
        ("stream", &edit.stream),
        ("to", &edit.to),
        ("target_asset", &edit.target_asset),
        ("profile", &edit.profile),
        ("from", &edit.from),
        ("until", &edit.until),
        ("permission", &edit.permission),
        ("typed", "1"),
    ];
    html! {
        form.body.stack method="post" action="/assets/sharing" data-keep {
            (page.seal.fields())
            (page.head.fields())
            @for (name, value) in &back[..8] { input type="hidden" name=(name) value=(value); }
            h3 { "This will change" }
            @if review.sentences.is_empty() {
                p { "Nothing: the fields say what the share has already." }
            } @else {
                ul { @for sentence in &review.sentences { li { (sentence) } } }
            }
            @if review.is_another_target {
                (notice(NoticeTone::Waits, &html! {
                    p { b { "Another target tenant is another share." } " Saving stops the one that is there and offers a new one, in one step. \
                        The new target has to accept, unless your partnership accepts by itself." }
                }, None))
            }
            (critical_ticks(&review.critical, None))
            div.row {
                @if !review.sentences.is_empty() { button.primary { "Save these changes" } }
                a.button href=(page.head.address_with("sharing", &back)) { "Go back and change" }
                a.button data-close href=(page.head.address("sharing")) { "Close without saving" }
            }
        }
    }
}

/// Stopping, asked once, with what it does to whom.
pub(crate) fn stop(head: &AssetHead, share: &ShownShare, seal: &FormSeal, error: Option<&str>) -> Markup {
    let is_offer = share.status == SharingStatus::Pending;
    let receiver = share.receiver();
    html! {
        (head.markup(AssetTab::Sharing))
        section.panel aria-labelledby="stop-title" {
            header { h2 id="stop-title" { @if is_offer { "Take the offer back" } @else { "Stop sharing" } } }
            form.body method="post" action="/assets/stop" {
                (seal.fields())
                (head.fields())
                input type="hidden" name="share" value=(share.share);
                @if let Some(error) = error { p.error role="alert" { (error) } }
                @if is_offer {
                    p { (receiver) " can no longer accept " (share.streams.join(" and ")) " of " (head.asset) "." }
                } @else {
                    p { (receiver) " gets no more " (share.streams.join(" and ")) " of " (head.asset) ". Documents are taken away from its topic; \
                        records that it has read stay with it. The page shows when it is certain for every engine." }
                }
                div.row {
                    button.danger.firm autofocus {
                        @if is_offer { "Take back the offer of " (head.asset) " to " (receiver) } @else { "Stop sharing " (head.asset) " with " (receiver) }
                    }
                    a.button data-close href=(head.address("sharing")) { "Keep it" }
                }
            }
        }
    }
}

/// One event of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryLine {
    pub(crate) offset: i64,
    pub(crate) at: TimestampMs,
    pub(crate) share: String,
    pub(crate) what: String,
    pub(crate) by: String,
    pub(crate) outcome: String,
}

/// What happened to an asset's shares; whether the log itself says so.
pub(crate) fn history(lines: &[HistoryLine], is_whole: bool) -> Markup {
    html! {
        @if !is_whole {
            p.small.muted { "This is what the shares themselves say. The log has every event with who did it: " code { "sharecast share history SHARE" } " reads it." }
        }
        section.panel aria-label="History" {
            @if lines.is_empty() {
                (empty("Nothing has happened yet", "Each offer, acceptance, change and end will be listed here.", None))
            } @else {
                div.scroll { table.folds {
                    thead { tr {
                        th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "By" } th scope="col" { "Share" } th scope="col" { "Outcome" }
                    } }
                    tbody {
                        @for line in lines {
                            tr data-row=(line.offset) {
                                td.nowrap data-head="When" { (second(line.at.moment())) }
                                td data-head="What" { (line.what) }
                                td data-head="By" { (line.by) }
                                td data-head="Share" { (id(&line.share)) }
                                td data-head="Outcome" { (line.outcome) }
                            }
                        }
                    }
                } }
            }
        }
    }
}
