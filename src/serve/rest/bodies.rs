//! What requests bring.

use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::document::Node;
use crate::serve::write::order::DataBuilder;

/// A member that is there, null or not: null takes something away, and none leaves it as it is.
fn there<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

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

/// A partnership that is offered; of the operator one that is made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PartnershipBody {
    /// With whom.
    pub partner: Option<String>,
    /// For the operator: the two.
    #[schema(min_items = 2, max_items = 2)]
    pub tenants: Option<Vec<String>>,
    /// For the operator: offers of shares between the two are accepted by themselves.
    pub auto_accept: Option<bool>,
}

/// What is done with a partnership.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PartnershipVerbBody {
    /// Of an acceptance: offers of shares between the two are accepted by themselves.
    pub auto_accept: Option<bool>,
    /// For the operator: which of the two acts.
    pub acting: Option<String>,
}

/// A tenant, by the operator.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantBody {
    /// Its id.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    pub tenant: String,
    /// Its parent in the tree; null for none.
    #[serde(default, deserialize_with = "there")]
    #[schema(value_type = Option<String>)]
    pub parent: Option<Option<String>>,
    /// Whether all its shares are paused.
    pub suspended: Option<bool>,
}

/// A change of a tenant, by the operator.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantUpdateBody {
    /// Its parent in the tree; null for none.
    #[serde(default, deserialize_with = "there")]
    #[schema(value_type = Option<String>)]
    pub parent: Option<Option<String>>,
    /// Whether all its shares are paused.
    pub suspended: Option<bool>,
}

/// A profile that is published.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileBody {
    /// Its name.
    pub profile: String,
    /// What it says, a section for each stream; or `source`.
    #[schema(value_type = Option<Object>)]
    pub spec: Option<serde_json::Value>,
    /// The same as text, YAML or JSON. It is kept, so that `explain` can name its lines.
    pub source: Option<String>,
    /// Whose it is: for the operator.
    pub owner: Option<String>,
    /// A person has seen the members that leave and are marked as critical.
    #[serde(default)]
    pub confirm_critical: bool,
}

/// A profile that is retired.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireBody {
    /// Whose it is: for the operator.
    pub owner: Option<String>,
}

/// An offer that is looked at before it is made, of one asset or of up to ten.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewBody {
    /// The owner: for the operator.
    pub owner: Option<String>,
    /// The asset, in the owner's words.
    pub asset: Option<String>,
    /// Or several.
    #[schema(min_items = 1, max_items = 10)]
    pub assets: Option<Vec<String>>,
    /// The tenant that shall receive it.
    pub target_tenant: Option<String>,
    /// Or the address of somebody who has no tenant yet.
    pub invitee: Option<String>,
    /// The asset's id at the target.
    pub target_asset: Option<String>,
    /// The streams.
    #[schema(min_items = 1)]
    pub streams: Vec<String>,
    /// The owner's sharing profile.
    pub profile: String,
    /// `view` if there is none.
    pub permission: Option<PermissionWord>,
    /// When access begins.
    #[schema(format = DateTime)]
    pub starts: Option<String>,
    /// When access ends.
    #[schema(format = DateTime)]
    pub ends: Option<String>,
    /// A name shown to the target.
    pub label: Option<String>,
    /// By stream, a record to show instead of the newest.
    #[schema(value_type = Option<Object>)]
    pub records: Option<serde_json::Map<String, serde_json::Value>>,
}

impl PreviewBody {
    /// The offer of one of its assets.
    pub fn offer(&self, owner: &str, asset: String, is_operator: bool) -> OfferBody {
        OfferBody {
            owner: is_operator.then(|| owner.to_owned()),
            asset,
            target_tenant: self.target_tenant.clone(),
            invitee: self.invitee.clone(),
            target_asset: self.target_asset.clone(),
            streams: self.streams.clone(),
            profile: self.profile.clone(),
            permission: self.permission,
            starts: self.starts.clone(),
            ends: self.ends.clone(),
            offer_expires: None,
            history: None,
            label: self.label.clone(),
            message: None,
            confirm_critical: false,
        }
    }
}

/// A profile on a record.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenderBody {
    /// The stream.
    pub stream: String,
    /// The record's value.
    #[schema(value_type = Option<Object>)]
    pub record: Option<serde_json::Value>,
    /// Or the asset whose newest record is shown; beside `record` whose it is.
    pub asset: Option<String>,
    /// Whose profile and asset it is: for the operator.
    pub owner: Option<String>,
    /// Of a draft: what it says.
    #[schema(value_type = Option<Object>)]
    pub spec: Option<serde_json::Value>,
    /// Or the same as text, YAML or JSON.
    pub source: Option<String>,
}

/// A publication that is looked at before it is done.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublicationBody {
    /// What the profile would say.
    #[schema(value_type = Option<Object>)]
    pub spec: Option<serde_json::Value>,
    /// Or the same as text, YAML or JSON.
    pub source: Option<String>,
    /// Whose it is: for the operator.
    pub owner: Option<String>,
}
