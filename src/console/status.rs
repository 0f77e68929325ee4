//! How a share stands, in the words of the console: more than its state, for what was written is not yet what happens.

use crate::console::parts::{Badge, BadgeTone};
use crate::share::state::{Holders, State};
use crate::share::status::Document;
use crate::share::view::invitations::InvitationOutcome;
use crate::time::{TimestampMs, TimestampNs};

/// What is known of the engines and of a target's topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flowing {
    /// An engine decides with the share, and writes to its topics.
    Established,
    /// Not yet, and why.
    Waits(String),
}

/// Whether what was stopped can still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// A record may still be on its way.
    NotYet,
    /// None can come since then, at the latest.
    Since(TimestampMs),
}

/// How a share stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SharingStatus {
    Pending,
    /// The offer's time is over.
    OfferOver,
    Establishing(String),
    /// Accepted, and its time has not come.
    Scheduled(TimestampNs),
    Active,
    Paused(Holders),
    /// Access is over by its time.
    Ended(Option<TimestampNs>),
    Stopping,
    Stopped(Option<TimestampMs>),
    Left,
    Declined,
    Cancelled,
    Failed(&'static str),
}

impl SharingStatus {
    /// Of a share at `now`.
    pub(crate) fn of(document: &Document<'_>, now: TimestampNs, flowing: &Flowing, certainty: Certainty) -> Self {
        let is_past = |at: Option<TimestampNs>| at.is_some_and(|at| at <= now);
        match document.state {
            State::Pending if is_past(document.offer_expires) => Self::OfferOver,
            State::Pending => Self::Pending,
            State::Active | State::Paused if is_past(document.ends) => Self::Ended(document.ends),
            State::Paused => Self::Paused(document.paused_by),
            State::Active => match (document.starts.filter(|starts| *starts > now), flowing) {
                (Some(starts), _) => Self::Scheduled(starts),
                (None, Flowing::Established) => Self::Active,
                (None, Flowing::Waits(why)) => Self::Establishing(why.clone()),
            },
            State::Expired if document.accepted_at.is_none() => Self::OfferOver,
            State::Expired => Self::Ended(document.ended_at),
            State::Revoked => match certainty {
                Certainty::NotYet => Self::Stopping,
                Certainty::Since(at) => Self::Stopped(Some(at)),
            },
            State::Left => Self::Left,
            State::Declined => Self::Declined,
            State::Cancelled => Self::Cancelled,
            State::Failed => Self::Failed(document.reason.map_or("", crate::share::state::Reason::in_words)),
        }
    }

    /// Whether the share is neither open nor live any more.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Pending | Self::Establishing(_) | Self::Scheduled(_) | Self::Active | Self::Paused(_) | Self::Stopping => false,
            Self::OfferOver | Self::Ended(_) | Self::Stopped(_) | Self::Left | Self::Declined | Self::Cancelled | Self::Failed(_) => true,
        }
    }

    /// As it is shown.
    pub(crate) fn badge(&self) -> Badge {
        match self {
            Self::Pending => Badge::new("Pending", "○", BadgeTone::Info),
            Self::OfferOver => Badge::new("Expired", "◇", BadgeTone::Over),
            Self::Establishing(why) => Badge::new("Being established", "◐", BadgeTone::Wait).with(why.clone()),
            Self::Scheduled(_) => Badge::new("Starts later", "◔", BadgeTone::Info),
            Self::Active => Badge::new("Active", "●", BadgeTone::Good),
            Self::Paused(holders) => {
                let by: Vec<&str> = holders.words().map(|word| if word == "suspension" { "a suspended tenant" } else { word }).collect();
                Badge::new("Paused", "‖", BadgeTone::Wait).with(format!("by {}", by.join(", ")))
            }
            Self::Ended(_) => Badge::new("Ended", "■", BadgeTone::Over),
            Self::Stopping => Badge::new("Stopping", "◧", BadgeTone::Wait).with("a record may still be on its way"),
            Self::Stopped(_) => Badge::new("Stopped", "■", BadgeTone::Over),
            Self::Left => Badge::new("Left", "◁", BadgeTone::Over),
            Self::Declined => Badge::new("Declined", "✕", BadgeTone::Bad),
            Self::Cancelled => Badge::new("Cancelled", "⊘", BadgeTone::Over),
            Self::Failed(why) => Badge::new("Failed", "▲", BadgeTone::Bad).with(*why),
        }
    }
}

/// What became of an invitation, in addresses.
pub(crate) fn outcome_code(outcome: InvitationOutcome) -> &'static str {
    match outcome {
        InvitationOutcome::Pending => "pending",
        InvitationOutcome::Accepted => "accepted",
        InvitationOutcome::Declined => "declined",
        InvitationOutcome::Expired => "expired",
        InvitationOutcome::Cancelled => "cancelled",
    }
}

/// What an address names.
pub(crate) fn outcome_of_code(code: &str) -> Option<InvitationOutcome> {
    InvitationOutcome::ALL.into_iter().find(|one| outcome_code(*one) == code)
}

/// As it is shown.
pub(crate) fn outcome_badge(outcome: InvitationOutcome) -> Badge {
    match outcome {
        InvitationOutcome::Pending => Badge::new("Pending", "○", BadgeTone::Info),
        InvitationOutcome::Accepted => Badge::new("Accepted", "●", BadgeTone::Good),
        InvitationOutcome::Declined => Badge::new("Declined", "✕", BadgeTone::Bad),
        InvitationOutcome::Expired => Badge::new("Expired", "◇", BadgeTone::Over),
        InvitationOutcome::Cancelled => Badge::new("Cancelled", "⊘", BadgeTone::Over),
    }
}

#[cfg(test)]
mod tests {
    use maud::Render;

    use super::*;
    use crate::share::state::{Permission, Reason};

    fn document(state: State) -> Document<'static> {
        Document {
            share: "s",
            owner: "o",
            asset: Some("A"),
            label: None,
            target_tenant: Some("t"),
            invitee: None,
            target_asset: Some("A"),
            streams: vec!["telemetry"],
            profile: Some("all"),
            permission: Permission::View,
            starts: None,
            ends: None,
            offer_expires: None,
            history: false,
            message: None,
            state,
            paused_by: Holders::OWNER,
            reason: Some(Reason::UnknownProfile),
            revision: 1,
            offered_at: TimestampMs(0),
            accepted_at: None,
            ended_at: None,
            granted_from: None,
        }
    }

    fn status(document: &Document<'_>) -> SharingStatus {
        SharingStatus::of(document, TimestampMs(10).moment(), &Flowing::Established, Certainty::NotYet)
    }

    #[test]
    fn every_state_has_a_word_a_shape_and_a_colour() {
        for state in State::ALL {
            let text = status(&document(state)).badge().render().into_string();
            let word = text.split("</span>").nth(1).unwrap().split('<').next().unwrap();
            assert!(!word.trim().is_empty(), "{state:?}: {text}");
            assert!(text.contains(r#"aria-hidden="true""#) && text.contains(r#"class="badge "#), "{state:?}: {text}");
        }
        // Which differ where the states do, in the word and in the shape.
        let of = |state| status(&document(state)).badge();
        let all: Vec<Badge> = [State::Pending, State::Active, State::Paused, State::Declined, State::Revoked, State::Failed].map(of).into();
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other.word != one.word && other.shape != one.shape), "{one:?}");
        }
    }

    #[test]
    fn what_was_written_is_not_yet_what_happens() {
        let active = document(State::Active);
        let waits = Flowing::Waits("no engine has reported it".to_owned());
        let of = |flowing| SharingStatus::of(&active, TimestampMs(10).moment(), flowing, Certainty::NotYet);
        assert_eq!((of(&Flowing::Established).badge().word, of(&waits).badge().word), ("Active", "Being established"));
        let revoked = document(State::Revoked);
        let of = |certainty| SharingStatus::of(&revoked, TimestampMs(10).moment(), &Flowing::Established, certainty).badge().word;
        assert_eq!((of(Certainty::NotYet), of(Certainty::Since(TimestampMs(9)))), ("Stopping", "Stopped"));
    }

    #[test]
    fn a_time_that_has_passed_counts_before_an_event_records_it() {
        let over = Some(TimestampMs(10).moment());
        assert_eq!(status(&Document { offer_expires: over, ..document(State::Pending) }).badge().word, "Expired");
        assert_eq!(status(&Document { ends: over, ..document(State::Active) }).badge().word, "Ended");
        let later = Some(TimestampMs(11).moment());
        assert_eq!(status(&Document { starts: later, ends: later, ..document(State::Active) }).badge().word, "Starts later");
    }
}
