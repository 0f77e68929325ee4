//! Share visibility and Remove visibility: one page, parts that open one after the other, a review before anything is written, and
//! what became of each asset.

use maud::{Markup, html};

use crate::console::model::query;
use crate::console::pages::invitations::OfferChoices;
use crate::console::pages::leaves::{LeavingExample, example};
use crate::console::pages::terms::{Tick, critical_ticks, error_of, field_of, permissions, profiles, ticks_or_list, unknown_lines};
use crate::console::parts::{Badge, BadgeTone, Choice, FieldOf, FormSeal, NoticeTone, head, id, notice};

/// What is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ShareForm {
    pub(crate) owner: String,
    pub(crate) to: String,
    /// What is ticked and what is pasted, each once, in order.
    pub(crate) assets: Vec<String>,
    /// As it was pasted.
    pub(crate) pasted: String,
    pub(crate) target_asset: String,
    pub(crate) streams: Vec<String>,
    pub(crate) profile: String,
    pub(crate) from: String,
    pub(crate) until: String,
    pub(crate) permission: String,
    pub(crate) label: String,
    pub(crate) message: String,
    pub(crate) errors: Vec<(&'static str, String)>,
    /// Lines of the list that name nothing known, with their number. They may be left out, or shared all the same.
    pub(crate) unknown: Vec<(usize, String)>,
    /// What is searched among the assets.
    pub(crate) search: String,
}

impl ShareForm {
    fn error(&self, name: &str) -> Option<&str> {
        error_of(&self.errors, name)
    }

    /// All of it as hidden fields, so that the next step has it.
    pub(crate) fn hidden(&self) -> Markup {
        let one = [
            ("owner", &self.owner),
            ("to", &self.to),
            ("target_asset", &self.target_asset),
            ("profile", &self.profile),
            ("from", &self.from),
            ("until", &self.until),
            ("permission", &self.permission),
            ("label", &self.label),
            ("message", &self.message),
        ];
        html! {
            @for (name, value) in one { @if !value.is_empty() { input type="hidden" name=(name) value=(value); } }
            @for stream in &self.streams { input type="hidden" name="streams" value=(stream); }
            textarea name="pasted" hidden { "\n" (self.assets.join("\n")) }
        }
    }
}

/// What an account is to the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccountTie {
    /// None is named yet.
    Unnamed,
    Partner {
        /// The offer is accepted by itself.
        auto_accept: bool,
    },
    /// Sharing needs no partnership here.
    Open,
    /// What to do first.
    Stranger,
}

/// The page.
#[derive(Debug, Clone)]
pub(crate) struct VisibilityPage {
    pub(crate) form: ShareForm,
    pub(crate) choices: OfferChoices,
    pub(crate) tie: AccountTie,
    pub(crate) review: Option<OfferReview>,
    pub(crate) seal: FormSeal,
}

/// What would be offered.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfferReview {
    /// How many offers would be made.
    pub(crate) offers: usize,
    /// In words.
    pub(crate) summary: String,
    /// Lines that would be refused, with why.
    pub(crate) refused: Vec<(String, String)>,
    /// One of each stream: what leaves, beside the original.
    pub(crate) examples: Vec<LeavingExample>,
    pub(crate) critical: Vec<String>,
}

pub(super) fn step(number: usize, title: &str, state: &'static str, summary: &str, body: &Markup) -> Markup {
    html! {
        section class={ "panel step is-" (state) } aria-labelledby={ "step-" (number) } {
            header {
                span.number aria-hidden="true" { @if state == "done" { "✓" } @else { (number) } }
                h2 id={ "step-" (number) } { (title) }
                @if !summary.is_empty() { span.muted.wrap-anywhere { (summary) } }
            }
            @if !body.0.is_empty() { div.body { (body) } }
        }
    }
}

/// Share visibility.
pub(crate) fn share(page: &VisibilityPage) -> Markup {
    let has_account = matches!(page.tie, AccountTie::Partner { .. } | AccountTie::Open);
    html! {
        (head(html! { "Share visibility" }, Some(html! { "Give another account the live data of your assets. Nothing is written before you confirm." }),
            Some(html! { a.button href="/visibility/remove" { "Remove visibility" } })))
        @if let Some(what) = page.form.error("") { (notice(NoticeTone::Refused, &html! { p { (what) } }, None)) }
        div.stack.steps {
            @match &page.review {
                Some(review) => { (reviewed(page, review)) },
                None => {
                    (account_step(page))
                    @if has_account { (rest(page)) } @else { (closed_steps()) }
                },
            }
        }
    }
}

fn account_step(page: &VisibilityPage) -> Markup {
    let form = &page.form;
    let partners: Vec<Choice> = page.choices.partners.iter().map(Choice::plain).collect();
    let account = FieldOf {
        name: "to",
        label: "Account",
        value: &form.to,
        hint: Some("the tenant that receives; your partners are offered as you type"),
        error: form.error("to"),
        is_required: true,
        ..FieldOf::default()
    };
    let summary = match &page.tie {
        AccountTie::Unnamed | AccountTie::Stranger => None,
        AccountTie::Partner { auto_accept: true } => Some("your partner; your offers are accepted by themselves"),
        AccountTie::Partner { auto_accept: false } => Some("your partner; it accepts the offer before anything flows"),
        AccountTie::Open => Some("it accepts the offer before anything flows"),
    };
    if let Some(summary) = summary {
        let change = query(&with_assets(form, ""));
        return html! {
            section.panel.step.is-done aria-labelledby="step-1" {
                header {
                    span.number aria-hidden="true" { "✓" }
                    h2 id="step-1" { "Account" }
                    b { (form.to) }
                    span.muted.wrap-anywhere { (summary) }
                    div.actions { a.button href={ "/visibility" (change) } { "Change" span.hidden-visually { " the account" } } }
                }
            }
        };
    }
    let body = html! {
        form.row.at-end method="get" action="/visibility" {
            @for asset in &form.assets { input type="hidden" name="asset" value=(asset); }
            @if page.choices.is_operator { (FieldOf { name: "owner", label: "Owner", value: &form.owner, is_required: true, error: form.error("owner"), ..FieldOf::default() }.text()) }
            (account.text_of(&partners))
            button.primary { "Next" }
        }
        @match &page.tie {
            AccountTie::Unnamed => {
                @if !partners.is_empty() {
                    p { "Your partners: " @for (at, partner) in page.choices.partners.iter().take(12).enumerate() {
                        @if at > 0 { ", " }
                        a href={ "/visibility" (query(&with_assets(form, partner))) } { (partner) }
                    } }
                }
            },
            AccountTie::Partner { .. } | AccountTie::Open => {},
            AccountTie::Stranger => {
                (notice(NoticeTone::Waits,
                    &html! { p { b { (form.to) " is not your partner yet." } " Offer a partnership first; once it is accepted you can share. Or invite a person by e-mail." } },
                    Some(&html! {
                        a.button.primary href={ "/partnerships" (query(&[("to", &form.to)])) } { "Offer a partnership" }
                        a.button href="/invitations/invite" { "Invite by e-mail" }
                    })))
            },
        }
    };
    step(1, "Account", "open", "", &body)
}

fn with_assets<'f>(form: &'f ShareForm, partner: &'f str) -> Vec<(&'static str, &'f str)> {
    let mut pairs = vec![("to", partner), ("owner", form.owner.as_str())];
    pairs.extend(form.assets.iter().map(|asset| ("asset", asset.as_str())));
    pairs
}

fn closed_steps() -> Markup {
    let nothing = html! {};
    html! {
        (step(2, "Assets", "closed", "", &nothing))
        (step(3, "What, and how long", "closed", "", &nothing))
        (step(4, "Review", "closed", "", &nothing))
    }
}

fn rest(page: &VisibilityPage) -> Markup {
    let form = &page.form;
    let streams: Vec<Choice> = page.choices.streams.iter().map(Choice::plain).collect();
    let field = |name, label| field_of(&form.errors, name, label);
    let is_ticked = |asset: &String| form.assets.contains(asset);
    let assets = page.choices.assets.iter();
    let ticks: Vec<Tick<'_>> =
        assets.map(|Choice { value, words }| Tick { value, title: value, words: words.clone(), is_ticked: is_ticked(value) }).collect();
    let list = FieldOf {
        value: &form.pasted,
        hint: Some("one asset id a line; as copied from a spreadsheet is fine"),
        ..field("pasted", if ticks.is_empty() { "Asset ids" } else { "Or paste a list" })
    };
    let ways = [("share", "share them all the same: they may report later"), ("omit", "leave them out")];
    let assets = html! {
        (ticks_or_list("asset", "Assets", &form.search, &ticks, &html! {}, &list))
        @if !form.unknown.is_empty() { (unknown_lines("Lines that name no asset known here", &form.unknown, &ways)) }
    };
    let terms = html! {
        fieldset.fields {
            (field("streams", "Streams").ticks(&streams, &form.streams))
            (FieldOf { value: &form.profile, is_required: true, hint: Some("says which members leave"), ..field("profile", "Sharing profile") }.select(&profiles(&page.choices.profiles)))
            (FieldOf { value: &form.from, hint: Some("from 00:00 UTC; empty is at once"), ..field("from", "From") }.date())
            (FieldOf { value: &form.until, hint: Some("to its end, UTC; empty is for good"), ..field("until", "Until") }.date())
            (FieldOf { value: &form.permission, ..field("permission", "Permission") }.select(&permissions()))
            (FieldOf { value: &form.target_asset, hint: Some("their id of it; empty is yours"), ..field("target_asset", "Target asset") }.text())
            (FieldOf { value: &form.label, hint: Some("a name that the receiver sees"), ..field("label", "Label") }.text())
        }
        (FieldOf { value: &form.message, ..field("message", "Message") }.area(false, 2))
    };
    html! {
        form.stack method="post" action="/visibility/review" {
            (page.seal.fields())
            input type="hidden" name="to" value=(form.to);
            @if !form.owner.is_empty() { input type="hidden" name="owner" value=(form.owner); }
            (step(2, "Assets", "open", "", &assets))
            (step(3, "What, and how long", "open", "", &terms))
            div.row { button.primary { "Review what leaves" } }
        }
        (step(4, "Review", "closed", "", &html! {}))
    }
}

fn reviewed(page: &VisibilityPage, review: &OfferReview) -> Markup {
    let form = &page.form;
    let critical_error = form.error("critical");
    let assets = if form.assets.len() == 1 { form.assets[0].clone() } else { format!("{} assets", form.assets.len()) };
    let nothing = html! {};
    let summary_only = |number, title: &str, summary: &str| step(number, title, "done", summary, &nothing);
    let body = html! {
        p { b { (review.summary) } }
        @if !review.refused.is_empty() {
            div.stack.tight {
                h3 { (review.refused.len()) " would be refused" }
                div.scroll { table.folds {
                    thead { tr { th scope="col" { "Asset" } th scope="col" { "Why" } } }
                    tbody { @for (asset, why) in review.refused.iter().take(200) { tr { td data-head="Asset" { (id(asset)) } td data-head="Why" { (why) } } } }
                } }
            }
        }
        @for one in &review.examples { (example(one)) }
        (critical_ticks(&review.critical, critical_error))
    };
    html! {
        (summary_only(1, "Account", &form.to))
        (summary_only(2, "Assets", &assets))
        (summary_only(3, "What, and how long", &format!("{} under {}", form.streams.join(", "), form.profile)))
        form.stack method="post" action="/visibility" {
            (page.seal.fields())
            (form.hidden())
            (step(4, "Review", "open", "", &body))
            div.row {
                @if review.offers > 0 {
                    button.primary {
                        "Share "
                        @if review.offers == 1 { "one asset" } @else { (review.offers) " assets" }
                        " with " (form.to)
                    }
                }
                button formaction="/visibility/edit" formnovalidate { "Go back and change" }
                a.button href="/visibility" { "Start again" }
            }
        }
    }
}

/// What became of one asset of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchLine {
    pub(crate) asset: String,
    pub(crate) share: String,
    /// Refused, with the reason in words.
    pub(crate) refused: Option<String>,
    /// Of one that was done.
    pub(crate) status: Option<Badge>,
}

/// What became of a batch.
#[derive(Debug, Clone)]
pub(crate) struct BatchResult {
    pub(crate) title: &'static str,
    pub(crate) summary: String,
    pub(crate) lines: Vec<BatchLine>,
    /// A form that tries those again that were refused.
    pub(crate) retry: Option<Markup>,
    pub(crate) owner: Option<String>,
    /// It is not known any more which were refused.
    pub(crate) is_from_memory: bool,
}

/// The table of what became of each.
pub(crate) fn results(result: &BatchResult) -> Markup {
    let refused = result.lines.iter().filter(|line| line.refused.is_some()).count();
    let tone = if refused == 0 { NoticeTone::Done } else { NoticeTone::Waits };
    html! {
        (head(html! { (result.title) }, None, Some(html! { a.button href="/visibility" { "Share more" } a.button href="/assets" { "Assets" } })))
        (notice(tone, &html! { p { b { (result.summary) } } }, result.retry.as_ref()))
        @if !result.is_from_memory { (notice(NoticeTone::Told, &html! { p { "Only what was done is listed here: this server has not written it, or long ago." } }, None)) }
        section.panel id="results" data-live data-rows aria-label="What became of each asset" {
            div.scroll { table.folds {
                thead { tr { th scope="col" { "Asset" } th scope="col" { "Status" } th scope="col" { "Share" } } }
                tbody { @for line in &result.lines {
                    tr data-row=(line.asset) {
                        td data-head="Asset" { a href=(crate::console::pages::assets::address(result.owner.as_deref(), &line.asset, "sharing")) { (line.asset) } }
                        td data-head="Status" { div {
                            @match (&line.refused, &line.status) {
                                (Some(why), _) => { (Badge::new("Refused", "▲", BadgeTone::Bad).with(why.clone())) },
                                (None, Some(badge)) => { (badge) },
                                (None, None) => { (Badge::new("Written", "◐", BadgeTone::Wait)) },
                            }
                        } }
                        td data-head="Share" { @if !line.share.is_empty() { (id(&line.share)) } }
                    }
                } }
            } }
        }
    }
}
