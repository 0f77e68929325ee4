//! What a mailer is told of an open invitation: one record of `sharecast.invitations` (docs/rules/invitations.md#the-mailers-topic),
//! keyed by the share's id.

use crate::document::Node;
use crate::json::document::parse;
use crate::json::writer::object;
use crate::share::event::invitation_code::CodeHash;
use crate::share::state::State;
use crate::share::table::ShareTable;
use crate::share::table::query::ShareView;
use crate::time::TimestampMs;

/// Whether a share waits for an invitee to accept it with this code.
pub fn is_open(share: ShareView<'_>, code: CodeHash) -> bool {
    let document = share.document();
    document.state == State::Pending && document.invitee.is_some() && share.code_hash() == Some(code)
}

/// Of these shares those that wait for an invitee to accept them with one of these codes; one, unless a code was used twice.
pub fn of_codes<'t>(shares: impl Iterator<Item = ShareView<'t>>, codes: &[CodeHash]) -> Vec<ShareView<'t>> {
    // The code is asked for first: a document costs much more, and most shares have no code.
    let waits = |share: &ShareView<'t>| share.code_hash().is_some_and(|code| codes.contains(&code) && is_open(*share, code));
    shares.filter(waits).collect()
}

/// The record's value: what a mail needs, and nothing of the asset but its label. None if the share is no invitation.
pub fn write(share: ShareView<'_>, code: &str) -> Option<Vec<u8>> {
    let document = share.document();
    let address = document.invitee?;
    Some(object(|out| {
        out.text("share", document.share);
        out.text("address", address);
        out.text("owner", document.owner);
        out.text_if("label", document.label);
        out.text_if("message", document.message);
        out.text("permission", document.permission.word());
        out.texts("streams", document.streams.iter().copied());
        out.time_if("starts", document.starts);
        out.time_if("ends", document.ends);
        out.time_if("offer_expires", document.offer_expires);
        out.text("code", code);
        out.time("offered_at", document.offered_at.moment());
    }))
}

/// A record as it stands in the topic.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its value as it was written.
    pub value: Vec<u8>,
    node: Node,
}

impl Mail {
    /// Reads a record's value; none of what is no JSON object with a share and a code.
    pub fn read(value: &[u8]) -> Option<Self> {
        let mail = Self { value: value.to_vec(), node: parse(value).ok()? };
        (mail.text("share").is_some() && mail.text("code").is_some()).then_some(mail)
    }

    /// A member that is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.node.get(name)?.as_str()
    }

    /// Whether the table still waits for its code: the mail is to be sent, or was and counts.
    pub fn counts(&self, table: &ShareTable, now: TimestampMs) -> bool {
        let share = self.text("share").and_then(|id| table.share(id));
        let code = self.text("code").map(CodeHash::of);
        let has_lapsed = |share: ShareView<'_>| share.document().offer_expires.is_some_and(|expires| now.moment() >= expires);
        share.zip(code).is_some_and(|(share, code)| is_open(share, code) && !has_lapsed(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::tests::fixture::World;

    fn invited() -> World {
        let mut world = World::partners();
        let data = format!(
            r#"{{"share":"s1","asset":"NW-7","invitee":"ann@example.com","streams":["telemetry"],"profile":"hire","label":"Digger \"7\"",
                "message":"for June","permission":"edit","ends":"2026-02-01T00:00:00Z","offer_expires":"2026-01-01T02:00:00Z","code_hash":"{}"}}"#,
            CodeHash::of("k")
        );
        world.ok("acme", "share.offered", &data);
        world
    }

    #[test]
    fn a_mail_says_what_is_offered_but_not_the_owners_asset() {
        let world = invited();
        let share = world.table.share("s1").unwrap();
        let value = String::from_utf8(write(share, "k").unwrap()).unwrap();
        assert_eq!(
            value,
            r#"{"share":"s1","address":"ann@example.com","owner":"acme","label":"Digger \"7\"","message":"for June","permission":"edit","streams":["telemetry"],"ends":"2026-02-01T00:00:00Z","offer_expires":"2026-01-01T02:00:00Z","code":"k","offered_at":"2026-01-01T00:00:00Z"}"#
        );
        let mut world = World::partners();
        world.offer("s2", "");
        assert_eq!(write(world.table.share("s2").unwrap(), "k"), None, "nobody was invited");
    }

    #[test]
    fn a_mail_counts_while_its_code_opens_the_share() {
        let mut world = invited();
        let mail = Mail::read(&write(world.table.share("s1").unwrap(), "k").unwrap()).unwrap();
        assert!(mail.counts(&world.table, world.now));
        assert_eq!(of_codes(world.table.shares(), &[CodeHash::of("k")]).len(), 1);
        assert!(!mail.counts(&world.table, TimestampMs(world.now.0 + 3 * 3_600_000)), "the offer has lapsed");
        world.ok("acme", "share.resent", &format!(r#"{{"share":"s1","code_hash":"{}"}}"#, CodeHash::of("l")));
        assert!(!mail.counts(&world.table, world.now) && of_codes(world.table.shares(), &[CodeHash::of("k")]).is_empty());
        let mail = Mail::read(&write(world.table.share("s1").unwrap(), "l").unwrap()).unwrap();
        assert!(mail.counts(&world.table, world.now));
        world.ok("acme", "share.cancelled", r#"{"share":"s1"}"#);
        assert!(!mail.counts(&world.table, world.now));
        for no_mail in ["", "{}", "[]", r#"{"share":"s1"}"#, r#"{"share":"s1","code":5}"#] {
            assert!(Mail::read(no_mail.as_bytes()).is_none(), "{no_mail}");
        }
    }
}
