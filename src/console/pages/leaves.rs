//! What leaves, beside what came; and why the newest record did or did not flow.

use maud::{Markup, html};

use crate::console::model::ShownShare;
use crate::console::pages::assets::{AssetHead, AssetTab};
use crate::console::parts::{Badge, BadgeTone, NoticeTone, empty, minute, notice};
use crate::explain::members::MemberOutcome;
use crate::time::TimestampNs;

/// One member of a record, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeavingMember {
    pub(crate) path: String,
    pub(crate) outcome: MemberOutcome,
    /// What decided, in the words of the profile; nothing for a target, which does not see them.
    pub(crate) by: String,
    /// The line of the profile's source.
    pub(crate) line: Option<usize>,
}

/// One line of a record as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordLine {
    pub(crate) text: String,
    /// None of what only holds others together.
    pub(crate) outcome: Option<MemberOutcome>,
    /// What decided, in a few words.
    pub(crate) why: String,
}

/// The newest record of one stream, as it came and as a target gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeavingExample {
    pub(crate) stream: String,
    pub(crate) profile: String,
    pub(crate) at: Option<TimestampNs>,
    /// Line by line, each with what becomes of it.
    pub(crate) before: Option<Vec<RecordLine>>,
    /// None where nothing leaves.
    pub(crate) after: Option<String>,
    pub(crate) members: Vec<LeavingMember>,
    /// Why nothing is shown, or nothing leaves.
    pub(crate) note: Option<String>,
}

fn outcome_badge(outcome: MemberOutcome) -> Badge {
    match outcome {
        MemberOutcome::Kept => Badge::new("kept", "●", BadgeTone::Good),
        MemberOutcome::Changed => Badge::new("changed", "◐", BadgeTone::Wait),
        MemberOutcome::Withheld => Badge::new("withheld", "✕", BadgeTone::Over),
    }
}

/// One record beside what leaves of it.
pub(crate) fn example(one: &LeavingExample) -> Markup {
    html! {
        section.panel aria-label={ "What leaves of " (one.stream) } {
            header {
                h3 { "What leaves of " (one.stream) }
                span.muted { "under " (one.profile) @if let Some(at) = one.at { ", newest record of " (minute(at)) } }
            }
            div.body {
                @if let Some(note) = &one.note { p { (note) } }
                (side_by_side(one))
                @if !one.members.is_empty() { (every_member(&one.members)) }
            }
        }
    }
}

/// Left the record as it came, right as the target gets it.
pub(crate) fn side_by_side(one: &LeavingExample) -> Markup {
    html! {
        @if let Some(before) = &one.before {
            div.compare {
                div.stack.tight { h3.small { "As it came" span.key.muted aria-hidden="true" { del { "withheld" } mark { "changed" } } } pre tabindex="0" aria-label="As it came" { @for line in before { (record_line(line)) "\n" } } }
                div.stack.tight {
                    h3.small { "As the target gets it" }
                    @match &one.after {
                        Some(after) => { pre tabindex="0" aria-label="As the target gets it" { (after) } },
                        None => { p.muted { "Nothing leaves." } },
                    }
                }
            }
        }
    }
}

/// What becomes of it is said by its look and, to who points at it, by words; the list below says all of it.
fn record_line(line: &RecordLine) -> Markup {
    let text = line.text.trim_start_matches(' ');
    html! {
        (" ".repeat(line.text.len() - text.len()))
        @match line.outcome {
            Some(MemberOutcome::Withheld) => { del title=(line.why) { (text) } },
            Some(MemberOutcome::Changed) => { mark title=(line.why) { (text) } },
            Some(MemberOutcome::Kept) => { span title=(line.why) { (text) } },
            None => { (text) },
        }
    }
}

/// All members, folded away until somebody asks.
pub(crate) fn every_member(all: &[LeavingMember]) -> Markup {
    let count = |outcome| all.iter().filter(|member| member.outcome == outcome).count();
    html! {
        details.more {
            summary {
                "Every member, and what decided: "
                (count(MemberOutcome::Kept)) " kept, " (count(MemberOutcome::Changed)) " changed, " (count(MemberOutcome::Withheld)) " withheld"
            }
            (members(all))
        }
    }
}

/// Each member, what becomes of it, and what decided.
fn members(members: &[LeavingMember]) -> Markup {
    let shows_rules = members.iter().any(|member| !member.by.is_empty());
    html! {
        div.scroll { table.folds {
            thead { tr { th scope="col" { "Member" } th scope="col" { "Leaves?" } @if shows_rules { th scope="col" { "Decided by" } } } }
            tbody { @for member in members {
                tr.is-withheld[member.outcome == MemberOutcome::Withheld] data-row=(member.path) {
                    td.member data-head="Member" { (member.path) }
                    td data-head="Leaves?" { div { (outcome_badge(member.outcome)) } }
                    @if shows_rules { td data-head="Decided by" { div { (member.by) @if let Some(line) = member.line { span.second { "line " (line) " of the profile" } } } } }
                }
            } }
        } }
    }
}

/// What leaves of an asset, for each target.
pub(crate) fn leaves(head: &AssetHead, shares: &[ShownShare], chosen: Option<&ShownShare>, examples: &[LeavingExample]) -> Markup {
    html! {
        (head.markup(AssetTab::Leaves))
        @if shares.is_empty() {
            section.panel { (empty(&format!("Nothing of {} leaves", head.asset), "It is shared with nobody.", None)) }
        } @else {
            nav.row.pills aria-label="Targets" {
                @for share in shares {
                    @let is_chosen = chosen.is_some_and(|chosen| chosen.share == share.share);
                    a.pill aria-current=[is_chosen.then_some("true")] href=(head.address_with("leaves", &[("share", &share.share)])) {
                        (share.receiver()) " · " (share.profile_line())
                    }
                }
            }
            @if let Some(chosen) = chosen { (window_note(chosen)) }
            @for one in examples { (example(one)) }
        }
    }
}

fn window_note(chosen: &ShownShare) -> Markup {
    let badge = chosen.status.badge();
    html! {
        @if badge.word != "Active" {
            (notice(NoticeTone::Told, &html! { p { "This is what the profile lets out. The share itself is: " (badge) } }, None))
        }
    }
}

/// One rule that was asked, with what it compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskedRule {
    pub(crate) words: String,
    pub(crate) has_failed: bool,
}

/// The answer to "why is nothing arriving?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WhyAnswer {
    pub(crate) stream: String,
    /// Where the record lies in time.
    pub(crate) record_at: Option<TimestampNs>,
    /// Whether a record was found; else it is of what would be.
    pub(crate) has_record: bool,
    /// The first rule that failed, in a sentence; none of a release.
    pub(crate) verdict: Option<String>,
    pub(crate) rules: Vec<AskedRule>,
    /// What would have to change.
    pub(crate) remedy: Option<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) example: Option<LeavingExample>,
}

/// Why.
pub(crate) fn why(head: &AssetHead, share: &ShownShare, streams: &[String], answer: &WhyAnswer) -> Markup {
    let to = share.receiver();
    html! {
        (head.markup(AssetTab::Leaves))
        div.head {
            h2 { "Why does " (to) " get " (answer.stream) ", or not?" }
            @if streams.len() > 1 { div.actions { @for stream in streams {
                @let is_shown = *stream == answer.stream;
                a.button aria-current=[is_shown.then_some("true")] href=(head.address_with("why", &[("share", &share.share), ("stream", stream)])) { (stream) }
            } } }
        }
        @match &answer.verdict {
            None => { (notice(NoticeTone::Done, &html! { p { b { (to) " gets the newest record." } } }, None)) },
            Some(verdict) => {
                (notice(NoticeTone::Waits, &html! {
                    p { b { (to) " does not get the newest record: " (verdict) "." } }
                    @if let Some(remedy) = &answer.remedy { p { (remedy) } }
                }, None))
            },
        }
        section.panel aria-label="Rules" {
            header {
                h3 { "The rules, in their order" }
                @if answer.has_record {
                    @if let Some(at) = answer.record_at { span.muted { "asked of the newest record, of " (minute(at)) } }
                    @else { span.muted { "asked of the current document" } }
                } @else { span.muted { "no record was found: asked of one that would come now" } }
            }
            div.body {
                @if answer.rules.is_empty() { p.muted { "Nothing had to be compared." } }
                @else {
                    ol.plain.rules { @for rule in &answer.rules {
                        li.is-failed[rule.has_failed] {
                            span aria-hidden="true" { @if rule.has_failed { "✕" } @else { "✓" } }
                            span { span.hidden-visually { @if rule.has_failed { "failed: " } @else { "passed: " } } (rule.words) }
                        }
                    } }
                }
                @for note in &answer.notes { p.small.muted { (note) } }
            }
        }
        @if let Some(one) = &answer.example { (example(one)) }
    }
}
