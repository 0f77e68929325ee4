//! `sharecast share invitations`: who was invited by e-mail and what became of it, and what the mailer is told.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use crate::cli::args::{ActorArgs, Format};
use crate::cli::control_fold::ControlFold;
use crate::cli::exit::{Failure, client_failure, input_failure};
use crate::cli::listing::{Cell, ListArgs, Listing, Shown};
use crate::cli::output::{PrintError, print_table, print_values};
use crate::config::Config;
use crate::json::writer::object;
use crate::kafka::{Admin, KafkaSettings, TopicReader};
use crate::share::state::State;
use crate::share::status::{Audience, Document};
use crate::share::table::query::ShareView;
use crate::share::table::{Outcome, ShareTable};
use crate::share::view::list::{ShareFilter, Viewer};
use crate::share::view::mail::Mail;
use crate::time::TimestampMs;

/// An invitation and what became of it.
struct Invited<'t> {
    share: ShareView<'t>,
    /// The address as it was offered; the share itself forgets it when somebody accepts.
    invitee: String,
}

/// Prints the viewer's own invitations, by share id. The fold must begin at the first event of all.
pub(super) fn print_invited(
    mut fold: ControlFold,
    acting: &ActorArgs,
    filter: &ShareFilter,
    list: &ListArgs<ListedInvitations>,
) -> Result<(), PrintError> {
    let mut addresses: BTreeMap<String, String> = BTreeMap::new();
    fold.read_to_end(|table, coming| {
        let (offer, folded) = coming.fold_noting(table, |record| {
            let event = record.as_ref().ok().filter(|event| event.kind == "sharecast.share.offered.v1")?;
            let text = |name: &str| event.data.get(name).and_then(|node| node.as_str());
            Some((text("share")?.to_owned(), text("invitee")?.to_owned())).filter(|_| text("target_tenant").is_none())
        });
        if let (Some((share, invitee)), Outcome::Applied) = (offer, folded.outcome) {
            addresses.insert(share, invitee);
        }
        Ok::<(), Failure>(())
    })?;
    let table = &fold.table;
    let found = addresses.into_iter().filter_map(|(id, invitee)| Some(Invited { share: table.share(&id)?, invitee }));
    let seen: Vec<Invited<'_>> = found.filter(|invited| is_seen(invited, &acting.viewer(), filter)).collect();
    print(seen, acting.output, list).map_err(PrintError::from)
}

/// An invitation is the owner's affair; whoever accepted it sees a share.
fn is_seen(invited: &Invited<'_>, viewer: &Viewer, filter: &ShareFilter) -> bool {
    let document = invited.share.document();
    // The filter asks for the address also of those that have forgotten it.
    let with_address = Document { invitee: Some(&invited.invitee), ..document.clone() };
    viewer.audience(&document) == Some(Audience::Owner) && filter.fits(&with_address, Audience::Owner)
}

/// What became of an invitation, in the owner's words.
fn outcome(document: &Document<'_>) -> &'static str {
    match (document.state, document.target_tenant) {
        (State::Failed, _) => "failed",
        (_, Some(_)) => "accepted",
        (State::Pending, _) => "pending",
        (State::Declined, _) => "declined",
        (State::Expired, _) => "expired",
        _ => "cancelled",
    }
}

/// The list of invitations.
#[derive(Debug, Clone)]
pub struct ListedInvitations;

impl Listing for ListedInvitations {
    const COLUMNS: &'static [&'static str] =
        &["share", "invitee", "outcome", "reason", "by", "owner", "asset", "label", "offered", "offer-expires", "since"];
}

fn print(found: Vec<Invited<'_>>, format: Format, list: &ListArgs<ListedInvitations>) -> io::Result<()> {
    let shown = Shown {
        cells,
        id: |invited: &Invited<'_>| invited.share.id().to_string(),
        json: |invited: &Invited<'_>| {
            object(|out| {
                out.text("invitee", &invited.invitee);
                out.text("outcome", outcome(&invited.share.document()));
                out.json("status", &invited.share.to_json(Audience::Owner));
            })
        },
    };
    list.print(format, found, &shown)
}

fn cells(invited: &Invited<'_>) -> Vec<Cell> {
    let document = invited.share.document();
    let is_accepted = document.target_tenant.is_some();
    // Whatever became of the share since, the invitation was settled when it was accepted.
    let settled = if is_accepted { document.accepted_at.map(TimestampMs::moment) } else { document.ended_at };
    vec![
        Cell::Text(document.share.to_owned()),
        Cell::Text(invited.invitee.clone()),
        Cell::Text(outcome(&document).to_owned()),
        Cell::text_if(document.reason.filter(|_| !is_accepted).map(|reason| reason.code())),
        Cell::text_if(document.target_tenant),
        Cell::Text(document.owner.to_owned()),
        Cell::text_if(document.asset),
        Cell::text_if(document.label),
        Cell::Time(document.offered_at.moment()),
        Cell::time_if(document.offer_expires),
        Cell::time_if(settled),
    ]
}

/// Prints the mailer's records that still count, by share id: with their codes, so it is for whoever may read that topic.
pub(super) fn print_outbox(config: &Config, fold: ControlFold, acting: &ActorArgs, filter: &ShareFilter) -> Result<(), PrintError> {
    let mails = read_outbox(config, acting.patience()?)?;
    let table = fold.fold_to_end()?;
    let now = table.control_time();
    let is_shown = |mail: &&Mail| counts(mail, &table, now, &acting.viewer(), filter);
    let shown: Vec<&Mail> = mails.values().filter(is_shown).collect();
    print_mails(&shown, acting.output).map_err(PrintError::from)
}

fn counts(mail: &Mail, table: &ShareTable, now: TimestampMs, viewer: &Viewer, filter: &ShareFilter) -> bool {
    let share = mail.text("share").and_then(|id| table.share(id));
    let is_viewers = |share: ShareView<'_>| {
        viewer.audience(&share.document()) == Some(Audience::Owner) && filter.fits(&share.document(), Audience::Owner)
    };
    mail.counts(table, now) && share.is_some_and(is_viewers)
}

/// The newest record of each key; none where the topic is missing.
fn read_outbox(config: &Config, patience: Duration) -> Result<BTreeMap<Vec<u8>, Mail>, Failure> {
    let kafka = KafkaSettings::of(&config.kafka);
    let shape = Admin::open(&kafka, patience).and_then(|admin| admin.topic(&config.topics.invitations)).map_err(client_failure)?;
    let mut mails = BTreeMap::new();
    let Some(shape) = shape else { return Ok(mails) };
    let mut reader = TopicReader::open(&kafka, &config.topics.invitations, 0..shape.partitions).map_err(input_failure)?;
    let read = reader.read_to_end(patience, |record| {
        let key = record.key().unwrap_or_default().to_vec();
        match record.value().and_then(Mail::read) {
            Some(mail) => mails.insert(key, mail),
            None => mails.remove(&key),
        };
    });
    read.map_err(input_failure)?;
    Ok(mails)
}

fn print_mails(mails: &[&Mail], format: Format) -> io::Result<()> {
    const NAMES: [&str; 7] = ["share", "address", "owner", "label", "permission", "offer_expires", "code"];
    let mut out = BufWriter::new(io::stdout().lock());
    if format == Format::Table {
        let row = |mail: &&Mail| NAMES.map(|name| mail.text(name).unwrap_or("-").to_owned()).to_vec();
        let headers = NAMES.map(|name| name.replace('_', " ").to_uppercase());
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        print_table(&headers, &mails.iter().map(row).collect::<Vec<_>>(), &mut out)?;
    } else {
        print_values(format, mails.iter().map(|mail| mail.value.clone()), &mut out)?;
    }
    out.flush()
}
