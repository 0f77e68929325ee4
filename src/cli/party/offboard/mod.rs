//! `sharecast tenant offboard`: a review of all that a tenant has to do with others, then its end; with `--delete-topics` its topics go
//! once nothing can come into them any more.

mod topics;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{ActorArgs, Format, tenant};
use crate::cli::config;
use crate::cli::exit::{Exit, Failure, tell};
use crate::cli::outcome::{Delivered, Quiescence};
use crate::cli::output::{PrintError, exit, print_table, shown};
use crate::cli::party::offboard::topics::{TenantTopic, TenantTopics};
use crate::cli::random::random;
use crate::cli::share::confirm::confirm;
use crate::cli::share::revoke_wait;
use crate::cli::trial;
use crate::cli::trial::Until;
use crate::cli::writing::Events;
use crate::clock::{BootTime, Clock, SystemClock};
use crate::config::Config;
use crate::id::{Offset, TenantId};
use crate::json::writer::object;
use crate::share::bulk::offboard::{EndingShare, OffboardPlan, OffboardStep};
use crate::share::event::kind::EventType;
use crate::share::event::write_token::WriteToken;
use crate::share::state::Reason;
use crate::share::table::ShareTable;

/// So many shares are named one by one in a review.
const SHARES_SHOWN: usize = 20;
/// So many known tenants are named to whoever named one that is not known.
const TENANTS_SHOWN: usize = 10;

/// Options of `tenant offboard`.
#[derive(Debug, Args)]
pub struct OffboardArgs {
    /// The tenant
    #[arg(value_parser = tenant)]
    tenant: TenantId,
    /// Then delete its topics, once no record can come into them any more and the engine has taken back what stands in them. Nothing
    /// brings them back
    #[arg(long)]
    delete_topics: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

/// The command line as it was understood.
struct Offboarding<'o> {
    config: &'o Config,
    /// With `--delete-topics` it waits whether or not that was said.
    acting: ActorArgs,
    tenant: TenantId,
    deletes_topics: bool,
    until: Until,
}

/// Runs the command.
pub fn run(files: &[PathBuf], acting: &ActorArgs, args: OffboardArgs) -> Result<Exit, Failure> {
    check(acting, &args)?;
    let config = config::load(files)?;
    let until = Until::after(acting.patience()?);
    let waits = acting.wait || args.delete_topics;
    let acting = ActorArgs { wait: waits, ..acting.clone() };
    let run = Offboarding { config: &config, acting, tenant: args.tenant, deletes_topics: args.delete_topics, until };
    trial::reach_cluster(&config, until)?;
    let table = run.fold()?;
    run.refuse_unknown(&table)?;
    let topics = TenantTopics::of(&config, &run.tenant, &table);
    if run.deletes_topics {
        topics.refuse_shared()?;
    }
    let plan = run.plan(table)?;
    let found = match topics.look(&config, until) {
        Ok(found) => found,
        Err(failure) if !run.deletes_topics => {
            tell!("warning: its topics cannot be looked at: {failure}");
            Vec::new()
        }
        Err(failure) => return Err(trial::unwritten(failure)),
    };
    let deleted = if run.deletes_topics { found.len() } else { 0 };
    run.review(&plan, &found).map_err(|error| Failure::new(Exit::Failed, format!("stderr: {error}")))?;
    if !plan.is_of_nothing() || deleted > 0 {
        confirm(&question(plan.events(), deleted), args.yes, io::stdin().is_terminal())?;
    }
    run.carry_out(&plan, &found)
}

fn check(acting: &ActorArgs, args: &OffboardArgs) -> Result<(), Failure> {
    let usage = |what: String| Err(Failure::new(Exit::Usage, what));
    if acting.event_id.is_some() || acting.repeat.is_some() {
        return usage("offboarding writes many events: leave --event-id and --repeat out; the command is repeated as it is".to_owned());
    }
    match &acting.actor {
        Some(own) if *own != args.tenant => usage(format!("{own} cannot end what {} has: leave --as out, as the operator", args.tenant)),
        Some(_) if args.delete_topics => usage("topics are the operator's: leave --as out to delete them".to_owned()),
        _ => Ok(()),
    }
}

fn question(events: usize, topics: usize) -> String {
    match (events, topics) {
        (0, topics) => format!("Delete {topics} topics?"),
        (events, 0) => format!("Write {events} events?"),
        (events, topics) => format!("Write {events} events and then delete {topics} topics?"),
    }
}

/// What was written.
struct OffboardWrites {
    /// Each event's type, id, offset and what became of it.
    events: Vec<(EventType, String, Offset, Delivered)>,
    /// The newest that ends a share, and when the last was acknowledged.
    cut: Option<(Offset, BootTime)>,
}

impl Offboarding<'_> {
    fn fold(&self) -> Result<ShareTable, Failure> {
        Ok(trial::fold(self.config, self.until, false, None).map_err(trial::unwritten)?.table)
    }

    fn plan(&self, table: ShareTable) -> Result<OffboardPlan, Failure> {
        let now = SystemClock.wall().max(table.control_time());
        OffboardPlan::make(table, now, &self.acting.source(), &self.tenant)
            .map_err(|refused| Failure::new(Exit::Failed, format!("{}; nothing was written", shown(&refused.to_string()))))
    }

    fn refuse_unknown(&self, table: &ShareTable) -> Result<(), Failure> {
        if table.known_tenant(self.tenant.as_str()).is_some() {
            return Ok(());
        }
        let known: Vec<&str> = table.tenants().into_iter().map(|tenant| tenant.id).collect();
        let what = format!("no event names a tenant {}; nothing was written. {}", self.tenant, meant(self.tenant.as_str(), &known));
        Err(Failure::new(Exit::Failed, what))
    }

    /// What is going to happen, on stderr: results alone go to stdout.
    fn review(&self, plan: &OffboardPlan, found: &[TenantTopic]) -> io::Result<()> {
        let mut out = BufWriter::new(io::stderr().lock());
        let partnership = |(partner, is_offered): &(String, bool)| {
            let state = if *is_offered { "OFFERED" } else { "ACTIVE" };
            vec![partner.clone(), state.to_owned()]
        };
        writeln!(out, "offboarding {} as {}", self.tenant, self.acting.source().trim_start_matches("/tenants/"))?;
        if plan.is_of_nothing() {
            writeln!(out, "\nno partnership, share, offer or invitation of it is open")?;
        }
        if !plan.partnerships.is_empty() {
            writeln!(out)?;
            print_table(&["PARTNERSHIP WITH", "STATE"], &plan.partnerships.iter().map(partnership).collect::<Vec<_>>(), &mut out)?;
        }
        if !plan.shares.is_empty() {
            writeln!(out)?;
            print_table(&["COUNT", "ROLE", "WITH", "STATE"], &counts(&plan.shares), &mut out)?;
            writeln!(out)?;
            print_table(
                &["SHARE", "ROLE", "WITH", "STATE"],
                &plan.shares.iter().take(SHARES_SHOWN).map(row).collect::<Vec<_>>(),
                &mut out,
            )?;
            if plan.shares.len() > SHARES_SHOWN {
                writeln!(out, "… and {} more", plan.shares.len() - SHARES_SHOWN)?;
            }
        }
        if !plan.profiles.is_empty() {
            writeln!(out, "\nits profiles stay published, for nobody but it: {}", plan.profiles.join(", "))?;
        }
        if !plan.family.is_empty() {
            let tree = plan.family.join(", ");
            writeln!(out, "\nit stays in the tree beside {tree}: offers between them are accepted by themselves (`tenant update`)")?;
        }
        if !found.is_empty() {
            let fate = if self.deletes_topics { "its topics, which go with all they hold" } else { "its topics, which stay" };
            writeln!(out, "\n{fate}:")?;
            print_table(&["TOPIC", "PARTITIONS", "RECORDS UP TO"], &found.iter().map(TenantTopic::row).collect::<Vec<_>>(), &mut out)?;
        }
        writeln!(out)?;
        out.flush()
    }

    fn carry_out(&self, plan: &OffboardPlan, found: &[TenantTopic]) -> Result<Exit, Failure> {
        let written = self.write(plan)?;
        if written.events.iter().any(|(.., outcome)| outcome.is_refused()) {
            exit(self.print(plan, &written, None, &[]).map_err(PrintError::from))?;
            return Err(Failure::new(Exit::Failed, "somebody was faster: the same command finds what is left"));
        }
        let cut_before = || Some((Offset(plan.newest_cut?.0), SystemClock.boot()));
        let cut = written.cut.or_else(cut_before).filter(|_| self.acting.wait);
        let certain = cut.map(|(offset, since)| revoke_wait::wait(self.config, offset, since, self.acting.timeout)).transpose()?;
        let deleted = if self.deletes_topics { found } else { &[] };
        if !deleted.is_empty() {
            self.refuse_new()?;
            topics::delete(self.config, deleted, cut.map(|(offset, _)| offset), self.acting.patience()?)?;
        }
        exit(self.print(plan, &written, certain, deleted).map_err(PrintError::from))
    }

    fn write(&self, plan: &OffboardPlan) -> Result<OffboardWrites, Failure> {
        let mut written = OffboardWrites { events: Vec::new(), cut: None };
        // A person may have thought about it for a while.
        let until = Until::after(self.acting.patience()?.max(self.until.left()));
        for OffboardStep { kind, events, last_cut } in &plan.steps {
            let ids = events.iter().map(|_| Ok(WriteToken::new(random()?).event_id())).collect::<Result<Vec<_>, Failure>>()?;
            let again = "what was written stays, and the same command finds what is left".to_owned();
            let all = ids.iter().map(String::as_str).zip(events).collect();
            let source = self.acting.source();
            let step = Events { source: &source, kind: *kind, all, again, is_first: false }.write(self.config, &self.acting, until)?;
            let outcomes = step.outcomes?;
            written.cut = last_cut.and_then(|at| step.offsets.get(at)).map(|offset| (*offset, step.acknowledged)).or(written.cut);
            let each = ids.into_iter().zip(step.offsets).zip(outcomes);
            written.events.extend(each.map(|((id, offset), outcome)| (*kind, id, offset, outcome)));
        }
        Ok(written)
    }

    /// What came in meanwhile must end first.
    fn refuse_new(&self) -> Result<(), Failure> {
        let fold = trial::fold(self.config, Until::after(self.acting.patience()?), false, None)?;
        let left = self.plan(fold.table)?;
        if left.is_of_nothing() {
            return Ok(());
        }
        let what = format!(
            "what {} had has ended, but somebody has offered it something since: its topics stay. Suspend it (tenant update {} --suspend), \
             then give the same command again",
            self.tenant, self.tenant
        );
        Err(Failure::new(Exit::Failed, what))
    }

    fn print(&self, plan: &OffboardPlan, written: &OffboardWrites, certain: Option<Quiescence>, deleted: &[TenantTopic]) -> io::Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        if self.acting.output == Format::Table {
            let words: Vec<String> = written.events.iter().map(in_words).collect();
            words.iter().try_for_each(|line| writeln!(out, "{line}"))?;
            deleted.iter().try_for_each(|topic| writeln!(out, "topic {} deleted", topic.name))?;
            let certain = certain.map(|certain| format!("  certain: {}", certain.word())).unwrap_or_default();
            let (partnerships, shares) = (plan.partnerships.len(), plan.shares.len());
            writeln!(
                out,
                "{}: {partnerships} partnerships and {shares} shares ended, {} topics deleted{certain}",
                self.tenant,
                deleted.len()
            )?;
            return out.flush();
        }
        let mut line = object(|out| {
            out.text("tenant", self.tenant.as_str());
            out.array("events", |items| {
                written.events.iter().for_each(|event| items.json(&event_json(event)));
            });
            out.array("shares", |items| plan.shares.iter().for_each(|share| items.json(&share_json(share))));
            out.text_if("certain", certain.map(Quiescence::word));
            out.texts("deleted_topics", deleted.iter().map(|topic| topic.name.as_str()));
        });
        line.push(b'\n');
        out.write_all(&line)?;
        out.flush()
    }
}

fn meant(given: &str, known: &[&str]) -> String {
    let distance = |id: &str| strsim::damerau_levenshtein(&id.to_lowercase(), &given.to_lowercase());
    let least = known.iter().map(|id| distance(id)).min().filter(|least| *least <= 2);
    let near: Vec<&str> = known.iter().copied().filter(|id| Some(distance(id)) == least).collect();
    match (near.as_slice(), known) {
        ([], []) => "No tenant is known at all: is this the right cluster and control topic?".to_owned(),
        ([], known) if known.len() <= TENANTS_SHOWN => format!("Known are: {}", known.join(", ")),
        ([], known) => format!("{} others are known: see `tenant list`", known.len()),
        (near, _) => format!("Is {} meant?", near.join(" or ")),
    }
}

fn role(share: &EndingShare) -> &'static str {
    match (share.is_owned, share.is_invitation) {
        (true, true) => "invited",
        (true, false) => "owner",
        (false, _) => "target",
    }
}

fn row(share: &EndingShare) -> Vec<String> {
    let states = format!("{} -> {}", share.before.word(), share.after.word());
    vec![share.share.clone(), role(share).to_owned(), share.other.clone(), states]
}

/// Alike ones together, in the order of the first of each.
fn counts(shares: &[EndingShare]) -> Vec<Vec<String>> {
    let mut counted: Vec<(Vec<String>, usize)> = Vec::new();
    for share in shares {
        let kind = row(share).split_off(1);
        match counted.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => counted.push((kind, 1)),
        }
    }
    counted.into_iter().map(|(kind, count)| [vec![count.to_string()], kind].concat()).collect()
}

fn in_words((kind, id, offset, outcome): &(EventType, String, Offset, Delivered)) -> String {
    let why = match outcome {
        Delivered::Rejected(code) => format!(" ({code}: {})", Reason::of_code(code).map(Reason::in_words).unwrap_or_default()),
        _ => String::new(),
    };
    format!("{} {}{why}  event {id}  offset {offset}", kind.name(), outcome.word(kind.is_of_share()))
}

fn event_json((kind, id, offset, outcome): &(EventType, String, Offset, Delivered)) -> Vec<u8> {
    object(|out| {
        out.text("event", id);
        out.text("type", kind.name());
        out.number("offset", offset.0);
        out.text("outcome", outcome.word(kind.is_of_share()));
        if let Delivered::Rejected(reason) = outcome {
            out.text("reason", reason);
        }
    })
}

fn share_json(share: &EndingShare) -> Vec<u8> {
    object(|out| {
        out.text("share", &share.share);
        out.text("role", role(share));
        out.text("with", &share.other);
        out.text("before", share.before.word());
        out.text("after", share.after.word());
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_a_tenant_that_is_not_known_is_told_which_is_meant() {
        assert_eq!(meant("Acme", &["acm", "acme", "zenith"]), "Is acme meant?");
        assert_eq!(meant("nobody", &["acme", "zenith"]), "Known are: acme, zenith");
        assert!(meant("nobody", &[]).contains("right cluster"));
        assert!(meant("nobody", &["tenant"; 11]).contains("11 others"));
    }
}
