//! What is done with tenants, partnerships and profiles.

use serde::Deserialize;
use utoipa::ToSchema;

use super::there;

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
