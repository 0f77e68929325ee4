//! Asset invitations: six cards that filter, a search, two filters, the table, and a panel with one invitation whole.

use maud::{Markup, html};

use crate::console::model::{ProfileChoice, ShownShare, query};
use crate::console::pages::assets::{AssetHead, AssetTab, address as asset_address};
use crate::console::pages::sharing::HistoryLine;
use crate::console::pages::terms::{alert, critical_ticks, error_of, field_of, permissions, profiles};
use crate::console::parts::{Choice, FieldOf, FormSeal, empty, end, facts, head, id, mailbox, minute, second};
use crate::console::status::{outcome_badge, outcome_code};
use crate::share::view::invitations::InvitationOutcome;
use crate::time::TimestampNs;

/// An invitation as the table shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShownInvitation {
    pub(crate) share: ShownShare,
    /// The address as it was offered, also after somebody has accepted.
    pub(crate) email: String,
    pub(crate) outcome: InvitationOutcome,
}

/// What is asked for, as the address has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct InvitationQuery {
    pub(crate) search: String,
    pub(crate) status: Option<InvitationOutcome>,
    pub(crate) permission: String,
    /// Whose panel is open.
    pub(crate) open: String,
    pub(crate) after: String,
    /// Of one asset alone, with its owner for the operator.
    pub(crate) asset: Option<(String, Option<String>)>,
}

impl InvitationQuery {
    /// The address of the page with another status, another panel, another beginning.
    pub(crate) fn address(&self, status: Option<InvitationOutcome>, open: &str, after: &str) -> String {
        let status = status.map_or("", outcome_code);
        let pairs = [("q", self.search.as_str()), ("status", status), ("permission", &self.permission), ("open", open), ("after", after)];
        match &self.asset {
            None => format!("/invitations{}", query(&pairs)),
            Some((asset, owner)) => {
                let mut all = vec![("asset", asset.as_str()), ("owner", owner.as_deref().unwrap_or_default())];
                all.extend_from_slice(&pairs);
                format!("/assets/invitations{}", query(&all))
            }
        }
    }

    /// Where the page is as it is.
    pub(crate) fn here(&self, open: &str) -> String {
        self.address(self.status, open, &self.after)
    }
}

/// The page.
#[derive(Debug, Clone)]
pub(crate) struct InvitationPage {
    pub(crate) asked: InvitationQuery,
    /// How many there are of each, in the order of `InvitationOutcome::ALL`, whatever the status asked for.
    pub(crate) counts: [usize; 5],
    pub(crate) rows: Vec<ShownInvitation>,
    /// Where the next rows begin.
    pub(crate) next: Option<String>,
    pub(crate) panel: Option<InvitationPanel>,
    pub(crate) may_write: bool,
    pub(crate) seal: FormSeal,
    pub(crate) said: Option<Markup>,
    /// The head of the asset whose invitations these are.
    pub(crate) head: Option<AssetHead>,
}

/// One invitation whole.
#[derive(Debug, Clone)]
pub(crate) struct InvitationPanel {
    pub(crate) invitation: ShownInvitation,
    pub(crate) history: Vec<HistoryLine>,
    /// Its owner, for the operator.
    pub(crate) owner: Option<String>,
}

/// The whole page.
pub(crate) fn invitations(page: &InvitationPage) -> Markup {
    let of_asset = page.asked.asset.as_ref();
    let invite = format!(
        "/invitations/invite{}",
        of_asset.map_or(String::new(), |(asset, owner)| query(&[("asset", asset), ("owner", owner.as_deref().unwrap_or_default())]))
    );
    let actions = (page.may_write && page.head.is_none()).then(|| html! { a.button.primary href=(invite) { "Invite" } });
    html! {
        @match &page.head {
            Some(head) => { (head.markup(AssetTab::Invitations)) },
            None => { (head(html! { "Asset invitations" }, None, actions)) },
        }
        @if let Some(said) = &page.said { (said) }
        (cards(page))
        (filters(page))
        div.with-side.is-open[page.panel.is_some()] {
            section.panel id="invitation-list" data-live data-rows aria-label="Invitations" {
                @if page.rows.is_empty() { (nothing(page, &invite)) } @else { (table(page)) }
            }
            @if let Some(panel) = &page.panel { (side(page, panel)) }
        }
    }
}

fn cards(page: &InvitationPage) -> Markup {
    let total: usize = page.counts.iter().sum();
    let is_total = page.asked.status.is_none();
    html! {
        nav.cards id="invitation-cards" data-live aria-label="Invitations by status" {
            a href=(page.asked.address(None, "", "")) aria-current=[is_total.then_some("true")] {
                span.number { (total) } span.name { "Total" }
            }
            @for (outcome, count) in InvitationOutcome::ALL.into_iter().zip(page.counts) {
                @let is_chosen = page.asked.status == Some(outcome);
                // A second click takes the filter away.
                a href=(page.asked.address((!is_chosen).then_some(outcome), "", "")) aria-current=[is_chosen.then_some("true")] {
                    span.number { (count) } span.name { (outcome_badge(outcome).word) }
                }
            }
        }
    }
}

fn filters(page: &InvitationPage) -> Markup {
    let asked = &page.asked;
    let mut statuses = vec![Choice::new("", "Any status")];
    statuses.extend(InvitationOutcome::ALL.into_iter().map(|outcome| Choice::new(outcome_code(outcome), outcome_badge(outcome).word)));
    let permissions: Vec<Choice> = [Choice::new("", "Any permission")].into_iter().chain(permissions()).collect();
    let status = asked.status.map_or("", outcome_code);
    let action = if asked.asset.is_some() { "/assets/invitations" } else { "/invitations" };
    html! {
        form.filters method="get" action=(action) {
            @if let Some((asset, owner)) = &asked.asset {
                input type="hidden" name="asset" value=(asset);
                @if let Some(owner) = owner { input type="hidden" name="owner" value=(owner); }
            }
            div.field.wide { (FieldOf { name: "q", label: "Search by address or asset", value: &asked.search, suffix: "-list", ..FieldOf::default() }.text()) }
            (FieldOf { name: "status", label: "Status", value: status, ..FieldOf::default() }.select(&statuses))
            (FieldOf { name: "permission", label: "Permission", value: &asked.permission, ..FieldOf::default() }.select(&permissions))
            button { "Filter" }
        }
    }
}

fn nothing(page: &InvitationPage, invite: &str) -> Markup {
    let is_filtered = page.asked.status.is_some() || !page.asked.search.is_empty() || !page.asked.permission.is_empty();
    if is_filtered {
        let all = InvitationQuery { asset: page.asked.asset.clone(), ..InvitationQuery::default() };
        let action = html! { a.button href=(all.here("")) { "Show all invitations" } };
        empty("No invitation fits", "None has this address or asset, status and permission.", Some(action))
    } else {
        let action = page.may_write.then(|| html! { a.button.primary href=(invite) { "Invite" } });
        let first = "Invite somebody by e-mail who has no account here yet, or whose account you do not know.";
        empty("No invitations yet", first, action)
    }
}

fn table(page: &InvitationPage) -> Markup {
    html! {
        div.scroll { table.folds {
            thead { tr {
                th scope="col" { "Asset" }
                th scope="col" { "Email" }
                th scope="col" { "Permission" }
                th scope="col" { "Status" }
                th scope="col" { "Invited" }
                th scope="col" { "Expires" }
            } }
            tbody { @for row in &page.rows { (line(page, row)) } }
        } }
        @if let Some(next) = &page.next { footer { a href=(page.asked.address(page.asked.status, "", next)) { "Next" } } }
    }
}

fn line(page: &InvitationPage, row: &ShownInvitation) -> Markup {
    let is_open = page.asked.open == row.share.share;
    let reference = row.share.names.line();
    html! {
        tr.is-open[is_open] data-row=(row.share.share) {
            td data-head="Asset" {
                a href=(page.asked.here(&row.share.share)) aria-current=[is_open.then_some("true")] { (row.share.machine()) }
                @if !reference.is_empty() { span.second { (reference) } }
            }
            td data-head="Email" {
                div {
                    (mailbox(&row.email))
                    @if let Some(message) = &row.share.message { span.glimpse title=(message) { "“" (message) "”" } }
                }
            }
            td data-head="Permission" { (row.share.permission) }
            td data-head="Status" { div { (outcome_badge(row.outcome)) } }
            td.nowrap data-head="Invited" { (minute(row.share.offered_at.moment())) }
            td.nowrap data-head="Expires" { (expires(row.share.offer_expires)) }
        }
    }
}

fn expires(at: Option<TimestampNs>) -> Markup {
    html! { @match at { Some(at) => { (end(at)) }, None => { "Never" } } }
}

fn side(page: &InvitationPage, panel: &InvitationPanel) -> Markup {
    let ShownInvitation { share, email, outcome } = &panel.invitation;
    let is_pending = *outcome == InvitationOutcome::Pending;
    let close = page.asked.here("");
    let asset = share.asset.as_deref().unwrap_or_default();
    let mut known = vec![
        (
            "Asset",
            html! { a href=(asset_address(panel.owner.as_deref(), asset, "sharing")) { (asset) } " " span.muted { (share.names.line()) } },
        ),
        ("Email", html! { (id(email)) }),
        ("Status", html! { (outcome_badge(*outcome)) }),
        ("Gets", html! { (share.streams.join(", ")) }),
        ("Sharing profile", html! { (share.profile_line()) }),
        ("Permission", html! { (share.permission) }),
        ("Until", html! { @match share.ends { Some(at) => { (end(at)) }, None => { "For good" } } }),
        ("Invited", html! { (second(share.offered_at.moment())) }),
        ("Offer expires", expires(share.offer_expires)),
    ];
    if let Some(target) = &share.target {
        known.push(("Accepted by", html! { (target) @if let Some(at) = share.accepted_at { ", " (second(at.moment())) } }));
    }
    if let Some(label) = &share.label {
        known.push(("Label", html! { (label) }));
    }
    known.push(("Share", id(&share.share)));
    html! {
        aside.panel id="invitation-panel" data-live aria-label={ "Invitation of " (email) } {
            header { h2 { "Invitation" } div.actions { a.button data-close href=(close) { "Close" } } }
            div.body {
                (facts(known))
                @if let Some(message) = &share.message { div { h3 { "Message" } p.wrap-anywhere { (message) } } }
                @if is_pending && page.may_write {
                    form.stack.tight method="post" action="/invitations/resend" {
                        (page.seal.for_form("resend"))
                        input type="hidden" name="share" value=(share.share);
                        input type="hidden" name="back" value=(page.asked.here(&share.share));
                        (FieldOf { name: "offer_expires", label: "New expiry of the offer", hint: Some("to its end, UTC; empty leaves it as it is"), ..FieldOf::default() }.date())
                        div { button { "Send again to " (email) } }
                        span.small.muted { "The code of the mail before is worth nothing from then on." }
                    }
                    form method="post" action="/invitations/cancel" {
                        (page.seal.for_form("cancel"))
                        input type="hidden" name="share" value=(share.share);
                        input type="hidden" name="back" value=(page.asked.here(&share.share));
                        button.danger { "Cancel the invitation of " (email) }
                    }
                }
                @if page.may_write && matches!(outcome, InvitationOutcome::Expired | InvitationOutcome::Cancelled | InvitationOutcome::Declined) {
                    div { a.button href=(again(panel)) { "Invite " (email) " again" } }
                    span.small.muted { "It is a new invitation, on the same terms, with a code of its own." }
                }
                @if !panel.history.is_empty() {
                    div {
                        h3 { "History" }
                        ul.plain.stack.tight { @for line in &panel.history {
                            li { (line.by) " " (line.what) @if line.outcome.starts_with("Refused") { ". " (line.outcome) } span.second.small.muted { (second(line.at.moment())) } }
                        } }
                    }
                }
            }
        }
    }
}

/// The address of a new invitation on the terms of one that is over.
fn again(panel: &InvitationPanel) -> String {
    let share = &panel.invitation.share;
    let mut pairs = vec![
        ("owner", panel.owner.as_deref().unwrap_or_default()),
        ("asset", share.asset.as_deref().unwrap_or_default()),
        ("email", &panel.invitation.email),
        ("profile", &share.profile),
        ("permission", share.permission),
        ("label", share.label.as_deref().unwrap_or_default()),
        ("message", share.message.as_deref().unwrap_or_default()),
    ];
    pairs.extend(share.streams.iter().map(|stream| ("streams", stream.as_str())));
    format!("/invitations/invite{}", query(&pairs))
}

/// What is typed into an invitation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct InviteForm {
    /// Given where it is known from the page before.
    pub(crate) owner: String,
    pub(crate) asset: String,
    pub(crate) email: String,
    pub(crate) streams: Vec<String>,
    pub(crate) profile: String,
    pub(crate) permission: String,
    pub(crate) until: String,
    pub(crate) offer_expires: String,
    pub(crate) label: String,
    pub(crate) message: String,
    pub(crate) errors: Vec<(&'static str, String)>,
    /// Members that are marked critical and would leave.
    pub(crate) critical: Vec<String>,
}

/// What can be chosen in a form of an offer.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfferChoices {
    pub(crate) assets: Vec<Choice>,
    pub(crate) profiles: Vec<ProfileChoice>,
    pub(crate) streams: Vec<String>,
    pub(crate) partners: Vec<String>,
    pub(crate) is_operator: bool,
}

/// Inviting: one page, one button.
pub(crate) fn invite(form: &InviteForm, choices: &OfferChoices, seal: &FormSeal) -> Markup {
    let field = |name, label| field_of(&form.errors, name, label);
    let streams: Vec<Choice> = choices.streams.iter().map(Choice::plain).collect();
    html! {
        nav.crumb aria-label="Above" { a href="/invitations" { "Asset invitations" } }
        (head(html! { "Invite" }, Some(html! { "The address gets a mail with a link. Whoever opens it accepts for their own account; until then nothing leaves." }), None))
        form.panel method="post" action="/invitations/invite" {
            (seal.fields())
            div.body {
                (alert(&form.errors))
                fieldset.fields {
                    @if choices.is_operator { (FieldOf { value: &form.owner, is_required: true, ..field("owner", "Owner") }.text()) }
                    (FieldOf { value: &form.asset, is_required: true, ..field("asset", "Asset") }.text_of(&choices.assets))
                    (FieldOf { value: &form.email, is_required: true, ..field("email", "Email") }.email())
                    (FieldOf { value: &form.profile, is_required: true, hint: Some("says which members leave"), ..field("profile", "Sharing profile") }.select(&profiles(&choices.profiles)))
                    (field("streams", "Streams").ticks(&streams, &form.streams))
                    (FieldOf { value: &form.permission, ..field("permission", "Permission") }.select(&permissions()))
                    (FieldOf { value: &form.until, hint: Some("to its end, UTC; empty is for good"), ..field("until", "Share until") }.date())
                    (FieldOf { value: &form.offer_expires, hint: Some("to its end, UTC; empty is never"), ..field("offer_expires", "Offer expires") }.date())
                    (FieldOf { value: &form.label, hint: Some("what they call it; not your id"), ..field("label", "Label") }.text())
                }
                (FieldOf { value: &form.message, ..field("message", "Message") }.area(false, 3))
                (critical_ticks(&form.critical, error_of(&form.errors, "critical")))
                div.row { button.primary { "Send the invitation" } a.button href="/invitations" { "Not now" } }
            }
        }
    }
}
