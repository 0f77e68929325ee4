//! Writing one control event: checked, tried on the table as it is, written, and followed.

use std::io;
use std::io::Write;
use std::path::PathBuf;

use crate::cli::args::{ActorArgs, EventDraft, Format, GivenTime};
use crate::cli::check::{load_profile, profile_doubts};
use crate::cli::config;
use crate::cli::configure;
use crate::cli::configure::{ConfigureOrder, Reviewed};
use crate::cli::exit::{Exit, Failure, tell};
use crate::cli::outcome;
use crate::cli::outcome::{Delivered, How, Quiescence, Sent, times_in_words};
use crate::cli::output::{PrintError, exit, shown};
use crate::cli::party::args;
use crate::cli::party::args::{ControlTopicCommand, PartnershipCommand, ProfileCommand, TenantCommand};
use crate::cli::party::offboard;
use crate::cli::party::publish_preview;
use crate::cli::random::random;
use crate::cli::restore;
use crate::cli::share::args::{Order, ShareCommand, owner_of};
use crate::cli::share::bulk::warn_of_csv;
use crate::cli::share::critical;
use crate::cli::share::invitation_mail;
use crate::cli::share::invitation_mail::InvitationMail;
use crate::cli::share::past_hint;
use crate::cli::share::revoke_wait;
use crate::cli::time_argument::TimeArgument;
use crate::cli::trial;
use crate::cli::trial::{FirstAnswer, Trial, Until};
use crate::cli::writing::Events;
use crate::clock::{BootTime, Clock, SystemClock};
use crate::config::Config;
use crate::document::{DocumentKind, Node};
use crate::id::Offset;
use crate::share::bulk;
use crate::share::bulk::ids::Run;
use crate::share::bulk::input::{InputRef, Named};
use crate::share::bulk::{BulkPlan, Intent, Planned, Row};
use crate::share::event::Sender;
use crate::share::event::fields::LONGEST_SOURCE;
use crate::share::event::kind::EventType;
use crate::share::event::payload;
use crate::share::event::write_token::WriteToken;
use crate::share::state::Reason;
use crate::share::table;
use crate::share::table::ShareTable;
use crate::time::TimestampNs;

/// `sharecast share …`.
pub fn share(files: &[PathBuf], acting: &ActorArgs, command: ShareCommand) -> Result<Exit, Failure> {
    let token = token(acting)?;
    let config = config::load(files)?;
    let mut command = command;
    if let ShareCommand::Accept(accept) = &mut command
        && let Some(code) = accept.code_to_find()
    {
        accept.set_share(share_of_code(&config, acting, token, code)?);
    }
    match command.order(acting, token.bits(), SystemClock.wall())? {
        Order::One(draft) => send(&config, acting, token, draft),
        Order::Preview(offer) => crate::cli::share::preview::run(&config, acting, &offer),
        Order::Many(lines) => crate::cli::share::bulk::run(&config, acting, lines),
    }
}

/// `sharecast partnership …`.
pub fn partnership(files: &[PathBuf], acting: &ActorArgs, command: PartnershipCommand) -> Result<Exit, Failure> {
    let draft = command.draft(acting).map_err(|misused| Failure::new(Exit::Usage, misused))?;
    send(&config::load(files)?, acting, token(acting)?, draft)
}

/// `sharecast tenant …`.
pub fn tenant(files: &[PathBuf], acting: &ActorArgs, command: TenantCommand) -> Result<Exit, Failure> {
    match command {
        TenantCommand::Offboard(args) => offboard::run(files, acting, args),
        TenantCommand::Update { tenant, parent, no_parent, suspend, unsuspend } => {
            let suspended = (suspend || unsuspend).then_some(suspend);
            let draft = args::update_tenant(&tenant, parent.as_ref(), no_parent, suspended);
            send(&config::load(files)?, acting, token(acting)?, draft)
        }
    }
}

/// `sharecast profile …`.
pub fn profile(files: &[PathBuf], acting: &ActorArgs, command: ProfileCommand) -> Result<Exit, Failure> {
    let (ProfileCommand::Publish { owner, .. } | ProfileCommand::Retire { owner, .. }) = &command;
    owner_of(acting, owner.as_ref(), "whose profile is it?")?;
    let config = config::load(files)?;
    let draft = match command {
        ProfileCommand::Publish { name, file, owner, yes, preview, search } => {
            let written = load_profile(&file, Some(&config)).map_err(|what| Failure::new(Exit::Failed, what))?;
            profile_doubts(&file, &config).iter().for_each(|doubt| tell!("warning: {doubt}"));
            let critical = critical::of_profile(&config, &written.spec);
            if preview {
                critical::name(&critical);
                return publish_preview::run(&config, acting, &name, owner.as_ref(), written, search);
            }
            critical::confirm(&critical, yes)?;
            args::publish(name, owner.as_ref(), written.node, kept_source(&written.text))
        }
        ProfileCommand::Retire { name, owner } => args::retire(name, owner.as_ref()),
    };
    send(&config, acting, token(acting)?, draft)
}

/// The text of a profile as its event carries it: `explain` names lines of it. One that is too long goes without.
fn kept_source(text: &str) -> Option<&str> {
    if text.len() > LONGEST_SOURCE {
        tell!(
            "warning: the file has {} bytes, more than the {LONGEST_SOURCE} that are kept of a profile's text: `explain` will name no lines",
            text.len()
        );
    }
    Some(text).filter(|text| text.len() <= LONGEST_SOURCE)
}

/// `sharecast control …`.
pub fn control(files: &[PathBuf], acting: &ActorArgs, command: ControlTopicCommand) -> Result<Exit, Failure> {
    match command {
        ControlTopicCommand::Skip { offset, note } => send(&config::load(files)?, acting, token(acting)?, args::skip(offset, &note)),
        ControlTopicCommand::Restore(restore) => restore::run(files, acting, &restore),
        ControlTopicCommand::Configure(args) => match configure::review(files, acting, &args)? {
            Reviewed::AlreadySo(exit) => Ok(exit),
            Reviewed::Write(order) => {
                let ConfigureOrder { config, acting, source, draft } = *order;
                send_from(&config, &acting, token(&acting)?, source, draft)
            }
        },
    }
}

/// The share that an acceptance names by its code alone. Of one that is repeated it is the first one's: its code may open nothing any
/// more.
fn share_of_code(config: &Config, acting: &ActorArgs, token: WriteToken, code: &str) -> Result<String, Failure> {
    if acting.repeat.is_some() || acting.event_id.is_some() {
        let id = acting.event_id.clone().unwrap_or_else(|| token.event_id());
        let trial = trial::fold(config, Until::after(acting.patience()?), false, Some((&acting.source(), &id)))?;
        let share = trial.first.and_then(|first| first.data.get("share").and_then(Node::as_str).map(str::to_owned));
        if let Some(share) = share {
            return Ok(share);
        }
    }
    invitation_mail::share_of_code(config, acting, code)
}

/// What the write begins with: new, or that of the write which is repeated.
fn token(acting: &ActorArgs) -> Result<WriteToken, Failure> {
    match (acting.repeat, &acting.event_id) {
        (Some(_), Some(_)) => {
            let what = "--repeat names the event by itself: leave --event-id out, and repeat the command as it was written the first time";
            Err(Failure::new(Exit::Usage, what))
        }
        (Some(token), None) => Ok(token),
        (None, _) => Ok(WriteToken::new(random()?)),
    }
}

/// One event on its way into the log.
struct Single<'s> {
    config: &'s Config,
    acting: &'s ActorArgs,
    token: WriteToken,
    id: String,
    source: String,
    kind: EventType,
    draft: EventDraft,
    until: Until,
    /// The log holds nothing but ticks.
    is_first: bool,
}

fn send(config: &Config, acting: &ActorArgs, token: WriteToken, draft: EventDraft) -> Result<Exit, Failure> {
    send_from(config, acting, token, acting.source(), draft)
}

/// Checks, tries, writes and, with `--wait`, follows one event.
fn send_from(config: &Config, acting: &ActorArgs, token: WriteToken, source: String, draft: EventDraft) -> Result<Exit, Failure> {
    let kind = EventType::parse(&format!("sharecast.{}.v1", draft.kind)).ok_or_else(|| usage("the event's type is not known"))?;
    let id = acting.event_id.clone().unwrap_or_else(|| token.event_id());
    let until = Until::after(acting.patience()?);
    let mut single = Single { config, acting, token, id, source, kind, draft, until, is_first: false };
    single.check()?;
    trial::reach_cluster(config, until)?;
    let is_written_untried = kind.is_written_untried(&single.draft.data);
    let may_be_known = acting.event_id.is_some() || acting.repeat.is_some();
    let name = may_be_known.then_some((single.source.as_str(), single.id.as_str()));
    match trial::fold(config, until, is_written_untried, name) {
        Ok(Trial { first: Some(first), table }) => single.answer_repeat(&first, &table),
        Ok(Trial { first: None, table }) => {
            single.is_first = table.has_only_ticks();
            single.try_and_write(table)
        }
        Err(failure) if is_written_untried && let Some(warning) = trial::written_untried(&failure) => {
            tell!("{warning}");
            single.write(&single.draft.data, How::Untried).map(|(exit, _)| exit)
        }
        Err(failure) => Err(trial::unwritten(failure)),
    }
}

fn usage(what: impl ToString) -> Failure {
    Failure::new(Exit::Usage, what)
}

impl Single<'_> {
    /// Everything that the fold would refuse whatever the table holds.
    fn check(&self) -> Result<(), Failure> {
        let sender = Sender::parse(&self.source).ok_or_else(|| usage("the event's source is not known"))?;
        match payload::read(self.kind, sender, &self.draft.data) {
            Ok(_) => Ok(()),
            Err(malformed) => {
                // Of an invitation the option has another name than the member.
                let option = if malformed.member == "invitee" { "invite".to_owned() } else { malformed.member.replace('_', "-") };
                Err(usage(format!("--{option}: {}", malformed.in_words(&self.draft.data))))
            }
        }
    }

    fn try_and_write(&self, table: ShareTable) -> Result<Exit, Failure> {
        let now = SystemClock.wall().max(table.control_time());
        let mut data = self.draft.data.clone();
        if !self.kind.is_of_share() {
            bulk::try_event(table, now, &self.source, &self.id, self.kind, &data).map_err(|why| self.refused(&why))?;
            return self.write(&data, How::Tried).map(|(exit, _)| exit);
        }
        invitation_mail::settle_code(&mut data, &table);
        let invitation = InvitationMail::of(self.kind, &data, &table, self.token.code());
        if invitation.is_some() {
            // The trial must see what is written; the mailer's topic is made only for what is not refused.
            InvitationMail::put_hash(&mut data, &self.token.code());
        }
        let named = Named { place: InputRef::Argument, id: self.draft.share.clone().unwrap_or_default(), target_asset: None };
        if self.kind == EventType::ShareOffered {
            let asset = data.get("asset").and_then(Node::as_str).unwrap_or_default().to_owned();
            warn_of_csv(&[Named { place: InputRef::Argument, id: asset, target_asset: None }]);
        }
        let critical = critical::of_event(self.config, self.kind, &self.source, &data, &table);
        let run = Run { source: &self.source, kind: self.kind, batch: None };
        let mut plan = BulkPlan::make_one(table, now, &run, &self.id, Intent { named, data });
        if let Some(refusal) = plan.refusals.first() {
            return Err(self.refused(&refusal.in_words()));
        }
        if plan.also_shared > 0 {
            tell!("note: the asset is shared with, or offered to, the same target already, by another share");
        }
        let Some(row) = plan.rows.pop() else { return Err(self.refused("it came to nothing")) };
        if matches!(row.step, Planned::Write { .. }) {
            critical::confirm(&critical, self.draft.is_confirmed)?;
        }
        match (&row.step, invitation) {
            (Planned::AlreadySo | Planned::WrittenBefore, _) => self.answer_already_so(&row),
            (Planned::Write { .. }, None) => {
                let (exit, _) = self.write(&row.data, How::Tried)?;
                if exit == Exit::Ok {
                    past_hint::tell_how(self.config, now, std::slice::from_ref(&row));
                }
                Ok(exit)
            }
            (Planned::Write { .. }, Some(invitation)) => {
                invitation.prepare(self.config, self.until)?;
                let (exit, _) = self.write(&row.data, How::Tried)?;
                let delivered = invitation.deliver(self.config, self.acting)?;
                Ok(if exit == Exit::Ok { delivered } else { exit })
            }
        }
    }

    /// The command's own trial has refused it.
    fn refused(&self, why: &str) -> Failure {
        let named = |what: &str| self.draft.data.get(what).and_then(Node::as_str).map(|name| format!("{what} {}", shown(name)));
        let what = match self.kind {
            EventType::ShareOffered => named("asset"),
            EventType::TenantUpdated => named("tenant"),
            EventType::ProfilePublished | EventType::ProfileRetired => named("profile"),
            _ => named("share"),
        };
        let what = what.unwrap_or_else(|| self.draft.kind.to_owned());
        Failure::new(Exit::Failed, format!("{what}: {}; nothing was written", shown(why)))
    }

    fn write(&self, data: &Node, how: How) -> Result<(Exit, Offset), Failure> {
        let all = vec![(self.id.as_str(), data)];
        let events = Events { source: &self.source, kind: self.kind, all, again: self.again(), is_first: self.is_first };
        let mut written = events.write(self.config, self.acting, self.until)?;
        let unreported = || Failure::new(Exit::Unavailable, "the write was not reported");
        let offset = written.offsets.pop().ok_or_else(unreported)?;
        let outcome = match written.outcomes {
            Ok(mut outcomes) => outcomes.pop().ok_or_else(unreported)?,
            // It stands in the log all the same: an invitation's mail must follow, and what was named at random be told.
            Err(failure) => {
                let share = self.draft.share.as_deref().map(|share| format!("share {share}, ")).unwrap_or_default();
                tell!("{share}event {}: {failure}", self.id);
                return Ok((failure.exit, offset));
            }
        };
        let exit = self.answer(offset, &outcome, how, &self.draft.times, written.acknowledged)?;
        Ok((exit, offset))
    }

    /// How a write is repeated of which nobody knows what became of it.
    fn again(&self) -> String {
        match (&self.acting.event_id, self.kind) {
            (None, _) => {
                format!("repeat the same command with --repeat {}: it is then written once, whatever became of this try", self.token)
            }
            (Some(id), EventType::ShareOffered) => {
                let share = self.draft.share.as_deref().unwrap_or_default();
                format!(
                    "repeat the same command with --event-id {id} --share {share}: it is then written once, whatever became of this try"
                )
            }
            (Some(_), _) => "repeat the same command: under its --event-id it is written once, whatever became of this try".to_owned(),
        }
    }

    /// Says what became of an event that is in the log.
    fn answer(&self, offset: Offset, outcome: &Delivered, how: How, times: &[GivenTime], acknowledged: BootTime) -> Result<Exit, Failure> {
        let is_cut = self.acting.wait && self.kind == EventType::ShareRevoked && !outcome.is_refused();
        let certain = is_cut.then(|| revoke_wait::wait(self.config, offset, acknowledged, self.acting.timeout)).transpose()?;
        let share = self.draft.share.as_deref();
        let sent = Sent { id: &self.id, kind: self.draft.kind, share, asset: None, offset, times, how };
        let printed = exit(print_line(line_of(self.acting.output, &sent, outcome, certain)).map_err(PrintError::from));
        if let (Delivered::Rejected(code), How::Tried) = (outcome, how) {
            let words = Reason::of_code(code).map(Reason::in_words).unwrap_or_default();
            tell!("another event came in between: {code}: {words}");
        }
        Ok(match printed {
            // It stands in the log all the same, and what is to follow, as an invitation's mail, must.
            Err(failure) => {
                tell!("{failure}; {}: event {}, control offset {offset}", outcome.word(share.is_some()), self.id);
                failure.exit
            }
            Ok(_) if outcome.is_refused() => Exit::Failed,
            Ok(exit) => exit,
        })
    }

    /// The share is as the event would make it: nothing is written.
    fn answer_already_so(&self, row: &Row) -> Result<Exit, Failure> {
        let is_cut = self.acting.wait && self.kind == EventType::ShareRevoked;
        // An earlier command may have been interrupted while it waited.
        let wait = || revoke_wait::wait(self.config, Offset(row.changed_at.0), SystemClock.boot(), self.acting.timeout);
        let certain = is_cut.then(wait).transpose()?;
        let line = if self.acting.output == Format::Table {
            let certain = certain.map(|certain| format!("  certain: {}", certain.word())).unwrap_or_default();
            format!("{} already so  share {}  {}{certain}", self.draft.kind, row.share, row.standing).into_bytes()
        } else {
            outcome::already_so(self.draft.kind, &row.share, None, "already_so", certain)
        };
        exit(print_line(line).map_err(PrintError::from))
    }

    /// An event of this id is in the log. The same one is answered by what became of it; any other is refused.
    fn answer_repeat(&self, first: &FirstAnswer, table: &ShareTable) -> Result<Exit, Failure> {
        if !self.is_repeat_of(first) {
            let share = first.data.get("share").and_then(Node::as_str).map(|share| format!(" of share {share}")).unwrap_or_default();
            let instead = match self.acting.repeat {
                Some(_) => "repeat the command as it was written the first time, or leave --repeat out",
                None => "choose another --event-id, or none",
            };
            let what = format!(
                "id_reused: the event id {} belongs to a {}{share} at control offset {}, which says something else; {instead}",
                self.id,
                first.kind.trim_start_matches("sharecast.").trim_end_matches(".v1"),
                first.offset
            );
            return Err(self.refused(&what));
        }
        let outcome = match (&first.outcome, &first.document) {
            (table::Outcome::Rejected(code), _) => Delivered::Rejected((*code).to_owned()),
            (table::Outcome::Unreadable(_) | table::Outcome::SetAside(_), _) => Delivered::Rejected("unreadable".to_owned()),
            (_, Some(document)) => Delivered::Applied(document.clone()),
            (_, None) => Delivered::Unchanged,
        };
        let exit = self.answer(first.offset, &outcome, How::Before, &self.times_of(first), SystemClock.boot())?;
        // Only the write's own bits give its code again.
        let invitation = InvitationMail::of(self.kind, &first.data, table, self.token.code()).filter(|_| self.acting.repeat.is_some());
        match invitation {
            Some(invitation) if exit == Exit::Ok && invitation.is_of(&first.data) && invitation.is_open(table) => {
                invitation.prepare(self.config, self.until)?;
                invitation.deliver(self.config, self.acting)
            }
            _ => Ok(exit),
        }
    }

    /// The times that were given, as the first event has them.
    fn times_of(&self, first: &FirstAnswer) -> Vec<GivenTime> {
        let as_first = |given: &GivenTime| {
            let moment = first.data.get(given.member).and_then(Node::as_str).and_then(TimestampNs::parse_rfc3339)?;
            let time = TimeArgument { moment, ..given.time.clone() };
            Some(GivenTime { member: given.member, time })
        };
        self.draft.times.iter().filter_map(as_first).collect()
    }

    /// Whether the type is the same and what it says, but for what is another each time: the hash of a code, and a time that was
    /// given by how long it is from now.
    fn is_repeat_of(&self, first: &FirstAnswer) -> bool {
        let varies = |name: &str| {
            let times = &self.draft.times;
            name == "code_hash" || times.iter().any(|given| given.member == name && given.time.depends_on_now)
        };
        let kept = |data: &Node| {
            let mut data = data.clone();
            if let DocumentKind::Map(members) = &mut data.kind {
                members.retain(|member| !varies(&member.name));
            }
            data
        };
        let mut own = self.draft.data.clone();
        invitation_mail::type_code_as(&mut own, &first.data);
        first.kind == self.kind.full_name() && payload::is_same(&kept(&first.data), &kept(&own))
    }
}

fn print_line(mut line: Vec<u8>) -> io::Result<()> {
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

fn line_of(format: Format, sent: &Sent<'_>, outcome: &Delivered, certain: Option<Quiescence>) -> Vec<u8> {
    if format != Format::Table {
        return sent.to_json(outcome, certain);
    }
    let share = sent.share.map(|share| format!("  share {share}")).unwrap_or_default();
    let reason = if let Delivered::Rejected(reason) = outcome { format!(" ({reason})") } else { String::new() };
    let certain = certain.map(|certain| format!("  certain: {}", certain.word())).unwrap_or_default();
    let state = outcome.state().map(|state| format!("  {state}")).unwrap_or_default();
    let how = match sent.how {
        How::Tried => "",
        How::Untried => " untried",
        How::Before => " before",
    };
    let (kind, word, times) = (sent.kind, outcome.word(sent.share.is_some()), times_in_words(sent.times));
    format!("{kind} {word}{how}{reason}{share}{state}{times}  event {}  offset {}{certain}", sent.id, sent.offset).into_bytes()
}
