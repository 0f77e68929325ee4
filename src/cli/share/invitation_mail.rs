//! Mail for those who are invited: the mailer is told of an offer once it is folded.

use std::time::Duration;

use crate::cli::args::ActorArgs;
use crate::cli::control_fold::{ControlFold, NextRecord, StartFrom};
use crate::cli::exit::{Exit, Failure, admin_failure, client_failure, input_failure, tell};
use crate::cli::trial::Until;
use crate::config::Config;
use crate::share::event::Envelope;
use crate::share::event::invitation_code::CodeHash;
use crate::share::state::State;
use crate::share::table::Outcome;
use crate::share::table::query::ShareView;
use crate::share::view::mail;
use crate::writing::invitation;
use crate::writing::invitation::{InvitationMail, why_closed};
use crate::writing::mail_topic::{MailTopic, MailTopicError, MailTopicWriter};

/// Makes sure that the mailer's topic is there.
pub(in crate::cli) fn prepare(config: &Config, until: Until) -> Result<(), Failure> {
    MailTopic::of(config, until.left()).make().map_err(failure)
}

/// Reads what became of the event, which is in the log by now, and tells the mailer of it if the invitation stands; not again if it was
/// told.
pub(in crate::cli) fn deliver(invitation: &InvitationMail, config: &Config, acting: &ActorArgs) -> Result<Exit, Failure> {
    try_deliver(invitation, config, acting.patience()?).map_err(|failure| {
        let advice = "if the offer stands it has no mail yet: `sharecast share resend` makes a new code and a new mail";
        Failure::new(failure.exit, format!("share {}: {failure}; {advice}", invitation.share))
    })
}

fn try_deliver(invitation: &InvitationMail, config: &Config, patience: Duration) -> Result<Exit, Failure> {
    let mut fold = ControlFold::open(config, patience, StartFrom::Snapshot)?;
    let outcome = read_on(invitation, &mut fold)?;
    let share = &invitation.share;
    let Some(found) = invitation.open_in(&fold.table) else {
        let why = why_closed(outcome.as_ref(), fold.table.share(share).map(ShareView::document));
        tell!("share {share}: no mail is written: {why}");
        return Ok(Exit::Failed);
    };
    let address = found.document().invitee.unwrap_or_default().to_owned();
    let Some(value) = mail::write(found, &invitation.code) else { return Ok(Exit::Failed) };
    let topic = MailTopic::of(config, patience);
    if topic.is_told(share, &invitation.code).map_err(failure)? {
        tell!("share {share}: the mail for {address} is in {} already", topic.name());
        return Ok(Exit::Ok);
    }
    let mut writer = topic.writer().map_err(failure)?;
    writer.put(share, &value).map_err(failure)?;
    tell!("share {share}: the mail for {address} is in {}", topic.name());
    take_back_if_closed(invitation, &mut fold, &mut writer)
}

/// An invitation may have been closed before its mail was written: then nobody else takes the mail back.
fn take_back_if_closed(invitation: &InvitationMail, fold: &mut ControlFold, writer: &mut MailTopicWriter) -> Result<Exit, Failure> {
    let share = &invitation.share;
    fold.look_again()?;
    read_on(invitation, fold)?;
    let is_pending = fold.table.share(share).is_none_or(|found| found.document().state == State::Pending);
    if !is_pending && let Err(error) = writer.take_back(share) {
        tell!("share {share}: it is closed already, but its mail could not be taken back: {error}");
    }
    Ok(Exit::Ok)
}

/// Folds on, and tells what became of the event that brought this code, if it was among what was folded.
fn read_on(invitation: &InvitationMail, fold: &mut ControlFold) -> Result<Option<Outcome>, Failure> {
    let hash = CodeHash::of(&invitation.code);
    let mut outcome = None;
    fold.read_to_end(|table, coming: NextRecord<'_>| {
        let of_code = |record: &Result<Envelope, _>| {
            let found = record.as_ref().ok().and_then(|event| CodeHash::parse(event.data.get("code_hash")?.as_str()?));
            found == Some(hash)
        };
        let (is_own, folded) = coming.fold_noting(table, of_code);
        // A repeat of it says nothing of what became of it.
        if is_own && folded.outcome != Outcome::Repeated {
            outcome = Some(folded.outcome);
        }
        Ok::<(), Failure>(())
    })?;
    Ok(outcome)
}

/// The share that waits for this code.
pub(in crate::cli) fn share_of_code(config: &Config, acting: &ActorArgs, typed: &str) -> Result<String, Failure> {
    let table = ControlFold::open(config, acting.patience()?, StartFrom::Snapshot)?.fold_to_end()?;
    let found = invitation::share_of_code(table.shares(), typed).map(|share| share.id().to_string());
    found.map_err(|why| Failure::new(Exit::Failed, format!("{why}; nothing was written")))
}

fn failure(error: MailTopicError) -> Failure {
    match error {
        MailTopicError::Missing(what) => Failure::new(Exit::Configuration, what),
        MailTopicError::Admin(error) => admin_failure(error),
        MailTopicError::Client(error) => client_failure(error),
        MailTopicError::Input(error) => input_failure(error),
        written @ MailTopicError::Write { .. } => Failure::new(Exit::Unavailable, written),
    }
}
