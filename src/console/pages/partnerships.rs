//! Partnerships: with whom one may share, and who has asked.

use maud::{Markup, html};

use crate::console::model::query;
use crate::console::parts::{Badge, BadgeTone, FieldOf, FormSeal, empty, head};

/// How a partnership stands, as one of its two sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShownBond {
    Active { auto_accept: bool },
    OfferedByMe,
    OfferedToMe,
}

/// One partnership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartnerRow {
    /// The tenant that looks; for the operator the first of the two.
    pub(crate) own: String,
    pub(crate) partner: String,
    pub(crate) bond: ShownBond,
    /// Live shares between the two.
    pub(crate) shares: usize,
}

/// The page.
#[derive(Debug, Clone)]
pub(crate) struct PartnershipPage {
    pub(crate) rows: Vec<PartnerRow>,
    pub(crate) to: String,
    pub(crate) error: Option<String>,
    pub(crate) may_write: bool,
    pub(crate) is_operator: bool,
    pub(crate) seal: FormSeal,
    pub(crate) said: Option<Markup>,
    /// Whose end is asked about.
    pub(crate) ending: Option<PartnerRow>,
    /// Words on what a partnership is needed for here.
    pub(crate) lead: &'static str,
}

impl ShownBond {
    fn badge(self) -> Badge {
        match self {
            Self::Active { .. } => Badge::new("Active", "●", BadgeTone::Good),
            Self::OfferedByMe => Badge::new("Offered", "○", BadgeTone::Info).with("not accepted yet"),
            Self::OfferedToMe => Badge::new("Offered to you", "◐", BadgeTone::Wait),
        }
    }
}

/// The whole page.
pub(crate) fn partnerships(page: &PartnershipPage) -> Markup {
    html! {
        (head(html! { "Partnerships" }, Some(html! { (page.lead) }), None))
        @if let Some(said) = &page.said { (said) }
        @if let Some(row) = &page.ending { (ending(page, row)) }
        section.panel id="partner-list" data-live data-rows aria-label="Partnerships" {
            @if page.rows.is_empty() {
                (empty("No partners yet", "Offer a partnership to a tenant by its name; once it accepts, you can share with each other.", None))
            } @else {
                div.scroll { table.folds {
                    thead { tr {
                        @if page.is_operator { th scope="col" { "Tenant" } }
                        th scope="col" { "Partner" } th scope="col" { "Status" } th scope="col" { "Offers are accepted" } th scope="col" { "Live shares" } th scope="col" { span.hidden-visually { "Actions" } }
                    } }
                    tbody { @for row in &page.rows { (line(page, row)) } }
                } }
            }
        }
        @if page.may_write {
            form.panel method="post" action="/partnerships/offer" {
                (page.seal.for_form("offer"))
                header { h2 { @if page.is_operator { "Establish a partnership" } @else { "Offer a partnership" } } }
                div.body {
                    @if page.is_operator { (FieldOf { name: "tenant", label: "Tenant", is_required: true, ..FieldOf::default() }.text()) }
                    (FieldOf { name: "partner", label: "Partner", value: &page.to, error: page.error.as_deref(), is_required: true, hint: Some("the tenant's id"), ..FieldOf::default() }.text())
                    div { button.primary { @if page.is_operator { "Establish" } @else { "Offer a partnership" } } }
                }
            }
        }
    }
}

fn line(page: &PartnershipPage, row: &PartnerRow) -> Markup {
    let key = |verb: &str| page.seal.for_form(&format!("{verb}{}{}", row.own, row.partner));
    let pair = || {
        html! {
            input type="hidden" name="tenant" value=(row.own);
            input type="hidden" name="partner" value=(row.partner);
        }
    };
    html! {
        tr data-row={ (row.own) " " (row.partner) } {
            @if page.is_operator { td data-head="Tenant" { (row.own) } }
            td data-head="Partner" { (row.partner) }
            td data-head="Status" { div { (row.bond.badge()) } }
            td data-head="Offers are accepted" { @match row.bond {
                ShownBond::Active { auto_accept: true } => { "by themselves" },
                ShownBond::Active { auto_accept: false } => { "one by one" },
                ShownBond::OfferedByMe | ShownBond::OfferedToMe => {},
            } }
            td data-head="Live shares" { (row.shares) }
            td { @if page.may_write { div.actions {
                @match row.bond {
                    ShownBond::OfferedToMe => {
                        form method="post" action="/partnerships/accept" {
                            (key("accept")) (pair())
                            label.choice { input type="checkbox" name="auto_accept" value="1"; span { "accept its offers of shares by themselves" } }
                            button.primary { "Accept " (row.partner) }
                        }
                        form method="post" action="/partnerships/decline" { (key("decline")) (pair()) button.danger { "Decline " (row.partner) } }
                    },
                    ShownBond::OfferedByMe | ShownBond::Active { .. } => {
                        a href={ "/partnerships" (query(&[("end", &row.partner), ("of", &row.own)])) } { "End" span.hidden-visually { " with " (row.partner) } "…" }
                    },
                }
            } } }
        }
    }
}

fn ending(page: &PartnershipPage, row: &PartnerRow) -> Markup {
    html! {
        form.panel method="post" action="/partnerships/end" { div.body {
            (page.seal.for_form("end"))
            input type="hidden" name="tenant" value=(row.own);
            input type="hidden" name="partner" value=(row.partner);
            h2 { "End the partnership of " (row.own) " with " (row.partner) "?" }
            p { "This stops every share between the two, in both directions, at once: " (row.shares) " now." }
            div.row { button.danger.firm { "End it, and stop " (row.shares) " shares" } a.button data-close href="/partnerships" { "Keep it" } }
        } }
    }
}
