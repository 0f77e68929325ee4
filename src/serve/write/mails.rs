//! The mailer is told of an invitation once it is folded.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::serve::Serve;
use crate::serve::problem::Problem;
use crate::serve::write::receipt::{RowOutcome, WriteReceipt};
use crate::serve::write::trial::{OrderTrial, PreparedStep};
use crate::share::view::mail;
use crate::writing::invitation::InvitationMail;
use crate::writing::mail_topic::{MailTopic, MailTopicError};

impl Serve {
    /// Makes sure that the mailer's topic is there: an offer whose mail has no place to go to is not made.
    pub(super) async fn make_mail_topic(self: &Arc<Self>) -> Result<(), Problem> {
        if self.has_mail_topic.load(Ordering::Relaxed) {
            return Ok(());
        }
        let serve = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || MailTopic::of(&serve.config, serve.patience()).make()).await;
        match made {
            Ok(Ok(())) => {
                self.has_mail_topic.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(Err(error)) => Err(Problem::unavailable(format!("nothing was written, for the mailer cannot be told: {error}"))),
            Err(error) => Err(Problem::new(500, error.to_string())),
        }
    }

    /// Writes the mails of a write's invitations that wait for their codes. Of a repeated one only if it is missing.
    pub(super) async fn tell_mailer(self: &Arc<Self>, trial: &OrderTrial, receipt: &WriteReceipt) -> Result<(), MailTopicError> {
        let state = self.published.load();
        let is_done = |outcome: RowOutcome| !matches!(outcome, RowOutcome::Refused(_));
        let owed = trial.rows.iter().zip(&receipt.rows).filter(|(_, row)| is_done(row.outcome));
        let owed: Vec<(InvitationMail, Vec<u8>, bool)> = owed
            .filter_map(|(row, _)| {
                let invitation = row.invitation.clone()?;
                let value = mail::write(invitation.open_in(&state.table)?, &invitation.code)?;
                Some((invitation, value, row.step == PreparedStep::Before))
            })
            .collect();
        drop(state);
        if owed.is_empty() {
            return Ok(());
        }
        let serve = Arc::clone(self);
        let told = tokio::task::spawn_blocking(move || serve.write_mails(&owed)).await;
        told.unwrap_or_else(|error| Err(MailTopicError::Missing(error.to_string())))
    }

    fn write_mails(&self, owed: &[(InvitationMail, Vec<u8>, bool)]) -> Result<(), MailTopicError> {
        let topic = MailTopic::of(&self.config, self.patience());
        let mut writer = topic.writer()?;
        for (invitation, value, may_be_told) in owed {
            if *may_be_told && topic.is_told(&invitation.share, &invitation.code)? {
                continue;
            }
            writer.put(&invitation.share, value)?;
            // It may have been closed before its mail was written: then nobody else takes the mail back.
            let state = self.published.load();
            if !invitation.is_open(&state.table) && state.table.share(&invitation.share).is_some_and(|share| share.code_hash().is_none()) {
                writer.take_back(&invitation.share)?;
            }
        }
        Ok(())
    }
}
