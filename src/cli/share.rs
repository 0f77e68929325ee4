//! `sharecast share …`: the life of shares, one at a time or many.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use sha2::{Digest, Sha256};

use super::acting::{Data, Draft, tenant};
use super::exit::{Exit, Failure};
use crate::document::Kind;
use crate::id::TenantId;
use crate::share::code;
use crate::share::kind::EventType;
use crate::share::lines::ListOf;

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
    /// Start an offer's clock again; an invitation gets a new code and a new mail
    Resend(Resend),
    /// Change a share
    Update(Update),
    /// Stop the flow for a while
    Pause(Note),
    /// Take one's own pause back
    Resume(Note),
    /// End a share, as its owner: it cuts at once
    ///
    /// With --wait it returns when it is certain that no record comes any more: when every member of the engine's group has reported
    /// that it decides with the revoke, a second or two as a rule, or when the hard bound is over (fence.max_view_age + transaction
    /// time-out + 10 s), which is waited for where one is frozen, gone without a word, or does not answer. A document in an upsert
    /// stream's topic is taken away by the same engine a moment later.
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
    /// The asset, in the owner's words; may be repeated
    #[arg(long, required_unless_present = "assets_from")]
    pub(super) asset: Vec<String>,
    /// A list of assets, `-` for standard input: one id a line, and behind a tab its id at the target if it has another one there.
    /// Empty lines and lines that begin with # are passed over
    #[arg(long, value_name = "FILE")]
    pub(super) assets_from: Option<PathBuf>,
    /// How it is done for more than one asset.
    #[command(flatten)]
    pub(super) many: Many,
    /// The tenant that shall receive it
    #[arg(long, value_name = "TENANT", value_parser = tenant, required_unless_present = "invite")]
    pub(super) to: Option<TenantId>,
    /// The e-mail address of somebody who has no tenant yet: a one-time code for it goes to sharecast.invitations, for a mailer
    #[arg(long, visible_alias = "invitee", value_name = "EMAIL", conflicts_with = "to")]
    invite: Option<String>,
    /// The streams, with commas
    #[arg(long, value_delimiter = ',', required = true)]
    pub(super) streams: Vec<String>,
    /// The owner's sharing profile; `all` shows everything
    #[arg(long)]
    pub(super) profile: String,
    /// The share's id; default: a random one
    #[arg(long, value_name = "ID")]
    pub(super) share: Option<String>,
    /// The owner, if the operator offers for it
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    pub(super) owner: Option<TenantId>,
    /// The asset's id at the target; default: the owner's
    #[arg(long, value_name = "ASSET")]
    pub(super) target_asset: Option<String>,
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
    /// Write nothing; show what the target would see of the asset: what the profile lets out, and the asset's newest records as they
    /// would leave
    #[arg(long)]
    pub(super) preview: bool,
    /// For --preview: a record to show instead of the newest, `-` for standard input; with more than one stream STREAM=FILE
    #[arg(long, value_name = "[STREAM=]FILE")]
    pub(super) record: Vec<String>,
    /// For --preview: how many of the newest records of each partition are searched for the asset
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub(super) search: u32,
}

/// Which shares a command is about.
#[derive(Debug, Clone, Args)]
pub struct Shares {
    /// The share; several are changed in one go
    #[arg(value_name = "SHARE", required_unless_present = "shares_from")]
    share: Vec<String>,
    /// A list of shares, `-` for standard input: one id a line, and for accept and update, behind a tab, the asset's id at the
    /// target. Empty lines and lines that begin with # are passed over
    #[arg(long, value_name = "FILE")]
    shares_from: Option<PathBuf>,
    /// How it is done for more than one share.
    #[command(flatten)]
    many: Many,
}

/// How a command on many is done: all of it is tried on the shares as they are, shown, confirmed, and then written at once.
#[derive(Debug, Clone, Default, Args)]
pub struct Many {
    /// For more than one: do not ask before it is written
    #[arg(long)]
    pub(super) yes: bool,
    /// For more than one: a name of this run. Under one name each line is done once within 30 days, whatever happens meanwhile.
    /// Without it an interrupted run can be repeated too; what has been undone since is then done again
    #[arg(long, value_name = "NAME")]
    pub(super) batch: Option<String>,
}

/// What a command comes to.
#[derive(Debug)]
pub enum Order {
    /// One event, written as it is.
    One(Draft),
    /// A look at what an offer would disclose.
    Preview(Box<Offer>),
    /// Many events.
    Many(Lines),
}

/// A command on many assets or shares.
#[derive(Debug)]
pub struct Lines {
    /// What the names are of.
    pub(super) of: ListOf,
    /// Names on the command line.
    pub(super) arguments: Vec<String>,
    /// `--assets-from`, `--shares-from`.
    pub(super) list: Option<PathBuf>,
    /// How.
    pub(super) many: Many,
    /// What is done.
    pub(super) kind: EventType,
    /// `data` of each event, besides the name and its id at the target.
    pub(super) data: Data,
    /// Whether a line may say the asset's id at the target.
    pub(super) takes_target_asset: bool,
}

/// `share accept`.
#[derive(Debug, Args)]
pub struct Accept {
    /// The share; several are accepted in one go. With --code it need not be named
    #[arg(value_name = "SHARE", required_unless_present_any = ["shares_from", "code"])]
    share: Vec<String>,
    /// A list of shares, `-` for standard input: one id a line, and behind a tab the asset's id at the target. Empty lines and lines
    /// that begin with # are passed over
    #[arg(long, value_name = "FILE", conflicts_with = "code")]
    shares_from: Option<PathBuf>,
    /// How it is done for more than one share.
    #[command(flatten)]
    many: Many,
    /// The code that came by e-mail
    #[arg(long)]
    code: Option<String>,
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
    /// Which shares.
    #[command(flatten)]
    shares: Shares,
    /// Why; kept in the control topic only
    #[arg(long)]
    note: Option<String>,
}

/// `share resend`.
#[derive(Debug, Args)]
pub struct Resend {
    /// Which shares.
    #[command(flatten)]
    shares: Shares,
    /// When the offer lapses now (RFC 3339); default: as long as before, from now on
    #[arg(long, value_name = "TIME")]
    offer_expires: Option<String>,
}

/// `share update`.
#[derive(Debug, Args)]
pub struct Update {
    /// Which shares.
    #[command(flatten)]
    shares: Shares,
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
    /// What the command comes to.
    pub fn order(self, random: impl FnOnce() -> [u8; 16]) -> Result<Order, Failure> {
        let noted = |note: Note, kind| note.shares.order(kind, Data::default().text_if("note", note.note), false);
        match self {
            Self::Offer(offer) => offer.order(random),
            Self::Accept(accept) => accept.order(),
            Self::Decline(note) => noted(note, EventType::ShareDeclined),
            Self::Cancel(note) => noted(note, EventType::ShareCancelled),
            Self::Resend(Resend { shares, offer_expires }) => {
                shares.order(EventType::ShareResent, Data::default().text_if("offer_expires", offer_expires), false)
            }
            Self::Update(update) => update.order(),
            Self::Pause(note) => noted(note, EventType::SharePaused),
            Self::Resume(note) => noted(note, EventType::ShareResumed),
            Self::Revoke(note) => noted(note, EventType::ShareRevoked),
            Self::Leave(note) => noted(note, EventType::ShareLeft),
        }
    }
}

impl Shares {
    /// One event for one share on the command line; for a list of one too, a list is a list.
    fn order(self, kind: EventType, data: Data, takes_target_asset: bool) -> Result<Order, Failure> {
        let Self { share: arguments, shares_from: list, many } = self;
        if let ([share], None) = (arguments.as_slice(), &list) {
            many.refuse_for_one()?;
            return Ok(Order::One(Data::default().text("share", share).and(data).draft(kind.name())));
        }
        let has_one = data.has("target_asset");
        if has_one {
            return Err(Failure::new(Exit::Usage, "--target-asset is for one share: in a list, write it behind the share's id and a tab"));
        }
        Ok(Order::Many(Lines { of: ListOf::Shares, arguments, list, many, kind, data, takes_target_asset }))
    }
}

impl Many {
    fn refuse_for_one(&self) -> Result<(), Failure> {
        if self.batch.is_some() {
            return Err(Failure::new(Exit::Usage, "--batch is for more than one; a single event is named by --event-id"));
        }
        Ok(())
    }
}

impl Offer {
    fn order(self, random: impl FnOnce() -> [u8; 16]) -> Result<Order, Failure> {
        let usage = |what: &str| Err(Failure::new(Exit::Usage, what));
        let is_one = self.asset.len() == 1 && self.assets_from.is_none();
        if self.preview {
            return match is_one {
                true => Ok(Order::Preview(Box::new(self))),
                false => usage("--preview shows one asset: name it with --asset"),
            };
        }
        if !self.record.is_empty() {
            return usage("--record is for --preview");
        }
        if is_one {
            self.many.refuse_for_one()?;
            return Ok(Order::One(self.draft(random)));
        }
        if self.share.is_some() || self.target_asset.is_some() {
            return usage(
                "--share and --target-asset are for one asset: in a list, write the id at the target behind the asset's and a tab",
            );
        }
        if self.invite.is_some() {
            return usage("--invite is for one asset: each invitation is offered, and mailed, by itself");
        }
        let data = self.data();
        let Self { asset: arguments, assets_from: list, many, .. } = self;
        Ok(Order::Many(Lines { of: ListOf::Assets, arguments, list, many, kind: EventType::ShareOffered, data, takes_target_asset: true }))
    }

    /// The event, for the one asset that is named.
    pub(super) fn draft(&self, random: impl FnOnce() -> [u8; 16]) -> Draft {
        let share = self.share.clone().unwrap_or_else(|| random_id(random()));
        let asset = self.asset.first().map(String::as_str).unwrap_or_default();
        let named = Data::default().text("share", share).text("asset", asset).text_if("target_asset", self.target_asset.as_ref());
        named.and(self.data()).draft("share.offered")
    }

    /// What does not differ from asset to asset.
    fn data(&self) -> Data {
        Data::default()
            .text_if("owner", self.owner.as_ref().map(TenantId::as_str))
            .text_if("target_tenant", self.to.as_ref().map(TenantId::as_str))
            .text_if("invitee", self.invite.as_ref())
            .list("streams", &self.streams)
            .text("profile", &self.profile)
            .text_if("permission", self.permission.map(Permission::as_str))
            .text_if("starts", self.starts.as_ref())
            .text_if("ends", self.ends.as_ref())
            .text_if("offer_expires", self.offer_expires.as_ref())
            .flag_if("history", self.history)
            .text_if("label", self.label.as_ref())
            .text_if("message", self.message.as_ref())
    }
}

impl Accept {
    /// The code, if the share is to be found by it.
    pub(super) fn code_to_find(&self) -> Option<&str> {
        self.code.as_deref().filter(|_| self.share.is_empty())
    }

    /// The share that was found.
    pub(super) fn set_share(&mut self, share: String) {
        self.share = vec![share];
    }

    fn order(self) -> Result<Order, Failure> {
        if self.code.is_some() && self.share.len() > 1 {
            return Err(Failure::new(Exit::Usage, "--code is for one share: each invitation has a code of its own"));
        }
        let mut data = Data::default().text_if("target_asset", self.target_asset);
        if !self.streams.is_empty() {
            data = data.list("streams", &self.streams);
        }
        let data = data.text_if("code", self.code.as_deref().map(code::normalise));
        let data = data.text_if("target_tenant", self.target_tenant.as_ref().map(TenantId::as_str));
        let shares = Shares { share: self.share, shares_from: self.shares_from, many: self.many };
        shares.order(EventType::ShareAccepted, data, true)
    }
}

impl Update {
    fn order(self) -> Result<Order, Failure> {
        let mut data = Data::default().text_if("target_asset", self.target_asset);
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
        self.shares.order(EventType::ShareUpdated, data, true)
    }
}

/// An id that cannot be guessed: 128 random bits (docs/rules/invitations.md#offers-to-an-invitee), in hex.
pub fn random_id(random: [u8; 16]) -> String {
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An event id for a draft that was given none: random too, but never the same bits as the share's id.
pub fn random_event_id(random: [u8; 16]) -> String {
    let digest = Sha256::digest(random);
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
