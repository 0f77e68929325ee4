//! `sharecast partnership …`, `tenant …`, `profile …` and `control …`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::args::{ActorArgs, EventData, EventDraft, tenant};
use crate::cli::argument;
use crate::cli::configure::ConfigureArgs;
use crate::cli::listing::ListArgs;
use crate::cli::party::columns::{ListedPartnerships, ListedProfiles, ListedTenants};
use crate::cli::party::offboard::OffboardArgs;
use crate::cli::restore::RestoreArgs;
use crate::document::{DocumentKind, Node};
use crate::id::TenantId;

/// `sharecast partnership …`.
#[derive(Debug, Subcommand)]
pub enum PartnershipCommand {
    /// Make two tenants partners, as the operator
    Establish {
        /// One of them
        #[arg(value_name = "TENANT", value_parser = tenant)]
        a: TenantId,
        /// The other
        #[arg(value_name = "TENANT", value_parser = tenant)]
        b: TenantId,
        /// Offers between them are accepted by themselves
        #[arg(long)]
        auto_accept: bool,
    },
    /// Offer a partnership
    Offer(PairArgs),
    /// Accept one
    Accept {
        /// Between whom.
        #[command(flatten)]
        pair: PairArgs,
        /// Offers between the two are accepted by themselves
        #[arg(long)]
        auto_accept: bool,
    },
    /// Decline one
    Decline(PairArgs),
    /// End one: its shares are revoked at once, in both directions
    End(PairArgs),
}

/// The subcommands that look at partnerships.
#[derive(Debug, Subcommand)]
pub enum PartnershipLook {
    /// List partnerships, offered and active; with --as TENANT its own
    ///
    /// `-o id` prints both tenants on a line, with --as TENANT the partner alone, as `partnership end` takes them.
    List {
        /// Only those of this tenant; may be repeated
        #[arg(long, value_parser = tenant)]
        tenant: Vec<TenantId>,
        /// In which order, and how many.
        #[command(flatten)]
        list: ListArgs<ListedPartnerships>,
    },
    /// Show one; exit 1 if there is none
    Show {
        /// The partner; the operator names both
        #[arg(value_name = "TENANT", value_parser = tenant, num_args = 1..=2, required = true)]
        tenants: Vec<TenantId>,
    },
}

/// The other side; for the operator both sides, the acting one first.
#[derive(Debug, clap::Args)]
pub struct PairArgs {
    /// The partner; the operator names both, the acting side first
    #[arg(value_parser = tenant, num_args = 1..=2, required = true)]
    tenants: Vec<TenantId>,
}

/// A command line that clap could not refuse.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misused(String);

fn same(tenant: &TenantId) -> Misused {
    Misused(format!("both sides are {tenant}: a partnership is between two tenants, name the other one"))
}

impl PairArgs {
    fn data(self, acting: &ActorArgs) -> Result<EventData, Misused> {
        match (&acting.actor, self.tenants.as_slice()) {
            (None, [a, b]) if a == b => Err(same(a)),
            (Some(_), [partner]) => Ok(EventData::default().text("partner", partner.as_str())),
            (None, [a, b]) => Ok(EventData::default().list("tenants", &[a.to_string(), b.to_string()])),
            (Some(_), _) => Err(Misused("name the partner alone: the acting tenant is the one of --as".into())),
            (None, _) => Err(Misused("name both tenants, the acting one first, or say who acts with --as TENANT".into())),
        }
    }
}

impl PartnershipCommand {
    /// The control event that the command stands for.
    pub fn draft(self, acting: &ActorArgs) -> Result<EventDraft, Misused> {
        Ok(match self {
            Self::Establish { a, b, .. } if a == b => return Err(same(&a)),
            Self::Establish { a, b, auto_accept } => EventData::default()
                .list("tenants", &[a.to_string(), b.to_string()])
                .flag_if("auto_accept", auto_accept)
                .draft("partnership.established"),
            Self::Offer(pair) => pair.data(acting)?.draft("partnership.offered"),
            Self::Accept { pair, auto_accept } => pair.data(acting)?.flag_if("auto_accept", auto_accept).draft("partnership.accepted"),
            Self::Decline(pair) => pair.data(acting)?.draft("partnership.declined"),
            Self::End(pair) => pair.data(acting)?.draft("partnership.ended"),
        })
    }
}

/// `sharecast tenant …`.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant known, or change its place in the tree or its suspension
    Update {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
        /// Its parent in the tree
        #[arg(long, value_name = "TENANT", value_parser = self::tenant)]
        parent: Option<TenantId>,
        /// It has no parent any more
        #[arg(long, conflicts_with = "parent")]
        no_parent: bool,
        /// Pause all its shares
        #[arg(long)]
        suspend: bool,
        /// Lift exactly that pause
        #[arg(long, conflicts_with = "suspend")]
        unsuspend: bool,
    },
    /// End all that a tenant has to do with others: its partnerships, shares, offers and invitations, after a review
    ///
    /// Given again it finds what is left. With --wait it returns when no record can come any more, as `share revoke --wait` does.
    Offboard(OffboardArgs),
}

/// The subcommands that look at tenants.
#[derive(Debug, Subcommand)]
pub enum TenantLook {
    /// List every tenant that an event has named; with --as TENANT itself alone
    List {
        /// In which order, and how many.
        #[command(flatten)]
        list: ListArgs<ListedTenants>,
    },
    /// Show one; exit 1 if nothing is known of it
    Show {
        /// The tenant
        #[arg(value_parser = tenant)]
        tenant: TenantId,
    },
}

/// `tenant.updated`.
pub fn update_tenant(tenant: &TenantId, parent: Option<&TenantId>, no_parent: bool, suspended: Option<bool>) -> EventDraft {
    let mut data = EventData::default().text("tenant", tenant.as_str()).text_if("parent", parent.map(TenantId::as_str));
    if no_parent {
        data = data.node("parent", DocumentKind::Null);
    }
    if let Some(suspended) = suspended {
        data = data.node("suspended", DocumentKind::Bool(suspended));
    }
    data.draft("tenant.updated")
}

/// `sharecast profile …`.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Publish a sharing profile, or a new version of it
    Publish {
        /// Its name
        #[arg(value_name = "PROFILE", value_parser = argument::profile)]
        name: String,
        /// The YAML or JSON file
        file: PathBuf,
        /// Whose profile it is, if the operator publishes
        #[arg(long, value_parser = tenant)]
        owner: Option<TenantId>,
        /// Do not ask where it lets out members that the configuration marks as critical
        #[arg(long)]
        yes: bool,
        /// Show which shares and targets would gain or lose which members, on the newest records of their assets, and write nothing
        #[arg(long)]
        preview: bool,
        /// With --preview: how many of the newest records of each partition are looked through for one of an asset
        #[arg(long, value_name = "RECORDS", default_value_t = 1000, requires = "preview", value_parser = clap::value_parser!(u32).range(1..))]
        search: u32,
    },
    /// Retire a profile: shares that use it release nothing until it is published again
    Retire {
        /// Its name
        #[arg(value_name = "PROFILE", value_parser = argument::profile)]
        name: String,
        /// Whose profile it is, if the operator retires it
        #[arg(long, value_parser = tenant)]
        owner: Option<TenantId>,
    },
}

/// The subcommands that look at profiles.
#[derive(Debug, Subcommand)]
pub enum ProfileLook {
    /// List the profiles that were published; with --as TENANT its own
    List {
        /// Only those of this tenant
        #[arg(long, value_parser = tenant)]
        owner: Option<TenantId>,
        /// In which order, and how many.
        #[command(flatten)]
        list: ListArgs<ListedProfiles>,
    },
    /// Show one with its rules as they were published; exit 1 if there is none
    #[command(disable_version_flag = true)]
    Show {
        /// Its name
        #[arg(value_name = "PROFILE", value_parser = argument::profile)]
        name: String,
        /// Whose profile it is, where several tenants have one of this name
        #[arg(long, value_parser = tenant)]
        owner: Option<TenantId>,
        /// An older version, counted from 1; read from the whole control topic
        #[arg(long = "version", id = "number", value_name = "NUMBER")]
        version: Option<u32>,
    },
}

/// `profile.published`, with the spec as it was read and checked, and the text that it was written as.
pub fn publish(name: String, owner: Option<&TenantId>, spec: Node, source: Option<&str>) -> EventDraft {
    EventData::default()
        .text("profile", name)
        .text_if("owner", owner.map(TenantId::as_str))
        .node("spec", spec.kind)
        .text_if("source", source)
        .draft("profile.published")
}

/// `profile.retired`.
pub fn retire(name: String, owner: Option<&TenantId>) -> EventDraft {
    EventData::default().text("profile", name).text_if("owner", owner.map(TenantId::as_str)).draft("profile.retired")
}

/// `sharecast control …`.
#[derive(Debug, Subcommand)]
pub enum ControlTopicCommand {
    /// Go on behind a control record that cannot be understood: look at it first, it may be a revoke
    Skip {
        /// Its offset, as `/readyz` and the log name it
        #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(0..))]
        offset: i64,
        /// Why it may be skipped
        #[arg(long, value_parser = argument::text)]
        note: String,
    },
    /// Make a new control topic of a dump, for engines that are stopped: the same shares at the same offsets and control times
    Restore(RestoreArgs),
    /// Name the configuration (-c FILE) to the log, after a review: all that follows is judged by it, on every instance alike
    Configure(ConfigureArgs),
}

/// The subcommands that look at the control topic.
#[derive(Debug, Subcommand)]
pub enum ControlLook {
    /// Print every record as a line that `replay --control` reads: with its offset, and its control time as `time`
    Dump,
}

/// `control.skipped`.
pub fn skip(offset: i64, note: &str) -> EventDraft {
    EventData::default().node("offset", DocumentKind::Number(offset.to_string())).text("note", note).draft("control.skipped")
}
