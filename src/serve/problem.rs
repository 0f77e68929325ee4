//! What a caller is told of a request that came to nothing: `application/problem+json` (RFC 9457), with a reason code where a rule was
//! broken, and the sentence that the command line would say.

use crate::json::writer::object;
use crate::share::state::Reason;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The rule that was broken.
    pub reason: Option<Reason>,
    /// What was found, and what to do instead.
    pub detail: String,
    /// The member of the request that is wrong, as `ends` or `items[3].asset`.
    pub member: Option<Box<str>>,
    /// Of a request on many: each item that is refused.
    pub items: Vec<ItemProblem>,
    /// Members that leave and are marked as critical: they wait for a confirmation.
    pub critical: Vec<String>,
    /// In so many seconds it may be tried again.
    pub retry_after: Option<u32>,
    /// The key under which the same write may be repeated.
    pub repeat_key: Option<Box<str>>,
}

/// One item that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemProblem {
    /// Its place in the request, from 0.
    pub index: usize,
    /// What it names: an asset or a share.
    pub name: String,
    /// The rule that was broken.
    pub reason: Option<Reason>,
    /// What was found, and what to do instead.
    pub detail: String,
}

/// Nothing of this name, or nothing that the caller may see.
const NOT_THERE: &str = "there is nothing of this name, or nothing that you may see";

impl Problem {
    /// A refusal without a reason code.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self {
            status,
            reason: None,
            detail: detail.into(),
            member: None,
            items: Vec::new(),
            critical: Vec::new(),
            retry_after: None,
            repeat_key: None,
        }
    }

    /// A rule that was broken, in a sentence.
    pub fn broken(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason: Some(reason), ..Self::new(status_of(reason), detail) }
    }

    /// The request cannot be understood.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(400, detail)
    }

    /// A member of it cannot be.
    pub fn of_member(member: impl Into<Box<str>>, detail: impl Into<String>) -> Self {
        Self { member: Some(member.into()), ..Self::new(400, detail) }
    }

    /// Nothing is there, or nothing that may be seen.
    pub fn not_there() -> Self {
        Self::new(404, NOT_THERE)
    }

    /// The share is not there, or may not be seen.
    pub fn unknown_share() -> Self {
        Self::broken(Reason::UnknownShare, Reason::UnknownShare.in_words())
    }

    /// A viewer's write.
    pub(crate) fn viewer() -> Self {
        Self::new(403, "a viewer sees, and changes nothing: this needs the role `admin`")
    }

    /// Only the operator may do this.
    pub fn not_operator() -> Self {
        Self::broken(Reason::NotOperator, Reason::NotOperator.in_words())
    }

    /// Nothing can be written or folded now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self { retry_after: Some(1), ..Self::new(503, detail) }
    }

    /// Refused items; the first says with which status.
    pub fn of_items(items: Vec<ItemProblem>, of: usize) -> Self {
        let first = items.first();
        let (reason, detail) = (first.and_then(|first| first.reason), first.map(|first| first.detail.clone()).unwrap_or_default());
        let detail =
            if of == 1 { detail } else { format!("{} of {of} items are refused, nothing was written; the first: {detail}", items.len()) };
        let problem = reason.map_or_else(|| Self::malformed(detail.clone()), |reason| Self::broken(reason, detail.clone()));
        Self { items: if of == 1 { Vec::new() } else { items }, ..problem }
    }

    /// A short title of its kind.
    pub fn title(&self) -> &'static str {
        if let Some(reason) = self.reason {
            return reason.in_words();
        }
        match self.status {
            400 => "the request cannot be understood",
            401 => "who asks is not known",
            403 => "this caller may not do this",
            404 => "not found",
            405 => "this cannot be done here",
            413 => "the body is too long",
            415 => "the body is no JSON",
            422 => "this waits for a confirmation",
            429 => "too many requests",
            503 => "this cannot be done at the moment",
            _ => "it failed",
        }
    }

    /// As JSON.
    pub fn to_json(&self) -> Vec<u8> {
        object(|out| {
            let kind = self.reason.map_or("about:blank".to_owned(), |reason| format!("urn:sharecast:reason:{}", reason.code()));
            out.text("type", &kind);
            out.text("title", self.title());
            out.number("status", self.status);
            out.text("detail", &self.detail);
            out.text_if("reason", self.reason.map(Reason::code));
            out.text_if("member", self.member.as_deref());
            if !self.items.is_empty() {
                out.array("items", |items| self.items.iter().for_each(|item| items.json(&item.to_json())));
            }
            if !self.critical.is_empty() {
                out.texts("critical", self.critical.iter().map(String::as_str));
            }
            out.text_if("repeat_key", self.repeat_key.as_deref());
        })
    }
}

impl ItemProblem {
    /// As JSON.
    pub fn to_json(&self) -> Vec<u8> {
        object(|out| {
            out.number("index", self.index as i64);
            out.text("name", &self.name);
            out.text_if("reason", self.reason.map(Reason::code));
            out.text("detail", &self.detail);
        })
    }
}

/// The status of a broken rule.
fn status_of(reason: Reason) -> u16 {
    match reason {
        Reason::UnknownShare => 404,
        Reason::NotOwner | Reason::NotTarget | Reason::NotOperator => 403,
        Reason::InvalidId | Reason::InvalidEvent | Reason::InvalidProfile => 400,
        Reason::SelfShare
        | Reason::NoPartnership
        | Reason::UnknownProfile
        | Reason::StreamNotInProfile
        | Reason::UnknownStream
        | Reason::DuplicateShare
        | Reason::WrongState
        | Reason::OfferLapsed
        | Reason::TargetInUse
        | Reason::MoreThanOffered
        | Reason::InvalidWindow
        | Reason::TenantCycle
        | Reason::IdReused
        | Reason::PartnershipEnded
        | Reason::TenantSuspended
        | Reason::AccessEnded
        | Reason::ByOwner
        | Reason::ByTarget
        | Reason::ByOperator
        | Reason::WrongCode => 409,
    }
}
