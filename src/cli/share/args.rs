//! `sharecast share …`: the life of shares, one at a time or many.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::args::{ActorArgs, EventData, EventDraft, GivenTime, tenant};
use crate::cli::argument;
use crate::cli::exit::{Exit, Failure};
use crate::cli::time_argument::TimeOption;
use crate::document::DocumentKind;
use crate::id::TenantId;
use crate::share::bulk::input::ListOf;
use crate::share::event::kind::EventType;
use crate::share::event::write_token::WriteToken;
use crate::time::TimestampMs;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum ShareCommand {
    /// Offer an asset to another tenant, or to somebody by e-mail
    Offer(OfferArgs),
    /// Accept an offer
    Accept(Accept),
    /// Decline an offer
    Decline(Note),
    /// Take an offer back before it is accepted
    Cancel(Note),
    /// Start an offer's clock again; an invitation gets a new code and a new mail
    Resend(Resend),
    /// Change a share
    Update(UpdateArgs),
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
pub enum PermissionArg {
    /// Look at it.
    View,
    /// Change it.
    Edit,
    /// Pass it on.
    Manage,
}

impl PermissionArg {
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
pub struct OfferArgs {
    /// The asset, in the owner's words; may be repeated
    #[arg(long, required_unless_present = "assets_from", value_parser = argument::asset)]
    pub(super) asset: Vec<String>,
    /// A list of assets, `-` for standard input: one id a line, and after a tab its id at the target if it has another one there.
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
    #[arg(long, value_delimiter = ',', required = true, value_parser = argument::stream)]
    pub(super) streams: Vec<String>,
    /// The owner's sharing profile; `all` shows everything
    #[arg(long, value_parser = argument::profile)]
    pub(super) profile: String,
    /// The share's id; default: a random one
    #[arg(long, value_name = "ID", value_parser = argument::share)]
    pub(super) share: Option<String>,
    /// The owner, if the operator offers for it
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    pub(super) owner: Option<TenantId>,
    /// The asset's id at the target; default: the owner's
    #[arg(long, value_name = "ASSET", value_parser = argument::asset)]
    pub(super) target_asset: Option<String>,
    /// What the target may do
    #[arg(long, value_enum)]
    permission: Option<PermissionArg>,
    /// When access begins: 2026-12-01T09:00:00Z, a date, `today`, `tomorrow`, or how long from now on (7d)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    starts: Option<String>,
    /// When access ends; of a date or `today` with the end of that day (UTC). Default: never
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    ends: Option<String>,
    /// When the offer lapses, as for --ends. Default: never
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    offer_expires: Option<String>,
    /// The times as they were understood.
    #[arg(skip)]
    times: Vec<GivenTime>,
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
    #[arg(long, value_name = "[STREAM=]FILE", requires = "preview")]
    pub(super) record: Vec<String>,
    /// For --preview: how many of the newest records of each partition are searched for the asset
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, requires = "preview")]
    pub(super) search: u32,
}

/// Which shares a command is about.
#[derive(Debug, Clone, Args)]
pub struct Shares {
    /// The share; several are changed in one go
    #[arg(value_name = "SHARE", required_unless_present = "shares_from", value_parser = argument::share)]
    share: Vec<String>,
    /// A list of shares, `-` for standard input: one id a line, and for accept and update, after a tab, the asset's id at the
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
    /// Do not ask before it is written: for more than one, and where members leave that the configuration marks as critical
    #[arg(long)]
    pub(super) yes: bool,
    /// For more than one: a name of this run. Under one name each line is done once within 30 days, whatever happens meanwhile.
    /// Without it an interrupted run can be repeated too; what has been undone since is then done again
    #[arg(long, value_name = "NAME", value_parser = argument::text)]
    pub(super) batch: Option<String>,
}

/// What a command comes to.
#[derive(Debug)]
pub enum Order {
    /// One event, written as it is.
    One(EventDraft),
    /// A look at what an offer would disclose.
    Preview(Box<OfferArgs>),
    /// Many events.
    Many(Lines),
}

/// A command on many assets or shares.
#[derive(Debug)]
pub struct Lines {
    /// What the names are of.
    pub(in crate::cli) of: ListOf,
    /// Names on the command line.
    pub(super) arguments: Vec<String>,
    /// `--assets-from`, `--shares-from`.
    pub(super) list: Option<PathBuf>,
    /// How.
    pub(super) many: Many,
    /// What is done.
    pub(super) kind: EventType,
    /// `data` of each event, besides the name and its id at the target.
    pub(super) data: EventData,
    /// Whether a line may say the asset's id at the target.
    pub(super) takes_target_asset: bool,
}

/// `share accept`.
#[derive(Debug, Args)]
pub struct Accept {
    /// The share; several are accepted in one go. With --code it need not be named
    #[arg(value_name = "SHARE", required_unless_present_any = ["shares_from", "code"], value_parser = argument::share)]
    share: Vec<String>,
    /// A list of shares, `-` for standard input: one id a line, and after a tab the asset's id at the target. Empty lines and lines
    /// that begin with # are passed over
    #[arg(long, value_name = "FILE", conflicts_with = "code")]
    shares_from: Option<PathBuf>,
    /// How it is done for more than one share.
    #[command(flatten)]
    many: Many,
    /// The code that came by e-mail
    #[arg(long, value_parser = argument::text)]
    code: Option<String>,
    /// The asset's id in the target's words
    #[arg(long, value_name = "ASSET", value_parser = argument::asset)]
    target_asset: Option<String>,
    /// Fewer streams than offered, with commas
    #[arg(long, value_delimiter = ',', value_parser = argument::stream)]
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
    /// When the offer lapses now: 2026-12-01T09:00:00Z, a date, `today`, `tomorrow` (with the end of that day, UTC), or how long from
    /// now on (7d). Default: as long as before, from now on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    offer_expires: Option<String>,
}

/// `share update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Which shares.
    #[command(flatten)]
    shares: Shares,
    /// The asset's id at the target; the one thing that the target may change
    #[arg(long, value_name = "ASSET", value_parser = argument::asset)]
    target_asset: Option<String>,
    /// The streams, with commas
    #[arg(long, value_delimiter = ',', value_parser = argument::stream)]
    streams: Vec<String>,
    /// The sharing profile
    #[arg(long, value_parser = argument::profile)]
    profile: Option<String>,
    /// What the target may do
    #[arg(long, value_enum)]
    permission: Option<PermissionArg>,
    /// When access begins: 2026-12-01T09:00:00Z, a date, `today`, `tomorrow`, or how long from now on (7d)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    starts: Option<String>,
    /// When access ends; of a date or `today` with the end of that day (UTC). A time that is past ends it at once
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
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
    /// What the command comes to at `now`. An offer's share is named by these bits.
    pub fn order(self, acting: &ActorArgs, bits: [u8; 16], now: TimestampMs) -> Result<Order, Failure> {
        let noted = |note: Note, kind| note.shares.order(kind, EventData::default().text_if("note", note.note), false);
        match self {
            Self::Offer(offer) => offer.order(acting, bits, now),
            Self::Accept(accept) => accept.order(acting),
            Self::Decline(note) => noted(note, EventType::ShareDeclined),
            Self::Cancel(note) => noted(note, EventType::ShareCancelled),
            Self::Resend(Resend { shares, offer_expires }) => {
                let expires = time(offer_expires.as_ref(), now, TimeOption::OfferExpires)?;
                shares.order(EventType::ShareResent, EventData::default().time_if(expires), false)
            }
            Self::Update(update) => update.order(now),
            Self::Pause(note) => noted(note, EventType::SharePaused),
            Self::Resume(note) => noted(note, EventType::ShareResumed),
            Self::Revoke(note) => noted(note, EventType::ShareRevoked),
            Self::Leave(note) => noted(note, EventType::ShareLeft),
        }
    }
}

fn usage<T>(what: impl ToString) -> Result<T, Failure> {
    Err(Failure::new(Exit::Usage, what))
}

fn time(given: Option<&String>, now: TimestampMs, option: TimeOption) -> Result<Option<GivenTime>, Failure> {
    given.map(|given| GivenTime::read(given, now, option)).transpose()
}

impl Shares {
    /// One event for one share on the command line; for a list of one too, a list is a list.
    fn order(self, kind: EventType, data: EventData, takes_target_asset: bool) -> Result<Order, Failure> {
        let Self { share: arguments, shares_from: list, many } = self;
        if let ([share], None) = (arguments.as_slice(), &list) {
            many.refuse_for_one()?;
            let draft = EventData::default().text("share", share).and(data).draft(kind.name());
            return Ok(Order::One(EventDraft { is_confirmed: many.yes, ..draft }));
        }
        let has_one = data.has("target_asset");
        if has_one {
            return usage("--target-asset is for one share: in a list, write it behind the share's id and a tab");
        }
        Ok(Order::Many(Lines { of: ListOf::Shares, arguments, list, many, kind, data, takes_target_asset }))
    }
}

impl Many {
    fn refuse_for_one(&self) -> Result<(), Failure> {
        if self.batch.is_some() {
            return usage("--batch is for more than one; a single event is named by --event-id");
        }
        Ok(())
    }
}

impl OfferArgs {
    fn order(mut self, acting: &ActorArgs, bits: [u8; 16], now: TimestampMs) -> Result<Order, Failure> {
        owner_of(acting, self.owner.as_ref(), "whose asset is it?")?;
        self.understand_times(now)?;
        let is_one = self.asset.len() == 1 && self.assets_from.is_none();
        if self.preview {
            if self.many.yes || self.many.batch.is_some() {
                return usage("--preview writes nothing: leave --yes and --batch out");
            }
            return match is_one {
                true => Ok(Order::Preview(Box::new(self))),
                false => usage("--preview shows one asset: name it with --asset"),
            };
        }
        if is_one {
            self.many.refuse_for_one()?;
            return Ok(Order::One(EventDraft { is_confirmed: self.many.yes, ..self.draft(|| bits) }));
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
    pub(super) fn draft(&self, random: impl FnOnce() -> [u8; 16]) -> EventDraft {
        let share = self.share.clone().unwrap_or_else(|| WriteToken::new(random()).share_id());
        let asset = self.asset.first().map(String::as_str).unwrap_or_default();
        let named = EventData::default().text("share", share).text("asset", asset).text_if("target_asset", self.target_asset.as_ref());
        named.and(self.data()).draft("share.offered")
    }

    fn understand_times(&mut self, now: TimestampMs) -> Result<(), Failure> {
        let given = [(&self.starts, TimeOption::Starts), (&self.ends, TimeOption::Ends), (&self.offer_expires, TimeOption::OfferExpires)];
        let times: Result<Vec<_>, Failure> = given.into_iter().map(|(given, option)| time(given.as_ref(), now, option)).collect();
        self.times = times?.into_iter().flatten().collect();
        Ok(())
    }

    /// What does not differ from asset to asset.
    fn data(&self) -> EventData {
        let data = EventData::default()
            .text_if("owner", self.owner.as_ref().map(TenantId::as_str))
            .text_if("target_tenant", self.to.as_ref().map(TenantId::as_str))
            .text_if("invitee", self.invite.as_ref())
            .list("streams", &self.streams)
            .text("profile", &self.profile)
            .text_if("permission", self.permission.map(PermissionArg::as_str));
        let data = self.times.iter().cloned().fold(data, |data, time| data.time_if(Some(time)));
        data.flag_if("history", self.history).text_if("label", self.label.as_ref()).text_if("message", self.message.as_ref())
    }
}

/// Who owns what an event is about: who acts, and for the operator who is named. A tenant may name itself.
pub(in crate::cli) fn owner_of(acting: &ActorArgs, owner: Option<&TenantId>, question: &str) -> Result<(), Failure> {
    match (&acting.actor, owner) {
        (None, None) => usage(format!("{question} Say --as OWNER, or as the operator --owner OWNER")),
        (Some(actor), Some(owner)) if actor != owner => {
            usage(format!("--as says {actor} and --owner says {owner}: a tenant acts for itself alone, leave one of them out"))
        }
        _ => Ok(()),
    }
}

impl Accept {
    /// The code, if the share is to be found by it.
    pub(in crate::cli) fn code_to_find(&self) -> Option<&str> {
        self.code.as_deref().filter(|_| self.share.is_empty())
    }

    /// The share that was found.
    pub(in crate::cli) fn set_share(&mut self, share: String) {
        self.share = vec![share];
    }

    fn order(self, acting: &ActorArgs) -> Result<Order, Failure> {
        if self.code.is_some() && self.share.len() > 1 {
            return usage("--code is for one share: each invitation has a code of its own");
        }
        if let (Some(actor), Some(target)) = (&acting.actor, &self.target_tenant)
            && actor != target
        {
            return usage(format!("--as says {actor} and --target-tenant says {target}: a tenant accepts for itself alone"));
        }
        let mut data = EventData::default().text_if("target_asset", self.target_asset);
        if !self.streams.is_empty() {
            data = data.list("streams", &self.streams);
        }
        let data = data.text_if("code", self.code);
        let data = data.text_if("target_tenant", self.target_tenant.as_ref().map(TenantId::as_str));
        let shares = Shares { share: self.share, shares_from: self.shares_from, many: self.many };
        shares.order(EventType::ShareAccepted, data, true)
    }
}

impl UpdateArgs {
    fn order(self, now: TimestampMs) -> Result<Order, Failure> {
        let cleared = [
            (Clearable::Starts, "starts", self.starts.is_some()),
            (Clearable::Ends, "ends", self.ends.is_some()),
            (Clearable::Label, "label", self.label.is_some()),
        ];
        for (field, name, is_set) in cleared {
            if is_set && self.clear.contains(&field) {
                return usage(format!("--{name} sets what --clear {name} takes away: leave one of them out"));
            }
        }
        let mut data = EventData::default().text_if("target_asset", self.target_asset);
        if !self.streams.is_empty() {
            data = data.list("streams", &self.streams);
        }
        data = data
            .text_if("profile", self.profile)
            .text_if("permission", self.permission.map(PermissionArg::as_str))
            .time_if(time(self.starts.as_ref(), now, TimeOption::Starts)?)
            .time_if(time(self.ends.as_ref(), now, TimeOption::Ends)?)
            .text_if("label", self.label);
        for (_, name, _) in cleared.into_iter().filter(|(field, ..)| self.clear.contains(field)) {
            data = data.node(name, DocumentKind::Null);
        }
        let is_empty = data.is_empty();
        // A list may have the one thing after its tabs.
        if is_empty && self.shares.shares_from.is_none() {
            return usage(
                "nothing is to be changed: say --ends, --clear ends, --profile, --target-asset, or what else `share update --help` has",
            );
        }
        self.shares.order(EventType::ShareUpdated, data, true)
    }
}
