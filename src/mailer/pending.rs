//! Which mails are to be sent: the newest record of each share, less those that a note says were sent, with when to try again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::clock::BootTime;
use crate::id::Offset;
use crate::share::event::invitation_code::CodeHash;
use crate::share::view::mail::Mail;
use crate::time::{TimestampMs, TimestampNs};

/// What became of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryOutcome {
    /// The server took it.
    Sent,
    /// The server will never take it.
    Refused,
    /// Not now: it is tried again.
    Deferred,
}

/// One mail that is to be sent.
#[derive(Debug, Clone)]
struct PendingMail {
    mail: Mail,
    share: String,
    hash: CodeHash,
    offer_expires: Option<TimestampNs>,
    /// How often it was deferred.
    deferred: u32,
    /// Not before this.
    not_before: BootTime,
    is_refused: bool,
}

/// All of them.
#[derive(Debug)]
pub struct PendingMails {
    /// Records from before are somebody else's, or nobody's.
    first: Offset,
    sent: HashSet<(String, CodeHash)>,
    /// By the offset of their record: the oldest is sent first.
    mails: BTreeMap<Offset, PendingMail>,
    /// Where a share's newest record is.
    newest: HashMap<String, Offset>,
}

/// A record of the mailer's topic that is no mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no JSON object with the members share, code and address, under the share's id")]
pub struct NoMail;

/// A mail that may be sent now.
#[derive(Debug, Clone)]
pub struct DueMail {
    /// Where its record is.
    pub offset: Offset,
    /// The share.
    pub share: String,
    /// Its code's hash.
    pub hash: CodeHash,
    /// What to send.
    pub mail: Mail,
}

impl PendingMails {
    /// None yet; what is older than `first` is not sent.
    pub fn new(first: Offset) -> Self {
        Self { first, sent: HashSet::new(), mails: BTreeMap::new(), newest: HashMap::new() }
    }

    /// Takes a note in: the mail with this code was sent. It comes before the records.
    pub fn note(&mut self, share: &str, hash: CodeHash) {
        self.sent.insert((share.to_owned(), hash));
    }

    /// Takes the next record of the topic in.
    ///
    /// # Errors
    /// It is no mail. What its share had before is gone all the same.
    pub fn take(&mut self, offset: Offset, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), NoMail> {
        let key = key.and_then(|key| std::str::from_utf8(key).ok()).ok_or(NoMail)?;
        if let Some(before) = self.newest.remove(key) {
            self.mails.remove(&before);
        }
        let Some(value) = value else { return Ok(()) };
        let mail = Mail::read(value).filter(|mail| mail.text("share") == Some(key) && mail.text("address").is_some()).ok_or(NoMail)?;
        let hash = CodeHash::of(mail.text("code").ok_or(NoMail)?);
        let share = key.to_owned();
        self.newest.insert(share.clone(), offset);
        if offset >= self.first && !self.sent.contains(&(share.clone(), hash)) {
            let offer_expires = mail.text("offer_expires").and_then(TimestampNs::parse_rfc3339);
            let pending = PendingMail { mail, share, hash, offer_expires, deferred: 0, not_before: BootTime::default(), is_refused: false };
            self.mails.insert(offset, pending);
        }
        Ok(())
    }

    /// The oldest that may be sent now. What has lapsed is dropped.
    pub fn due(&mut self, now: TimestampMs, boot: BootTime) -> Option<DueMail> {
        self.mails.retain(|_, mail| mail.offer_expires.is_none_or(|expires| now.moment() < expires));
        let (offset, found) = self.mails.iter().find(|(_, mail)| !mail.is_refused && mail.not_before <= boot)?;
        Some(DueMail { offset: *offset, share: found.share.clone(), hash: found.hash, mail: found.mail.clone() })
    }

    /// Whether it is still to be sent, after what was read since.
    pub fn is_due(&self, mail: &DueMail) -> bool {
        self.mails.get(&mail.offset).is_some_and(|found| !found.is_refused)
    }

    /// Notes what became of a try.
    pub fn tried(&mut self, mail: &DueMail, outcome: TryOutcome, boot: BootTime) {
        match outcome {
            TryOutcome::Sent => {
                self.mails.remove(&mail.offset);
                self.sent.insert((mail.share.clone(), mail.hash));
            }
            TryOutcome::Refused => {
                if let Some(found) = self.mails.get_mut(&mail.offset) {
                    found.is_refused = true;
                }
            }
            TryOutcome::Deferred => {
                if let Some(found) = self.mails.get_mut(&mail.offset) {
                    found.deferred += 1;
                    found.not_before = boot.after(backoff(found.deferred));
                }
            }
        }
    }

    /// Notes of which the topic has no mail any more: nobody will ask for them again.
    pub fn outdated_notes(&mut self) -> Vec<(String, CodeHash)> {
        let newest = &self.newest;
        let (kept, outdated) = std::mem::take(&mut self.sent).into_iter().partition(|(share, _)| newest.contains_key(share));
        self.sent = kept;
        Vec::from_iter::<HashSet<_>>(outdated)
    }

    /// How many are to be sent, and how many are refused.
    pub fn counts(&self) -> (usize, usize) {
        let refused = self.mails.values().filter(|mail| mail.is_refused).count();
        (self.mails.len() - refused, refused)
    }
}

/// How long to wait after so many failures in a row: 2 s, doubled each time, 5 minutes at most.
pub fn backoff(failures: u32) -> Duration {
    Duration::from_secs(300.min(2_u64.saturating_pow(failures.clamp(1, 20))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampMs = TimestampMs(1_767_225_600_000);

    fn boot(seconds: u64) -> BootTime {
        BootTime(Duration::from_secs(seconds))
    }

    fn mail(share: &str, code: &str, more: &str) -> Vec<u8> {
        format!(r#"{{"share":"{share}","address":"a@b.example","code":"{code}"{more}}}"#).into_bytes()
    }

    fn with(records: &[(i64, &str, Option<&str>)]) -> PendingMails {
        let mut mails = PendingMails::new(Offset(0));
        for (offset, share, code) in records {
            let value = code.map(|code| mail(share, code, ""));
            mails.take(Offset(*offset), Some(share.as_bytes()), value.as_deref()).unwrap();
        }
        mails
    }

    fn next(mails: &mut PendingMails) -> Option<String> {
        mails.due(NOW, boot(0)).map(|due| format!("{} {}", due.share, due.mail.text("code").unwrap()))
    }

    #[test]
    fn each_code_is_sent_once_and_the_oldest_first() {
        let mut mails = with(&[(0, "s", Some("k")), (1, "t", Some("l"))]);
        assert_eq!(next(&mut mails).as_deref(), Some("s k"));
        let due = mails.due(NOW, boot(0)).unwrap();
        mails.tried(&due, TryOutcome::Sent, boot(0));
        assert_eq!(next(&mut mails).as_deref(), Some("t l"));
        mails.take(Offset(2), Some(b"s"), Some(&mail("s", "k", ""))).unwrap();
        mails.take(Offset(3), Some(b"t"), None).unwrap();
        assert_eq!(next(&mut mails), None, "sent, and closed");
        mails.take(Offset(4), Some(b"s"), Some(&mail("s", "m", ""))).unwrap();
        assert_eq!(next(&mut mails).as_deref(), Some("s m"), "sent again with a new code");
    }

    #[test]
    fn what_is_closed_replaced_lapsed_noted_or_older_is_not_sent() {
        assert_eq!(next(&mut with(&[(0, "s", Some("k")), (1, "s", None)])), None);
        assert_eq!(next(&mut with(&[(0, "s", Some("k")), (1, "s", Some("l"))])).as_deref(), Some("s l"));
        let mut lapsed = PendingMails::new(Offset(0));
        lapsed.take(Offset(0), Some(b"s"), Some(&mail("s", "k", r#","offer_expires":"2026-01-01T00:00:00Z""#))).unwrap();
        assert_eq!(next(&mut lapsed), None);
        let mut noted = PendingMails::new(Offset(5));
        noted.note("s", CodeHash::of("k"));
        noted.note("gone", CodeHash::of("k"));
        noted.take(Offset(4), Some(b"old"), Some(&mail("old", "k", ""))).unwrap();
        noted.take(Offset(5), Some(b"s"), Some(&mail("s", "k", ""))).unwrap();
        assert_eq!(next(&mut noted), None);
        assert_eq!(noted.outdated_notes(), [("gone".to_owned(), CodeHash::of("k"))]);
        assert_eq!(noted.outdated_notes(), []);
    }

    #[test]
    fn one_that_was_taken_back_while_it_was_written_is_not_due() {
        let mut mails = with(&[(0, "s", Some("k"))]);
        let due = mails.due(NOW, boot(0)).unwrap();
        assert!(mails.is_due(&due));
        mails.take(Offset(1), Some(b"s"), None).unwrap();
        assert!(!mails.is_due(&due));
    }

    #[test]
    fn a_deferred_mail_waits_longer_each_time_and_holds_no_other_up() {
        let mut mails = with(&[(0, "s", Some("k")), (1, "t", Some("l"))]);
        let due = mails.due(NOW, boot(0)).unwrap();
        mails.tried(&due, TryOutcome::Deferred, boot(0));
        assert_eq!(next(&mut mails).as_deref(), Some("t l"));
        assert_eq!(mails.due(NOW, boot(2)).unwrap().share, "s");
        mails.tried(&due, TryOutcome::Deferred, boot(2));
        assert_eq!(mails.due(NOW, boot(5)).unwrap().share, "t");
        assert_eq!(mails.due(NOW, boot(6)).unwrap().share, "s");
        assert_eq!(backoff(u32::MAX), Duration::from_secs(300));
    }

    #[test]
    fn a_refused_mail_is_not_tried_again_until_there_is_a_new_one() {
        let mut mails = with(&[(0, "s", Some("k"))]);
        let due = mails.due(NOW, boot(0)).unwrap();
        mails.tried(&due, TryOutcome::Refused, boot(0));
        assert_eq!((next(&mut mails), mails.counts()), (None, (0, 1)));
        mails.take(Offset(1), Some(b"s"), Some(&mail("s", "l", ""))).unwrap();
        assert_eq!((next(&mut mails).as_deref(), mails.counts()), (Some("s l"), (1, 0)));
    }

    #[test]
    fn what_is_no_mail_is_said() {
        let mut mails = PendingMails::new(Offset(0));
        for (key, value) in [
            (None, &b"{}"[..]),
            (Some(&b"s"[..]), b"{}"),
            (Some(b"s"), br#"{"share":"t","code":"k","address":"a@b.example"}"#),
            (Some(b"s"), br#"{"share":"s","code":"k"}"#),
            (Some(b"\xff"), b"{}"),
        ] {
            assert_eq!(mails.take(Offset(0), key, Some(value)), Err(NoMail));
        }
    }
}
