//! `sharecast share …`: the life of one share, one event at a time.

use clap::{Args, Subcommand, ValueEnum};
use sha2::{Digest, Sha256};

use super::acting::{Data, Draft, tenant};
use crate::document::Kind;
use crate::id::TenantId;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum ShareCommand {
    /// Offer an asset to another tenant, or to somebody by e-mail
    Offer(Offer),
    /// Accept an offer
    Accept(Accept),
    /// Decline an offer
    Decline(Note),
    /// Take an offer back before it is accepted
    Cancel(Note),
    /// Start an offer's clock again
    Resend(Resend),
    /// Change a share
    Update(Update),
    /// Stop the flow for a while
    Pause(Note),
    /// Take one's own pause back
    Resume(Note),
    /// End a share, as its owner: it cuts at once
    Revoke(Note),
    /// End a share, as its target
    Leave(Note),
}

/// What the target may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Permission {
    /// Look at it.
    View,
    /// Change it.
    Edit,
    /// Pass it on.
    Manage,
}

impl Permission {
    fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Manage => "manage",
        }
    }
}

/// `share offer`.
#[derive(Debug, Args)]
pub struct Offer {
    /// The asset, in the owner's words
    #[arg(long)]
    asset: String,
    /// The tenant that shall receive it
    #[arg(long, value_name = "TENANT", value_parser = tenant, required_unless_present = "invite")]
    to: Option<TenantId>,
    /// The e-mail address of somebody who has no tenant yet; the share's id is then not guessable
    #[arg(long, value_name = "EMAIL", conflicts_with = "to")]
    invite: Option<String>,
    /// The streams, with commas
    #[arg(long, value_delimiter = ',', required = true)]
    streams: Vec<String>,
    /// The owner's sharing profile; `all` shows everything
    #[arg(long)]
    profile: String,
    /// The share's id; default: a random one
    #[arg(long, value_name = "ID")]
    share: Option<String>,
    /// The owner, if the operator offers for it
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    owner: Option<TenantId>,
    /// The asset's id at the target; default: the owner's
    #[arg(long, value_name = "ASSET")]
    target_asset: Option<String>,
    /// What the target may do
    #[arg(long, value_enum)]
    permission: Option<Permission>,
    /// When access begins (RFC 3339)
    #[arg(long, value_name = "TIME")]
    starts: Option<String>,
    /// When access ends (RFC 3339); default: never
    #[arg(long, value_name = "TIME")]
    ends: Option<String>,
    /// When the offer lapses (RFC 3339); default: never
    #[arg(long, value_name = "TIME")]
    offer_expires: Option<String>,
    /// Release late records from before the acceptance too
    #[arg(long)]
    history: bool,
    /// A name shown to the target
    #[arg(long)]
    label: Option<String>,
    /// A word to the target
    #[arg(long)]
    message: Option<String>,
}

/// `share accept`.
#[derive(Debug, Args)]
pub struct Accept {
    /// The share
    share: String,
    /// The asset's id in the target's words
    #[arg(long, value_name = "ASSET")]
    target_asset: Option<String>,
    /// Fewer streams than offered, with commas
    #[arg(long, value_delimiter = ',')]
    streams: Vec<String>,
    /// The accepting tenant of an invitation, if the operator accepts for it
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    target_tenant: Option<TenantId>,
}

/// A share and why.
#[derive(Debug, Args)]
pub struct Note {
    /// The share
    share: String,
    /// Why; kept in the control topic only
    #[arg(long)]
    note: Option<String>,
}

/// `share resend`.
#[derive(Debug, Args)]
pub struct Resend {
    /// The share
    share: String,
    /// When the offer lapses now (RFC 3339); default: as long as before, from now on
    #[arg(long, value_name = "TIME")]
    offer_expires: Option<String>,
}

/// `share update`.
#[derive(Debug, Args)]
pub struct Update {
    /// The share
    share: String,
    /// The asset's id at the target; the one thing that the target may change
    #[arg(long, value_name = "ASSET")]
    target_asset: Option<String>,
    /// The streams, with commas
    #[arg(long, value_delimiter = ',')]
    streams: Vec<String>,
    /// The sharing profile
    #[arg(long)]
    profile: Option<String>,
    /// What the target may do
    #[arg(long, value_enum)]
    permission: Option<Permission>,
    /// When access begins (RFC 3339)
    #[arg(long, value_name = "TIME")]
    starts: Option<String>,
    /// When access ends (RFC 3339)
    #[arg(long, value_name = "TIME")]
    ends: Option<String>,
    /// A name shown to the target
    #[arg(long)]
    label: Option<String>,
    /// Take one of these away
    #[arg(long, value_enum, value_delimiter = ',')]
    clear: Vec<Clearable>,
}

/// What an update can take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Clearable {
    /// Access began with the acceptance.
    Starts,
    /// Access does not end by itself.
    Ends,
    /// No label.
    Label,
}

impl ShareCommand {
    /// The control event that the command stands for.
    pub fn draft(self, random: impl FnOnce() -> [u8; 16]) -> Draft {
        let noted = |note: Note, kind| Data::default().text("share", note.share).text_if("note", note.note).draft(kind);
        match self {
            Self::Offer(offer) => offer.draft(random),
            Self::Accept(accept) => accept.draft(),
            Self::Decline(note) => noted(note, "share.declined"),
            Self::Cancel(note) => noted(note, "share.cancelled"),
            Self::Resend(resend) => {
                Data::default().text("share", resend.share).text_if("offer_expires", resend.offer_expires).draft("share.resent")
            }
            Self::Update(update) => update.draft(),
            Self::Pause(note) => noted(note, "share.paused"),
            Self::Resume(note) => noted(note, "share.resumed"),
            Self::Revoke(note) => noted(note, "share.revoked"),
            Self::Leave(note) => noted(note, "share.left"),
        }
    }
}

impl Offer {
    fn draft(self, random: impl FnOnce() -> [u8; 16]) -> Draft {
        let share = self.share.unwrap_or_else(|| random_id(random()));
        Data::default()
            .text("share", share)
            .text_if("owner", self.owner.as_ref().map(TenantId::as_str))
            .text("asset", self.asset)
            .text_if("target_tenant", self.to.as_ref().map(TenantId::as_str))
            .text_if("invitee", self.invite)
            .text_if("target_asset", self.target_asset)
            .list("streams", &self.streams)
            .text("profile", self.profile)
            .text_if("permission", self.permission.map(Permission::as_str))
            .text_if("starts", self.starts)
            .text_if("ends", self.ends)
            .text_if("offer_expires", self.offer_expires)
            .flag_if("history", self.history)
            .text_if("label", self.label)
            .text_if("message", self.message)
            .draft("share.offered")
    }
}

impl Accept {
    fn draft(self) -> Draft {
        let mut data = Data::default().text("share", self.share).text_if("target_asset", self.target_asset);
        if !self.streams.is_empty() {
            data = data.list("streams", &self.streams);
        }
        data.text_if("target_tenant", self.target_tenant.as_ref().map(TenantId::as_str)).draft("share.accepted")
    }
}

impl Update {
    fn draft(self) -> Draft {
        let mut data = Data::default().text("share", self.share).text_if("target_asset", self.target_asset);
        if !self.streams.is_empty() {
            data = data.list("streams", &self.streams);
        }
        data = data
            .text_if("profile", self.profile)
            .text_if("permission", self.permission.map(Permission::as_str))
            .text_if("starts", self.starts)
            .text_if("ends", self.ends)
            .text_if("label", self.label);
        for (field, name) in [(Clearable::Starts, "starts"), (Clearable::Ends, "ends"), (Clearable::Label, "label")] {
            if self.clear.contains(&field) {
                data = data.node(name, Kind::Null);
            }
        }
        data.draft("share.updated")
    }
}

/// An id that cannot be guessed: 128 random bits (SPEC 12), in hex.
pub fn random_id(random: [u8; 16]) -> String {
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An event id for a draft that was given none: random too, but never the same bits as the share's id.
pub fn random_event_id(random: [u8; 16]) -> String {
    let digest = Sha256::digest(random);
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
