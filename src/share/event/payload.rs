//! What each event type's `data` says, typed (docs/rules/events.md#event-types, docs/rules/events.md#event-data,
//! docs/rules/shares.md#order-of-checks).

use std::collections::BTreeMap;

use crate::document::Node;
use crate::id::{Offset, StreamName};
use crate::record::mapping::Mode;
use crate::share::configuration::PartnershipNeed;
use crate::share::event::Sender;
use crate::share::event::fields::{CAUSES, Fields, Malformed};
use crate::share::event::fingerprint::Fingerprint;
use crate::share::event::invitation_code::CodeHash;
use crate::share::event::kind::EventType;
use crate::share::state::{ExpiryCause, Permission};
use crate::time::TimestampNs;

/// The data of one event, borrowed from it.
#[derive(Debug)]
pub enum Data<'a> {
    /// `tenant.updated`.
    Tenant(TenantUpdate<'a>),
    /// `partnership.established`: the two, and `auto_accept`.
    Established([&'a str; 2], bool),
    /// The other `partnership.*`.
    Partnership {
        /// The acting side, then its partner.
        sides: [&'a str; 2],
        /// `auto_accept`, known on `.accepted` only.
        auto_accept: bool,
    },
    /// `profile.published` and `profile.retired`.
    Profile {
        /// `profile`.
        profile: &'a str,
        /// `owner`.
        owner: Option<&'a str>,
        /// `spec`, of `.published`.
        spec: Option<&'a Node>,
        /// `source`, of `.published`.
        source: Option<&'a str>,
    },
    /// `share.offered`.
    Offer(Offer<'a>),
    /// Every other `share.*`: the share and what is to be done with it.
    Share(&'a str, ShareAction<'a>),
    /// `control.skipped`.
    Skip(Offset),
    /// `control.configured`.
    Configured(Configured),
    /// `control.tick`.
    Tick,
}

/// `control.configured`.
#[derive(Debug)]
pub struct Configured {
    /// `streams`.
    pub streams: BTreeMap<StreamName, Mode>,
    /// `partnerships`.
    pub partnerships: PartnershipNeed,
    /// Whether `unreadable` is `halt`; absent is unchanged.
    pub halts_on_unreadable: Option<bool>,
    /// `rules`; absent is unchanged.
    pub rules: Option<u32>,
}

/// `tenant.updated`.
#[derive(Debug, Clone, Copy)]
pub struct TenantUpdate<'a> {
    /// `tenant`.
    pub tenant: &'a str,
    /// `parent`: absent is unchanged, null is none.
    pub parent: Option<Option<&'a str>>,
    /// `suspended`.
    pub suspended: Option<bool>,
}

/// `share.offered`.
#[derive(Debug)]
pub struct Offer<'a> {
    /// `share`.
    pub share: &'a str,
    /// `owner`.
    pub owner: Option<&'a str>,
    /// `asset`.
    pub asset: &'a str,
    /// `label`.
    pub label: Option<&'a str>,
    /// `target_tenant`.
    pub target_tenant: Option<&'a str>,
    /// `invitee`; none where there is a `target_tenant` (docs/rules/invitations.md#offers-to-an-invitee).
    pub invitee: Option<&'a str>,
    /// `target_asset`.
    pub target_asset: Option<&'a str>,
    /// `streams`, each once, in order.
    pub streams: Vec<&'a str>,
    /// `profile`.
    pub profile: &'a str,
    /// `permission`.
    pub permission: Permission,
    /// `starts`.
    pub starts: Option<TimestampNs>,
    /// `ends`.
    pub ends: Option<TimestampNs>,
    /// `offer_expires`.
    pub offer_expires: Option<TimestampNs>,
    /// `history`.
    pub history: bool,
    /// `message`.
    pub message: Option<&'a str>,
    /// `code_hash`, of an offer to an invitee only: what the code must hash to that accepts it.
    pub code_hash: Option<CodeHash>,
}

/// What an event does with a share that is there.
#[derive(Debug)]
pub enum ShareAction<'a> {
    /// `share.resent`: `offer_expires`, and `code_hash`, which only an invitation has a use for.
    Resend(Option<TimestampNs>, Option<CodeHash>),
    /// `share.accepted`.
    Accept(Acceptance<'a>),
    /// `share.declined`.
    Decline,
    /// `share.left`.
    Leave,
    /// `share.cancelled`.
    Cancel,
    /// `share.revoked`.
    Revoke,
    /// `share.updated`.
    Update(Update<'a>),
    /// `share.paused`.
    Pause,
    /// `share.resumed`.
    Resume,
    /// `share.expired`.
    Expire(ExpiryCause),
}

/// `share.accepted`.
#[derive(Debug)]
pub struct Acceptance<'a> {
    /// `target_asset`.
    pub target_asset: Option<&'a str>,
    /// `streams`, each once, in order.
    pub streams: Option<Vec<&'a str>>,
    /// `target_tenant`.
    pub target_tenant: Option<&'a str>,
    /// `code`, as it was sent to the invitee.
    pub code: Option<&'a str>,
}

/// `share.updated`; of `starts`, `ends` and `label` null clears.
#[derive(Debug)]
pub struct Update<'a> {
    /// `target_asset`.
    pub target_asset: Option<&'a str>,
    /// `streams`, each once, in order.
    pub streams: Option<Vec<&'a str>>,
    /// `profile`.
    pub profile: Option<&'a str>,
    /// `permission`.
    pub permission: Option<Permission>,
    /// `starts`.
    pub starts: Option<Option<TimestampNs>>,
    /// `ends`.
    pub ends: Option<Option<TimestampNs>>,
    /// `label`.
    pub label: Option<Option<&'a str>>,
}

impl Update<'_> {
    /// Whether it names anything that the target may not change (docs/rules/shares.md#who-may-do-what).
    pub fn is_for_owner(&self) -> bool {
        self.streams.is_some()
            || self.profile.is_some()
            || self.permission.is_some()
            || self.starts.is_some()
            || self.ends.is_some()
            || self.label.is_some()
    }
}

/// Whether the data of two events say the same: as JSON values, numbers as written, of repeated members the last.
pub fn is_same(a: &Node, b: &Node) -> bool {
    Fingerprint::of("", "", "", a).content == Fingerprint::of("", "", "", b).content
}

/// Reads the data of an event. Which fields must be there depends on the sender: `owner` and `tenants` are the operator's.
pub fn read<'a>(kind: EventType, sender: Sender<'a>, data: &'a Node) -> Result<Data<'a>, Malformed> {
    let fields = Fields(data);
    let is_operator = sender == Sender::Operator;
    Ok(match kind {
        EventType::TenantUpdated => Data::Tenant(TenantUpdate {
            tenant: fields.need("tenant", fields.text("tenant")?)?,
            parent: fields.clearable("parent", Fields::text)?,
            suspended: fields.truth("suspended")?,
        }),
        EventType::PartnershipEstablished => {
            let auto_accept = fields.truth("auto_accept")?.unwrap_or(false);
            Data::Established(fields.need("tenants", fields.tenants()?)?, auto_accept)
        }
        EventType::PartnershipOffered | EventType::PartnershipAccepted | EventType::PartnershipDeclined | EventType::PartnershipEnded => {
            let (partner, tenants) = (fields.text("partner")?, fields.tenants()?);
            let auto_accept = kind == EventType::PartnershipAccepted && fields.truth("auto_accept")?.unwrap_or(false);
            let sides = match sender {
                Sender::Operator => fields.need("tenants", tenants)?,
                Sender::Tenant(acting) => [acting, fields.need("partner", partner)?],
                Sender::Engine => ["", fields.need("partner", partner)?],
            };
            Data::Partnership { sides, auto_accept }
        }
        EventType::ProfilePublished | EventType::ProfileRetired => {
            let profile = fields.need("profile", fields.text("profile")?)?;
            let owner = fields.owner(is_operator)?;
            let spec = match kind {
                EventType::ProfilePublished => Some(fields.need("spec", fields.map("spec")?)?),
                _ => None,
            };
            Data::Profile { profile, owner, spec, source: fields.source() }
        }
        EventType::ShareOffered => Data::Offer(offer(&fields, is_operator)?),
        EventType::ControlSkipped => {
            let offset = fields.need("offset", fields.offset("offset")?)?;
            fields.need("note", fields.text("note")?)?;
            Data::Skip(offset)
        }
        EventType::ControlConfigured => Data::Configured(Configured {
            streams: fields.modes()?,
            partnerships: fields.need("partnerships", fields.partnerships()?)?,
            halts_on_unreadable: fields.unreadable()?,
            rules: fields.rules()?,
        }),
        EventType::ControlTick => Data::Tick,
        _ => Data::Share(fields.need("share", fields.text("share")?)?, deed(kind, &fields)?),
    })
}

fn offer<'a>(fields: &Fields<'a>, is_operator: bool) -> Result<Offer<'a>, Malformed> {
    let target_tenant = fields.text("target_tenant")?;
    let invitee = fields.invitee()?;
    let code_hash = fields.code_hash()?;
    if target_tenant.is_none() && invitee.is_none() {
        return fields.need("target_tenant", None);
    }
    Ok(Offer {
        share: fields.need("share", fields.text("share")?)?,
        owner: fields.owner(is_operator)?,
        asset: fields.need("asset", fields.text("asset")?)?,
        label: fields.text("label")?,
        target_tenant,
        invitee: invitee.filter(|_| target_tenant.is_none()),
        target_asset: fields.text("target_asset")?,
        streams: fields.need("streams", fields.texts("streams")?)?,
        profile: fields.need("profile", fields.text("profile")?)?,
        permission: fields.permission()?.unwrap_or(Permission::View),
        starts: fields.moment("starts")?,
        ends: fields.moment("ends")?,
        offer_expires: fields.moment("offer_expires")?,
        history: fields.truth("history")?.unwrap_or(false),
        message: fields.text("message")?,
        code_hash: code_hash.filter(|_| target_tenant.is_none()),
    })
}

fn deed<'a>(kind: EventType, fields: &Fields<'a>) -> Result<ShareAction<'a>, Malformed> {
    let noted = |deed| fields.text("note").map(|_| deed);
    match kind {
        EventType::ShareResent => Ok(ShareAction::Resend(fields.moment("offer_expires")?, fields.code_hash()?)),
        EventType::ShareAccepted => Ok(ShareAction::Accept(Acceptance {
            target_asset: fields.text("target_asset")?,
            streams: fields.texts("streams")?,
            target_tenant: fields.text("target_tenant")?,
            code: fields.text("code")?,
        })),
        EventType::ShareDeclined => noted(ShareAction::Decline),
        EventType::ShareLeft => noted(ShareAction::Leave),
        EventType::ShareCancelled => noted(ShareAction::Cancel),
        EventType::ShareRevoked => noted(ShareAction::Revoke),
        EventType::SharePaused => noted(ShareAction::Pause),
        EventType::ShareResumed => noted(ShareAction::Resume),
        EventType::ShareUpdated => Ok(ShareAction::Update(Update {
            target_asset: fields.text("target_asset")?,
            streams: fields.texts("streams")?,
            profile: fields.text("profile")?,
            permission: fields.permission()?,
            starts: fields.clearable("starts", Fields::moment)?,
            ends: fields.clearable("ends", Fields::moment)?,
            label: fields.clearable("label", Fields::text)?,
        })),
        _ => match fields.need("cause", fields.text("cause")?)? {
            "offer" => Ok(ShareAction::Expire(ExpiryCause::Offer)),
            "access" => Ok(ShareAction::Expire(ExpiryCause::Access)),
            _ => Err(Malformed { member: "cause", expected: CAUSES }),
        },
    }
}
