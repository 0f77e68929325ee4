//! Invitations: a one-time code whose hash goes into the event, and whose text goes to the mailer once the offer is folded.

use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::share::event::invitation_code;
use crate::share::event::invitation_code::CodeHash;
use crate::share::event::kind::EventType;
use crate::share::state::State;
use crate::share::status::Document;
use crate::share::table::query::ShareView;
use crate::share::table::{Outcome, ShareTable};
use crate::share::view::mail;

/// An invitation that an event makes, or sends again: its mail is owed once the event is folded.
#[derive(Clone)]
pub struct InvitationMail {
    /// The share.
    pub share: String,
    /// The code that the event brings.
    pub code: String,
}

impl InvitationMail {
    /// What this event invites to, with this code; none if it invites nobody.
    pub fn of(kind: EventType, data: &Node, table: &ShareTable, code: String) -> Option<Self> {
        let share = data.get("share")?.as_str()?.to_owned();
        let has = |name: &str| data.get(name).is_some_and(|node| !node.is_null());
        let invites = match kind {
            EventType::ShareOffered => has("invitee") && !has("target_tenant"),
            EventType::ShareResent => is_open_invitation(table, &share),
            _ => false,
        };
        invites.then_some(Self { share, code })
    }

    /// Puts a code's hash into the event.
    pub fn put_hash(data: &mut Node, code: &str) {
        put(data, "code_hash", CodeHash::of(code).to_string());
    }

    /// Whether this event brought the code.
    pub fn is_of(&self, data: &Node) -> bool {
        let hash = data.get("code_hash").and_then(Node::as_str).and_then(CodeHash::parse);
        hash == Some(CodeHash::of(&self.code))
    }

    /// Whether the share still waits for the code.
    pub fn is_open(&self, table: &ShareTable) -> bool {
        self.open_in(table).is_some()
    }

    /// The share, while it waits for the code.
    pub fn open_in<'t>(&self, table: &'t ShareTable) -> Option<ShareView<'t>> {
        table.share(&self.share).filter(|share| mail::is_open(*share, CodeHash::of(&self.code)))
    }
}

/// The code opens what it is the code of.
impl std::fmt::Debug for InvitationMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InvitationMail").field("share", &self.share).finish_non_exhaustive()
    }
}

/// Why there is nothing to accept by a code.
pub fn why_closed(outcome: Option<&Outcome>, share: Option<Document<'_>>) -> String {
    let failed = share.filter(|document| document.state == State::Failed).and_then(|document| document.reason);
    match (outcome, failed) {
        (None, _) => "its event is not in the control topic; if `share list` shows the offer later, `share resend` mails it".to_owned(),
        (Some(Outcome::Rejected(reason)), _) => format!("the event was rejected, {reason}"),
        (_, Some(reason)) => format!("the offer failed, {}", reason.code()),
        _ => "the invitation was closed, or has another code, since".to_owned(),
    }
}

fn is_open_invitation(table: &ShareTable, share: &str) -> bool {
    table.share(share).map(|share| share.document()).is_some_and(|document| document.state == State::Pending && document.invitee.is_some())
}

/// Of these shares the one that waits for a code, however it was typed; the error is a sentence.
///
/// # Errors
/// No share waits for it, or several do.
pub fn share_of_code<'t>(shares: impl Iterator<Item = ShareView<'t>>, typed: &str) -> Result<ShareView<'t>, &'static str> {
    let codes: Vec<CodeHash> = invitation_code::readings(typed).iter().map(|reading| CodeHash::of(reading)).collect();
    let found = mail::of_codes(shares, &codes);
    match found.as_slice() {
        [share] => Ok(*share),
        [] => Err("no open invitation has this code: it was accepted, taken back, has lapsed, or a newer mail came"),
        _ => Err("several invitations have this code: name the share too"),
    }
}

/// Takes the code of an acceptance as its share knows it, however it was typed.
pub fn settle_code(data: &mut Node, table: &ShareTable) {
    let text = |name: &str| data.get(name).and_then(Node::as_str).map(str::to_owned);
    let (Some(share), Some(typed)) = (text("share"), text("code")) else { return };
    let Some(hash) = table.share(&share).and_then(ShareView::code_hash) else { return };
    if let Some(reading) = invitation_code::readings(&typed).into_iter().find(|reading| CodeHash::of(reading) == hash) {
        set_code(data, reading);
    }
}

/// Takes the code of an acceptance as an earlier one has it, if that is what was typed.
pub fn type_code_as(data: &mut Node, earlier: &Node) {
    let code = |data: &Node| data.get("code").and_then(Node::as_str).map(str::to_owned);
    if let (Some(typed), Some(earlier)) = (code(data), code(earlier))
        && invitation_code::readings(&typed).contains(&earlier)
    {
        set_code(data, earlier);
    }
}

/// Sets the code of an acceptance.
pub fn set_code(data: &mut Node, code: String) {
    set_member(data, "code", code);
}

/// Sets a member that is a text.
pub fn set_member(data: &mut Node, name: &str, text: String) {
    if let DocumentKind::Map(members) = &mut data.kind {
        members.retain(|member| member.name != name);
    }
    put(data, name, text);
}

fn put(data: &mut Node, name: &str, text: String) {
    if let DocumentKind::Map(members) = &mut data.kind {
        let value = Node { kind: DocumentKind::String(text), place: TextPosition::default() };
        members.push(Member { name: name.to_owned(), place: TextPosition::default(), value });
    }
}
