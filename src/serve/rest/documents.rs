//! What answers say, for the document alone: the answers themselves are written as the status topics have them.

#![allow(dead_code, reason = "they are read by the document alone")]

use serde::Serialize;
use utoipa::ToSchema;

/// Where a share is in its life.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum StateWord {
    /// Offered against a rule.
    Failed,
    /// Offered, not yet accepted.
    Pending,
    /// Data flows.
    Active,
    /// Somebody holds a pause.
    Paused,
    /// The target said no.
    Declined,
    /// The owner took the offer back, or the partnership ended.
    Cancelled,
    /// The offer lapsed, or access ended by its time.
    Expired,
    /// The owner ended it, or the partnership ended.
    Revoked,
    /// The target ended it.
    Left,
}

/// A share, as the caller sees it. A target sees neither the owner's `asset` nor the `invitee`.
#[derive(Serialize, ToSchema)]
pub struct ShareDocument {
    /// Its id.
    pub share: String,
    /// Whose asset it is.
    pub owner: String,
    /// The asset, in the owner's words.
    pub asset: Option<String>,
    /// A name shown to the target.
    pub label: Option<String>,
    /// The tenant that receives it.
    pub target_tenant: Option<String>,
    /// The address that it is offered to, until somebody accepts.
    pub invitee: Option<String>,
    /// The asset, in the target's words.
    pub target_asset: Option<String>,
    /// The streams.
    pub streams: Vec<String>,
    /// The owner's sharing profile.
    pub profile: Option<String>,
    /// `view`, `edit` or `manage`.
    pub permission: String,
    /// When access begins.
    pub starts: Option<String>,
    /// When access ends.
    pub ends: Option<String>,
    /// When the offer lapses.
    pub offer_expires: Option<String>,
    /// Late records from before the acceptance are released too.
    pub history: Option<bool>,
    /// A word to the target.
    pub message: Option<String>,
    /// Where it is in its life.
    pub state: StateWord,
    /// Who holds a pause: `operator`, `owner`, `suspension`, `target`.
    pub paused_by: Option<Vec<String>>,
    /// Why, where the state has a reason.
    pub reason: Option<String>,
    /// 1 at the offer, one more at each event that changed it.
    pub revision: u32,
    /// When it was offered.
    pub offered_at: String,
    /// When it was accepted.
    pub accepted_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// From when on records are released.
    pub granted_from: Option<String>,
    /// The offset of the event that changed it last.
    pub epoch: i64,
    /// What became of it, event by event, with `history=true`.
    pub events: Option<Vec<HistoryDocument>>,
    /// The address that it was offered to, after it was accepted too; for the owner and the operator, in lists of invitations.
    pub invited: Option<String>,
}

/// One control event that touched a share, or was meant to.
#[derive(Serialize, ToSchema)]
pub struct HistoryDocument {
    /// Its offset.
    pub offset: i64,
    /// Its time.
    pub time: String,
    /// Who sent it.
    pub source: String,
    /// The person or program that acted, for its side and the operator.
    pub actor: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `applied`, `rejected`, `repeated` or `unreadable`.
    pub outcome: String,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// The share's revision after it.
    pub revision: Option<u32>,
}

/// Some shares, the newest offer first.
#[derive(Serialize, ToSchema)]
pub struct SharesDocument {
    /// The shares.
    pub shares: Vec<ShareDocument>,
    /// The `cursor` of what follows, if anything does.
    pub next: Option<String>,
}

/// How many shares there are of each kind; the kinds make up the total.
#[derive(Serialize, ToSchema)]
pub struct StatsDocument {
    /// All of them.
    pub total: u64,
    /// PENDING.
    pub pending: u64,
    /// ACTIVE or PAUSED.
    pub accepted: u64,
    /// DECLINED.
    pub declined: u64,
    /// EXPIRED.
    pub expired: u64,
    /// CANCELLED.
    pub cancelled: u64,
    /// REVOKED.
    pub revoked: u64,
    /// LEFT.
    pub left: u64,
    /// FAILED.
    pub failed: u64,
}

/// What became of a batch, or would.
#[derive(Serialize, ToSchema)]
pub struct BatchDocument {
    /// Nothing was written.
    pub dry_run: bool,
    /// How many items there were.
    pub items: u32,
    /// How many events would be written.
    pub to_write: Option<u32>,
    /// How many are applied.
    pub applied: Option<u32>,
    /// An answer for each item, in their order.
    pub rows: Vec<BatchRowDocument>,
    /// Items that would be refused.
    pub refusals: Option<Vec<ItemProblemDocument>>,
    /// Members that leave and are marked as critical.
    pub critical: Option<Vec<String>>,
    /// How it is certain, of a revoke with `wait=certain`.
    pub certain: Option<String>,
}

/// What becomes of one item.
#[derive(Serialize, ToSchema)]
pub struct BatchRowDocument {
    /// Its place, from 0, where nothing is written.
    pub index: Option<u32>,
    /// What it names.
    pub name: String,
    /// Its share.
    pub share: Option<String>,
    /// The event's id.
    pub event: Option<String>,
    /// `applied`, `already_so`, `repeated`, `refused` or `to_write`.
    pub outcome: String,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The same in a sentence.
    pub detail: Option<String>,
    /// The share's document.
    pub status: Option<ShareDocument>,
    /// The share's owner.
    pub owner: Option<String>,
    /// The share's target or invitee.
    pub target: Option<String>,
    /// The owner's asset.
    pub asset: Option<String>,
    /// The target's asset.
    pub target_asset: Option<String>,
    /// The share's state before.
    pub before: Option<String>,
    /// The share's state after.
    pub after: Option<String>,
    /// How it would be, in words.
    pub standing: Option<String>,
}

/// A partnership.
#[derive(Serialize, ToSchema)]
pub struct PartnershipDocument {
    /// Its id: the two tenants with `~` between them.
    pub partnership: String,
    /// The two.
    pub tenants: Vec<String>,
    /// `OFFERED`, `ACTIVE`, or `ENDED` in the answer that ends it.
    pub state: String,
    /// Who has offered it.
    pub offered_by: Option<String>,
    /// Offers of shares between the two are accepted by themselves.
    pub auto_accept: Option<bool>,
}

/// The partnerships.
#[derive(Serialize, ToSchema)]
pub struct PartnershipsDocument {
    /// By their tenants.
    pub partnerships: Vec<PartnershipDocument>,
}

/// A tenant. Of others than itself a tenant is told the id alone.
#[derive(Serialize, ToSchema)]
pub struct TenantDocument {
    /// Its id.
    pub tenant: String,
    /// Its parent in the tree.
    pub parent: Option<String>,
    /// Whether all its shares are paused.
    pub suspended: Option<bool>,
}

/// The tenants that the caller has to do with.
#[derive(Serialize, ToSchema)]
pub struct TenantsDocument {
    /// By id.
    pub tenants: Vec<TenantDocument>,
}

/// A sharing profile.
#[derive(Serialize, ToSchema)]
pub struct ProfileDocument {
    /// Its name.
    pub profile: String,
    /// Whose it is.
    pub owner: String,
    /// 1 at its first publication, one more at each that changed it.
    pub revision: u32,
    /// It is retired: its shares release nothing.
    pub retired: bool,
    /// What it says.
    #[schema(value_type = Object)]
    pub spec: serde_json::Value,
    /// The text that it was written as.
    pub source: Option<String>,
}

/// The profiles.
#[derive(Serialize, ToSchema)]
pub struct ProfilesDocument {
    /// By owner and name.
    pub profiles: Vec<ProfileDocument>,
}

/// A refusal (RFC 9457).
#[derive(Serialize, ToSchema)]
pub struct ProblemDocument {
    /// `urn:sharecast:reason:…`, or `about:blank`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind it is.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was found, and what to do instead.
    pub detail: String,
    /// The reason code, where a rule is broken.
    pub reason: Option<String>,
    /// The member or parameter that is wrong.
    pub member: Option<String>,
    /// Of a request on many: each item that is refused.
    pub items: Option<Vec<ItemProblemDocument>>,
    /// Members that leave and are marked as critical: they wait for `"confirm_critical": true`.
    pub critical: Option<Vec<String>>,
    /// The `Idempotency-Key` under which the same write may be repeated.
    pub repeat_key: Option<String>,
}

/// One item that is refused.
#[derive(Serialize, ToSchema)]
pub struct ItemProblemDocument {
    /// Its place, from 0.
    pub index: u32,
    /// What it names.
    pub name: String,
    /// The reason code.
    pub reason: Option<String>,
    /// What was found, and what to do instead.
    pub detail: String,
}

/// An asset, by what it is called.
#[derive(Serialize, ToSchema)]
pub struct AssetDocument {
    /// Its id, in its owner's words.
    pub asset: String,
    /// Its name.
    pub name: Option<String>,
    /// Its second one, as a number plate.
    pub reference: Option<String>,
}

/// Some assets, by id.
#[derive(Serialize, ToSchema)]
pub struct AssetsDocument {
    /// The assets.
    pub assets: Vec<AssetDocument>,
    /// The `cursor` of what follows, if anything does.
    pub next: Option<String>,
}

/// What offers would show.
#[derive(Serialize, ToSchema)]
pub struct PreviewsDocument {
    /// One for each asset.
    pub previews: Vec<PreviewDocument>,
}

/// What an offer would show.
#[derive(Serialize, ToSchema)]
pub struct PreviewDocument {
    /// The owner.
    pub owner: String,
    /// The asset, in its owner's words.
    pub asset: String,
    /// The target; `INVITEE` of an invitation.
    pub target: String,
    /// The asset, in the target's words.
    pub target_asset: String,
    /// The profile.
    pub profile: String,
    /// To which state the offer leads.
    pub state: Option<String>,
    /// Or the rule that it breaks.
    pub refused: Option<String>,
    /// The same in a sentence.
    pub detail: Option<String>,
    /// Stream by stream: the profile's `rules`, the newest `record` as it came, the `value` as the target gets it, and its `members`.
    #[schema(value_type = Vec<Object>)]
    pub streams: Vec<serde_json::Value>,
}

/// Why a record leaves or does not. A target is told of its own share alone, without the asset, the place of the record, and what does
/// not leave.
#[derive(Serialize, ToSchema)]
pub struct ExplanationDocument {
    /// `stream`, `partition`, `offset`, `owner`, `asset`, `time`.
    #[schema(value_type = Object)]
    pub record: serde_json::Value,
    /// Whether it is a record that is there; else it is what would become of one.
    pub found: bool,
    /// The epoch of the shares that decide.
    pub epoch: i64,
    /// The moment at which it is decided.
    pub now: String,
    /// Each share of the asset that names the stream: `share`, `target`, `decision`, `rule`, `compared`, `members`.
    #[schema(value_type = Vec<Object>)]
    pub shares: Vec<serde_json::Value>,
    /// Why it cannot be read.
    #[schema(value_type = Option<Object>)]
    pub dead: Option<serde_json::Value>,
}

/// A profile on a record.
#[derive(Serialize, ToSchema)]
pub struct RenderedDocument {
    /// Where the record is, of one that was found.
    pub partition: Option<i32>,
    /// Its offset there.
    pub offset: Option<i64>,
    /// The record as it came.
    pub record: Option<serde_json::Value>,
    /// What leaves; null where nothing does, or no record was found.
    pub value: Option<serde_json::Value>,
    /// The profile's `when` withholds it.
    pub filtered: Option<bool>,
    /// Why the `when` has no value.
    pub condition_error: Option<String>,
    /// What becomes of each member: `path`, `outcome`, `by`, `action`, `line`, `column`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub members: Option<Vec<serde_json::Value>>,
    /// Why it cannot be read.
    #[schema(value_type = Option<Object>)]
    pub dead: Option<serde_json::Value>,
}

/// What a publication changes.
#[derive(Serialize, ToSchema)]
pub struct PublicationDocument {
    /// It was not published so far, or is retired.
    pub is_new: bool,
    /// Each share and stream that uses it: `share`, `target`, `asset`, `state`, `stream`, `gains`, `loses`, `changes`, `withheld`.
    #[schema(value_type = Vec<Object>)]
    pub changes: Vec<serde_json::Value>,
    /// Assets that were not looked at.
    pub assets_left_out: u32,
    /// Members that leave and are marked as critical.
    pub critical: Vec<String>,
}

/// One message of the stream of events.
#[derive(Serialize, ToSchema)]
pub struct EventDocument {
    /// `open`, `share`, `partnership`, `profile` or `tenant`; none of a comment.
    event: Option<String>,
    /// The epoch, on the last message of each.
    id: Option<String>,
    /// The document as it is then, as JSON; of `open` the epoch.
    data: Option<String>,
    /// After a cut a client waits so many milliseconds.
    retry: Option<u32>,
}
