//! One share as its viewer sees it.

use crate::id::Epoch;
use crate::share::state::State;
use crate::share::status::{Audience, Document};
use crate::share::table::query::ShareView;
use crate::share::view::list::Listed;
use crate::time::TimestampNs;

/// One share as its viewer sees it.
#[derive(Debug, Clone, Copy)]
pub struct SeenShare<'v> {
    pub(super) share: ShareView<'v>,
    pub(super) audience: Audience,
}

impl<'v> SeenShare<'v> {
    pub(super) fn of(found: Listed<'v>) -> Self {
        Self { share: found.share, audience: found.audience }
    }

    /// As whom the caller sees it.
    pub fn audience(self) -> Audience {
        self.audience
    }

    /// The document, without what the caller may not see.
    pub fn document(self) -> Document<'v> {
        self.share.document().seen_by(self.audience)
    }

    /// The document as the caller's status topic has it.
    pub fn to_json(self) -> Vec<u8> {
        self.share.to_json(self.audience)
    }

    /// The offset of the event that changed it last.
    pub fn changed_at(self) -> Epoch {
        self.share.changed_at()
    }

    /// Its id.
    pub fn id(self) -> &'v str {
        self.share.id().as_str()
    }

    /// Where it is in its life.
    pub fn state(self) -> State {
        self.share.state()
    }

    /// When the offer lapses.
    pub(crate) fn offer_expires(self) -> Option<TimestampNs> {
        self.share.offer_expires()
    }

    /// Whether a target has ever accepted it.
    pub fn was_accepted(self) -> bool {
        self.share.was_accepted()
    }

    /// The address that it was offered to, before and after it was accepted; the target is not told.
    pub fn invitee(self) -> Option<&'v str> {
        match self.audience {
            Audience::Owner => self.share.invited_address(),
            Audience::Target => None,
        }
    }
}
