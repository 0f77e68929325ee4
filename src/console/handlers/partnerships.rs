//! Partnerships: offer, accept, decline, end.

use std::sync::Arc;

use crate::access::Party;
use crate::console::ask::{Ask, Reply};
use crate::console::desk::Desk;
use crate::console::handlers::{said, sentence};
use crate::console::pages::partnerships::{PartnerRow, PartnershipPage, ShownBond, partnerships};
use crate::console::shell::PagePlace;
use crate::serve::problem::Problem;
use crate::serve::view::CallerView;
use crate::serve::write::order::{DataBuilder, WriteOrder};
use crate::serve::write::receipt::WriteReceipt;
use crate::share::configuration::PartnershipNeed;
use crate::share::event::kind::EventType;
use crate::share::table::parties::Bonded;

fn rows(view: &CallerView) -> Vec<PartnerRow> {
    let row = |pair: crate::share::table::parties::PartnershipView<'_>| {
        let own = view.tenant().map_or(pair.tenants[0], |own| own.as_str()).to_owned();
        let partner = pair.tenants.into_iter().find(|tenant| *tenant != own).unwrap_or_default().to_owned();
        let bond = match pair.bond {
            Bonded::Active { auto_accept } => ShownBond::Active { auto_accept },
            Bonded::OfferedBy(by) if by == own || view.tenant().is_none() => ShownBond::OfferedByMe,
            Bonded::OfferedBy(_) => ShownBond::OfferedToMe,
        };
        PartnerRow { shares: view.live_between(&own, &partner), own, partner, bond }
    };
    view.partnerships().into_iter().map(row).collect()
}

pub(crate) fn page(desk: &Desk, ask: &Ask, view: &CallerView, error: Option<String>) -> Reply {
    let rows = rows(view);
    let (of, end) = (ask.fields.text("of"), ask.fields.text("end"));
    let ending = rows.iter().find(|row| row.partner == end && (of.is_empty() || row.own == of)).cloned();
    let lead = match view.partnership_need() {
        PartnershipNeed::Required => "Partners can offer each other the data of their assets.",
        PartnershipNeed::Invited => {
            "Partners can offer each other the data of their assets. Who accepts an invitation by e-mail becomes a partner by it."
        }
        PartnershipNeed::Open => "Everybody can offer to everybody here. A partnership can accept offers by itself.",
    };
    let page = PartnershipPage {
        rows,
        to: ask.fields.text(if error.is_some() { "partner" } else { "to" }),
        error,
        may_write: ask.may_write(),
        is_operator: ask.caller().is_operator(),
        seal: ask.seal(desk),
        said: said(desk, ask, view),
        ending,
        lead,
    };
    Reply::page("Partnerships", PagePlace::Partnerships, partnerships(&page))
}

pub(crate) async fn write(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let partner = ask.fields.text("partner");
    let is_operator = ask.caller().is_operator();
    let verb = ask.path.trim_start_matches("/partnerships/");
    let (kind, done) = match (verb, is_operator) {
        ("offer", true) => (EventType::PartnershipEstablished, "partner-accepted"),
        ("offer", false) => (EventType::PartnershipOffered, "partner-offered"),
        ("accept", _) => (EventType::PartnershipAccepted, "partner-accepted"),
        ("decline", _) => (EventType::PartnershipDeclined, "partner-declined"),
        _ => (EventType::PartnershipEnded, "partner-ended"),
    };
    let tenants = [ask.fields.text("tenant"), partner.clone()];
    let data = match &ask.caller().who {
        Party::Operator => DataBuilder::default().texts_if("tenants", Some(&tenants)),
        Party::Tenant(_) => DataBuilder::default().text("partner", &partner),
    };
    let auto_accept = (verb == "accept" && ask.fields.has("auto_accept")).then_some(true);
    let order = WriteOrder::one(kind, &partner, data.flag_if("auto_accept", auto_accept).build());
    match desk.serve.write(ask.caller(), order, ask.key()).await.and_then(WriteReceipt::single) {
        Ok(_) => Ok(Reply::see(format!("/partnerships?done={done}"))),
        Err(problem) => Ok(page(desk, ask, view, Some(sentence(&problem)))),
    }
}
