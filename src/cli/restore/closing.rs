//! What closes everything that may have been closed after the dump: nothing flows, and nothing can be accepted, until somebody has
//! looked (docs/rules/cli.md#what-a-dump-lacks).

use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::id::Offset;
use crate::share::event;
use crate::share::event::Envelope;
use crate::share::event::kind::EventType;
use crate::share::state::{Holders, State};
use crate::share::table::{Outcome, ShareTable};
use crate::time::TimestampMs;

/// What is done to one share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClosingAct {
    /// It flows, or would as soon as somebody else's pause is lifted.
    Pause,
    /// It could be accepted.
    Cancel,
    /// Its offer has lapsed: it cannot be cancelled any more, nor accepted.
    Expire,
    /// It is over by its time, but late records may still come.
    Revoke,
}

impl ClosingAct {
    /// None of a share that is over, or that the operator has paused already.
    fn of(state: State, paused_by: Holders, has_lapsed: bool, lingers: bool) -> Option<Self> {
        match state {
            State::Active => Some(Self::Pause),
            State::Paused => (!paused_by.meets(Holders::OPERATOR)).then_some(Self::Pause),
            State::Pending if has_lapsed => Some(Self::Expire),
            State::Pending => Some(Self::Cancel),
            State::Expired => lingers.then_some(Self::Revoke),
            State::Failed | State::Declined | State::Cancelled | State::Revoked | State::Left => None,
        }
    }

    fn kind(self) -> EventType {
        match self {
            Self::Pause => EventType::SharePaused,
            Self::Cancel => EventType::ShareCancelled,
            Self::Expire => EventType::ShareExpired,
            Self::Revoke => EventType::ShareRevoked,
        }
    }

    fn data(self, share: &str, note: &str) -> Node {
        let more = match self {
            Self::Pause | Self::Cancel | Self::Revoke => ("note", note),
            Self::Expire => ("cause", "offer"),
        };
        let member = |(name, value): (&str, &str)| Member {
            name: name.to_owned(),
            place: TextPosition::default(),
            value: Node { kind: DocumentKind::String(value.to_owned()), place: TextPosition::default() },
        };
        Node { kind: DocumentKind::Map([("share", share), more].map(member).into()), place: TextPosition::default() }
    }
}

/// Events that close what is open, in the order of the log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Closing {
    /// Each event, in structured mode.
    pub(super) events: Vec<Vec<u8>>,
    /// How many shares are paused.
    pub(super) paused: u64,
    /// How many offers are over.
    pub(super) cancelled: u64,
    /// How many shares whose time was over get no late records any more.
    pub(super) revoked: u64,
    /// The shares that were ACTIVE: those that `share resume` may be for.
    pub(super) were_active: Vec<String>,
}

/// Closes all that is open in the table, whose log ends before `first`, at `now`. The error is an event that the table does not take.
pub(super) fn close<E: From<String>>(
    table: &mut ShareTable,
    first: Offset,
    now: TimestampMs,
    note: &str,
    mut new_id: impl FnMut() -> Result<String, E>,
) -> Result<Closing, E> {
    let now = now.max(table.control_time());
    let open = table.shares().filter_map(|share| {
        let document = share.document();
        let has_lapsed = document.offer_expires.is_some_and(|lapses| lapses <= now.moment());
        let act = ClosingAct::of(document.state, document.paused_by, has_lapsed, share.lingers())?;
        Some((share.id().as_str().to_owned(), document.state, act))
    });
    let open: Vec<(String, State, ClosingAct)> = open.collect();
    let mut closing = Closing::default();
    for (at, (share, state, act)) in (first.0..).map(Offset).zip(open) {
        let (id, source, kind, data) = (new_id()?, "/operator", act.kind().full_name(), act.data(&share, note));
        closing.events.push(event::write_structured(&id, source, &kind, now, &data));
        let folded = table.fold(at, now, Ok(Envelope { id, source: source.to_owned(), kind, actor: None, data }));
        if folded.outcome != Outcome::Applied {
            return Err(E::from(format!("share {share} cannot be closed: {:?}", folded.outcome)));
        }
        match act {
            ClosingAct::Pause => closing.paused += 1,
            ClosingAct::Cancel | ClosingAct::Expire => closing.cancelled += 1,
            ClosingAct::Revoke => closing.revoked += 1,
        }
        if state == State::Active {
            closing.were_active.push(share);
        }
    }
    Ok(closing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigEnv};
    use crate::share::table::FoldRules;
    use crate::time::Period;

    fn fold(table: &mut ShareTable, second: i64, source: &str, kind: &str, data: &str) {
        let offset = table.epoch().0 + 1;
        let text = format!(r#"{{"specversion":"1.0","id":"e{offset}","source":"{source}","type":"sharecast.{kind}.v1","data":{data}}}"#);
        let folded = table.fold(Offset(offset), TimestampMs(second * 1000), event::read_structured(text.as_bytes()));
        assert_eq!(folded.outcome, Outcome::Applied, "{text}");
    }

    fn state(table: &ShareTable, share: &str) -> (State, Holders) {
        let document = table.share(share).unwrap().document();
        (document.state, document.paused_by)
    }

    #[test]
    fn nothing_stays_open_and_every_pause_stays_whose_it_was() {
        let config = Config::load(&[], &ConfigEnv::none()).unwrap();
        let rules = FoldRules { late_grace: Period::parse("1h").unwrap(), ..config.fold_rules() };
        let mut table = ShareTable::for_documents(rules);
        fold(&mut table, 0, "/operator", "partnership.established", r#"{"tenants":["o","t"]}"#);
        let offer = |table: &mut ShareTable, share: &str, more: &str| {
            let data =
                format!(r#"{{"share":"{share}","asset":"{share}","target_tenant":"t","streams":["telemetry"],"profile":"all"{more}}}"#);
            fold(table, 1, "/tenants/o", "share.offered", &data);
        };
        for share in ["active", "theirs", "ours", "over"] {
            offer(&mut table, share, r#","offer_expires":"1970-01-01T00:00:30Z""#);
            fold(&mut table, 2, "/tenants/t", "share.accepted", &format!(r#"{{"share":"{share}"}}"#));
        }
        fold(&mut table, 3, "/tenants/o", "share.paused", r#"{"share":"theirs"}"#);
        fold(&mut table, 3, "/operator", "share.paused", r#"{"share":"ours"}"#);
        fold(&mut table, 3, "/tenants/o", "share.revoked", r#"{"share":"over"}"#);
        offer(&mut table, "late", r#","ends":"1970-01-01T00:00:04Z""#);
        fold(&mut table, 2, "/tenants/t", "share.accepted", r#"{"share":"late"}"#);
        fold(&mut table, 5, "/sharecast", "share.expired", r#"{"share":"late","cause":"access"}"#);
        offer(&mut table, "pending", "");
        offer(&mut table, "lapsed", r#","offer_expires":"1970-01-01T00:00:30Z""#);
        let first = Offset(table.epoch().0 + 5);
        let mut ids = 0;
        let mut new_id = || {
            ids += 1;
            Ok::<String, String>(format!("c{ids}"))
        };
        let closing = close(&mut table, first, TimestampMs(60_000), "why", &mut new_id).unwrap();
        assert_eq!((closing.paused, closing.cancelled, closing.revoked, closing.events.len()), (2, 2, 1, 5));
        assert_eq!(state(&table, "late").0, State::Revoked, "late records were to come");
        assert_eq!(closing.were_active, ["active"]);
        assert_eq!(state(&table, "active"), (State::Paused, Holders::OPERATOR));
        assert_eq!(state(&table, "theirs"), (State::Paused, Holders::OPERATOR.with(Holders::OWNER)));
        assert_eq!(state(&table, "ours"), (State::Paused, Holders::OPERATOR));
        assert_eq!(state(&table, "over").0, State::Revoked);
        assert_eq!((state(&table, "pending").0, state(&table, "lapsed").0), (State::Cancelled, State::Expired));
        assert_eq!(table.epoch().0, first.0 + 4);
        let again = close(&mut table, Offset(99), TimestampMs(60_000), "why", new_id).unwrap();
        assert_eq!(again, Closing::default(), "nothing is open any more");
    }
}
