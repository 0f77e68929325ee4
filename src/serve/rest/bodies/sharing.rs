//! What is done with shares.

use serde::Deserialize;
use utoipa::ToSchema;

use super::there;
use crate::document::Node;
use crate::serve::write::order::DataBuilder;

/// What the target may do with the asset.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PermissionWord {
    /// Look at it.
    View,
    /// Change it.
    Edit,
    /// Pass it on.
    Manage,
}

impl PermissionWord {
    fn word(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Manage => "manage",
        }
    }
}

/// An offer. The share's id is the server's.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferBody {
    /// The owner: for the operator, who offers for it.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    pub owner: Option<String>,
    /// The asset, in the owner's words.
    #[schema(min_length = 1, max_length = 256)]
    pub asset: String,
    /// The tenant that shall receive it.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    pub target_tenant: Option<String>,
    /// Or the address of somebody who has no tenant yet.
    pub invitee: Option<String>,
    /// The asset's id at the target; the owner's if there is none.
    #[schema(min_length = 1, max_length = 256)]
    pub target_asset: Option<String>,
    /// The streams.
    #[schema(min_items = 1)]
    pub streams: Vec<String>,
    /// The owner's sharing profile; `all` shows everything.
    pub profile: String,
    /// `view` if there is none.
    pub permission: Option<PermissionWord>,
    /// When access begins; with the acceptance if there is none.
    #[schema(format = DateTime)]
    pub starts: Option<String>,
    /// When access ends; never if there is none.
    #[schema(format = DateTime)]
    pub ends: Option<String>,
    /// When the offer lapses; never if there is none.
    #[schema(format = DateTime)]
    pub offer_expires: Option<String>,
    /// Late records from before the acceptance are released too.
    pub history: Option<bool>,
    /// A name shown to the target.
    pub label: Option<String>,
    /// A word to the target.
    pub message: Option<String>,
    /// A person has seen the members that leave and are marked as critical.
    #[serde(default)]
    pub confirm_critical: bool,
}

/// An offer to an address. The share's id is the server's.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationBody {
    /// The owner: for the operator, who offers for it.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    pub owner: Option<String>,
    /// The asset, in the owner's words.
    #[schema(min_length = 1, max_length = 256)]
    pub asset: String,
    /// The address that the mail goes to.
    #[schema(min_length = 3)]
    pub invitee: String,
    /// The asset's id at the target, unless it chooses its own; the owner's if there is none.
    #[schema(min_length = 1, max_length = 256)]
    pub target_asset: Option<String>,
    /// The streams.
    #[schema(min_items = 1)]
    pub streams: Vec<String>,
    /// The owner's sharing profile; `all` shows everything.
    pub profile: String,
    /// `view` if there is none.
    pub permission: Option<PermissionWord>,
    /// When access begins; with the acceptance if there is none.
    #[schema(format = DateTime)]
    pub starts: Option<String>,
    /// When access ends; never if there is none.
    #[schema(format = DateTime)]
    pub ends: Option<String>,
    /// When the offer lapses; never if there is none.
    #[schema(format = DateTime)]
    pub offer_expires: Option<String>,
    /// Late records from before the acceptance are released too.
    pub history: Option<bool>,
    /// A name shown to the target.
    pub label: Option<String>,
    /// A word to whoever is invited.
    pub message: Option<String>,
    /// A person has seen the members that leave and are marked as critical.
    #[serde(default)]
    pub confirm_critical: bool,
}

impl From<InvitationBody> for OfferBody {
    fn from(body: InvitationBody) -> Self {
        Self {
            owner: body.owner,
            asset: body.asset,
            target_tenant: None,
            invitee: Some(body.invitee),
            target_asset: body.target_asset,
            streams: body.streams,
            profile: body.profile,
            permission: body.permission,
            starts: body.starts,
            ends: body.ends,
            offer_expires: body.offer_expires,
            history: body.history,
            label: body.label,
            message: body.message,
            confirm_critical: body.confirm_critical,
        }
    }
}

impl OfferBody {
    /// The event's data, without the share.
    pub fn data(&self) -> Node {
        DataBuilder::default()
            .text_if("owner", self.owner.as_deref())
            .text("asset", &self.asset)
            .text_if("target_tenant", self.target_tenant.as_deref())
            .text_if("invitee", self.invitee.as_deref())
            .text_if("target_asset", self.target_asset.as_deref())
            .texts_if("streams", Some(&self.streams))
            .text("profile", &self.profile)
            .text_if("permission", self.permission.map(PermissionWord::word))
            .text_if("starts", self.starts.as_deref())
            .text_if("ends", self.ends.as_deref())
            .text_if("offer_expires", self.offer_expires.as_deref())
            .flag_if("history", self.history.filter(|history| *history))
            .text_if("label", self.label.as_deref())
            .text_if("message", self.message.as_deref())
            .build()
    }
}

/// An acceptance.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    /// The asset's id in the target's words.
    #[schema(min_length = 1, max_length = 256)]
    pub target_asset: Option<String>,
    /// Fewer streams than were offered.
    pub streams: Option<Vec<String>>,
    /// The code that came by mail, of an invitation.
    pub code: Option<String>,
    /// The accepting tenant of an invitation: for the operator, who accepts for it.
    pub target_tenant: Option<String>,
}

/// An acceptance by the code that came by mail.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeBody {
    /// The code.
    pub code: String,
    /// The asset's id in the target's words.
    #[schema(min_length = 1, max_length = 256)]
    pub target_asset: Option<String>,
    /// Fewer streams than were offered.
    pub streams: Option<Vec<String>>,
}

impl AcceptBody {
    /// The event's data.
    pub fn data(&self, share: &str) -> Node {
        DataBuilder::default()
            .text("share", share)
            .text_if("target_asset", self.target_asset.as_deref())
            .texts_if("streams", self.streams.as_deref())
            .text_if("code", self.code.as_deref())
            .text_if("target_tenant", self.target_tenant.as_deref())
            .build()
    }
}

/// Why.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteBody {
    /// Kept in the control topic only.
    pub note: Option<String>,
}

impl NoteBody {
    /// The event's data.
    pub fn data(&self, share: &str) -> Node {
        DataBuilder::default().text("share", share).text_if("note", self.note.as_deref()).build()
    }
}

/// An offer that is sent again.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResendBody {
    /// When it lapses now; as long as before, from now on, if there is none.
    #[schema(format = DateTime)]
    pub offer_expires: Option<String>,
}

impl ResendBody {
    /// The event's data.
    pub fn data(&self, share: &str) -> Node {
        DataBuilder::default().text("share", share).text_if("offer_expires", self.offer_expires.as_deref()).build()
    }
}

/// A change of a share. Null takes `starts`, `ends` or `label` away. The target may change `target_asset` alone.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateBody {
    /// The asset's id at the target.
    #[schema(min_length = 1, max_length = 256)]
    pub target_asset: Option<String>,
    /// The streams.
    pub streams: Option<Vec<String>>,
    /// The sharing profile.
    pub profile: Option<String>,
    /// What the target may do.
    pub permission: Option<PermissionWord>,
    /// When access begins.
    #[serde(default, deserialize_with = "there")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts: Option<Option<String>>,
    /// When access ends; a time that is past ends it at once.
    #[serde(default, deserialize_with = "there")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends: Option<Option<String>>,
    /// A name shown to the target.
    #[serde(default, deserialize_with = "there")]
    #[schema(value_type = Option<String>)]
    pub label: Option<Option<String>>,
    /// A person has seen the members that leave and are marked as critical.
    #[serde(default)]
    pub confirm_critical: bool,
}

impl UpdateBody {
    /// The event's data.
    pub fn data(&self, share: &str) -> Node {
        DataBuilder::default()
            .text("share", share)
            .text_if("target_asset", self.target_asset.as_deref())
            .texts_if("streams", self.streams.as_deref())
            .text_if("profile", self.profile.as_deref())
            .text_if("permission", self.permission.map(PermissionWord::word))
            .clearable("starts", self.starts.as_ref().map(Option::as_deref))
            .clearable("ends", self.ends.as_ref().map(Option::as_deref))
            .clearable("label", self.label.as_ref().map(Option::as_deref))
            .build()
    }
}

/// What is done with each share of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BatchVerb {
    /// Each item is an offer.
    Offer,
    /// Each item names a share, as do all of the others.
    Accept,
    /// The target says no.
    Decline,
    /// The owner takes an offer back.
    Cancel,
    /// An offer's clock begins again.
    Resend,
    /// The share is changed.
    Update,
    /// The flow stops for a while.
    Pause,
    /// A pause is taken back.
    Resume,
    /// The owner ends the share.
    Revoke,
    /// The target ends the share.
    Leave,
}

/// The same done with many.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// What is done.
    pub verb: BatchVerb,
    /// What all items have in common: members of the single request's body.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub with: serde_json::Map<String, serde_json::Value>,
    /// Each item's own: of an offer its `asset`, of anything else its `share`, and members that go over those of `with`.
    #[schema(value_type = Vec<Object>, min_items = 1, max_items = 10000)]
    pub items: Vec<serde_json::Map<String, serde_json::Value>>,
    /// Nothing is written; the answer is what it would come to.
    #[serde(default)]
    pub dry_run: bool,
    /// A person has seen the members that leave and are marked as critical.
    #[serde(default)]
    pub confirm_critical: bool,
}
