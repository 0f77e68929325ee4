//! Pages as functions of what they show: what is hostile stays text, and what is long stays small.

use maud::Markup;

use crate::access::{Caller, Party, Role};
use crate::console::assets::gzip;
use crate::console::model::{AssetTitle, ProfileChoice, ShownShare};
use crate::console::pages::assets::{AssetHead, AssetList, AssetRow, ReceivedFrom};
use crate::console::pages::incoming::IncomingPage;
use crate::console::pages::invitations::{InvitationPage, InvitationPanel, InvitationQuery, ShownInvitation};
use crate::console::pages::sharing::{HistoryLine, SharingPage, SharingSection};
use crate::console::pages::{assets, incoming, invitation_link, invitations, sharing};
use crate::console::parts::FormSeal;
use crate::console::shell::{PagePlace, Surround, Theme, page};
use crate::console::status::SharingStatus;
use crate::id::{Epoch, TenantId};
use crate::share::view::invitations::InvitationOutcome;
use crate::time::TimestampMs;

const HOSTILE: &str = r#"<img src=x onerror="alert(1)">'&"#;

fn around() -> Surround {
    let caller = Caller { who: Party::Tenant(TenantId::parse("northwind").unwrap()), role: Role::Admin, name: Some(HOSTILE.into()) };
    Surround {
        caller: Some(caller),
        csrf: "c".to_owned(),
        theme: Theme::System,
        address: "/assets".to_owned(),
        epoch: Epoch(7),
        waiting_offers: 2,
        search: HOSTILE.to_owned(),
    }
}

fn share(number: usize, status: SharingStatus) -> ShownShare {
    let text = || Some(format!("{HOSTILE}{number}"));
    ShownShare {
        share: format!("gjzv7xio3k2m4n5p6q7r2s3t{number:02}"),
        owner: HOSTILE.to_owned(),
        asset: text(),
        names: AssetTitle { name: text(), reference: text() },
        label: text(),
        target: text(),
        invitee: None,
        target_asset: text(),
        streams: vec!["telemetry".to_owned(), "details".to_owned()],
        profile: HOSTILE.to_owned(),
        profile_revision: Some(3),
        permission: "view",
        starts: None,
        ends: Some(TimestampMs(1_780_000_000_000).moment()),
        offer_expires: Some(TimestampMs(1_780_000_000_000).moment()),
        message: text(),
        offered_at: TimestampMs(1_770_000_000_000),
        accepted_at: Some(TimestampMs(1_770_000_000_000)),
        ended_at: None,
        ended_by: None,
        status,
        is_own: true,
        revision: 2,
    }
}

fn seal() -> FormSeal {
    FormSeal { csrf: "c".to_owned(), key: "k".to_owned() }
}

fn head() -> AssetHead {
    AssetHead { owner: Some(HOSTILE.to_owned()), asset: HOSTILE.to_owned(), names: AssetTitle::default(), may_write: true }
}

fn sharing_page(rows: usize) -> Markup {
    let rows: Vec<_> = (0..rows).map(|number| share(number, SharingStatus::Active)).collect();
    let profiles = vec![ProfileChoice { name: HOSTILE.to_owned(), revision: Some(1), streams: vec!["telemetry".to_owned()] }];
    let sections = vec![SharingSection { stream: "telemetry".to_owned(), rows }];
    sharing::sharing(&SharingPage {
        head: head(),
        sections,
        profiles,
        partners: vec![HOSTILE.to_owned()],
        edit: None,
        review: None,
        shows_over: false,
        now: TimestampMs(1_770_000_000_000),
        seal: seal(),
        said: None,
    })
}

fn invitation_page(rows: usize) -> Markup {
    let invitation = |number| ShownInvitation {
        share: share(number, SharingStatus::Pending),
        email: format!("{HOSTILE}{number}@example.com"),
        outcome: InvitationOutcome::Pending,
    };
    let history = vec![HistoryLine {
        offset: 1,
        at: TimestampMs(0),
        share: "s".to_owned(),
        what: HOSTILE.to_owned(),
        by: HOSTILE.to_owned(),
        outcome: "done".to_owned(),
    }];
    invitations::invitations(&InvitationPage {
        asked: InvitationQuery { search: HOSTILE.to_owned(), permission: HOSTILE.to_owned(), ..InvitationQuery::default() },
        counts: [rows, 0, 0, 0, 0],
        rows: (0..rows).map(invitation).collect(),
        next: Some(HOSTILE.to_owned()),
        panel: Some(InvitationPanel { invitation: invitation(0), history, owner: Some(HOSTILE.to_owned()) }),
        may_write: true,
        seal: seal(),
        said: None,
        head: None,
    })
}

fn asset_page(rows: usize) -> Markup {
    let row = |number: usize| AssetRow {
        owner: HOSTILE.to_owned(),
        asset: format!("{HOSTILE}{number}"),
        names: AssetTitle { name: Some(HOSTILE.to_owned()), reference: Some(HOSTILE.to_owned()) },
        from: number.is_multiple_of(2).then(|| ReceivedFrom { owner: HOSTILE.to_owned(), share: HOSTILE.to_owned() }),
        targets: vec![HOSTILE.to_owned(); 5],
        pending: 1,
    };
    assets::list(&AssetList {
        search: HOSTILE.to_owned(),
        rows: (0..rows).map(row).collect(),
        next: None,
        is_later_page: false,
        may_write: true,
        is_operator: true,
    })
}

fn incoming_page(rows: usize) -> Markup {
    let shares = |status: &SharingStatus| (0..rows / 2).map(|number| share(number, status.clone())).collect();
    incoming::incoming(&IncomingPage {
        offers: shares(&SharingStatus::Pending),
        received: shares(&SharingStatus::Active),
        over: 1,
        shows_over: false,
        typed: None,
        may_write: true,
        seal: seal(),
        said: None,
        is_operator: false,
        more_offers: Some(HOSTILE.to_owned()),
        more_received: Some(HOSTILE.to_owned()),
    })
}

fn pages(rows: usize) -> Vec<(&'static str, String)> {
    let offer = invitation_link::LinkState::Open(Box::new(share(1, SharingStatus::Pending)));
    let all = [
        ("sharing", sharing_page(rows)),
        ("invitations", invitation_page(rows)),
        ("assets", asset_page(rows)),
        ("incoming", incoming_page(rows)),
        ("stop", sharing::stop(&head(), &share(0, SharingStatus::Active), &seal(), Some(HOSTILE))),
        ("link", invitation_link::opened(&offer, HOSTILE, "c")),
    ];
    all.into_iter().map(|(name, body)| (name, page(&around(), HOSTILE, PagePlace::Assets, &body).into_string())).collect()
}

#[test]
fn what_others_typed_stays_text() {
    for (name, text) in pages(3) {
        assert!(text.contains("&lt;img src=x onerror="), "{name} shows it");
        assert!(!text.contains("<img src=x"), "{name}: {text}");
        // Quotes would leave an attribute.
        assert!(!text.contains(r#"onerror="alert"#), "{name}");
        // The policy of the pages forbids both.
        assert!(!text.contains("<script>") && !text.contains(" style=") && !text.contains(" onclick="), "{name}");
        assert!(!text.contains("javascript:"), "{name}");
    }
}

#[test]
fn a_page_with_fifty_rows_is_small() {
    for (name, text) in pages(50) {
        let packed = gzip(text.as_bytes()).unwrap().len();
        assert!(packed <= 20 * 1024, "{name}: {packed} bytes compressed");
        let limit = 60 * 1024 + 50 * 500;
        // Hostile names are ten times as long as others once they are escaped.
        assert!(text.len() <= 4 * limit, "{name}: {} bytes", text.len());
    }
}

/// Every form that writes has what shows that it is of this session, and what lets it write once.
#[test]
fn forms_that_write_are_sealed() {
    for (name, text) in pages(3) {
        let forms: Vec<&str> = text.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap()).collect();
        let posts: Vec<&&str> = forms.iter().filter(|form| form.contains(r#"method="post""#)).collect();
        assert!(posts.iter().all(|form| form.contains(r#"name="csrf""#)), "{name}");
        let writes = posts.iter().filter(|form| !["/theme", "/sign-out", "\"/invitation\""].iter().any(|free| form.contains(free)));
        assert!(writes.clone().all(|form| form.contains(r#"name="key""#)), "{name}");
    }
}
