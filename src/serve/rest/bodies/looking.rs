//! What is looked at.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{OfferBody, PermissionWord};

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
