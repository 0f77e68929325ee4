//! What another configuration of the log would change, and who would lose what.

use std::collections::BTreeMap;

use crate::share::configuration::{FoldConfiguration, PartnershipNeed, unreadable_word};
use crate::share::state::State;
use crate::share::table::ShareTable;
use crate::share::table::query::ShareView;

/// So many pairs of tenants, and so many shares of each, are named.
const PAIRS_SHOWN: usize = 10;
const SHARES_SHOWN: usize = 3;

/// What is to be known before a configuration is named to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationReview {
    /// What changes and takes nothing away, a line each.
    pub changes: Vec<String>,
    /// What somebody loses, and who, a line each; what is indented belongs to the line before.
    pub losses: Vec<String>,
}

impl ConfigurationReview {
    /// Of naming this configuration to the log that was folded.
    pub fn of(table: &ShareTable, wanted: &FoldConfiguration) -> Self {
        let mut review = Self { changes: Vec::new(), losses: Vec::new() };
        if table.configured_at().is_none() {
            review.changes.push("the log names its configuration for the first time: until now each process judged by its own".to_owned());
        }
        review.streams(table, wanted);
        review.partnerships(table, wanted.partnerships);
        review.unreadable(table.configuration().halts_on_unreadable, wanted.halts_on_unreadable);
        review
    }

    /// Whether the log says all of it already.
    pub fn is_of_nothing(&self) -> bool {
        self.changes.is_empty() && self.losses.is_empty()
    }

    fn streams(&mut self, table: &ShareTable, wanted: &FoldConfiguration) {
        let now = &table.configuration().streams;
        for (stream, mode) in wanted.streams.iter().filter(|(stream, _)| !now.contains_key(*stream)) {
            self.changes.push(format!("the stream {stream} ({}) comes: it can be named in offers", mode.word()));
        }
        for (stream, was) in now {
            let loss = match wanted.streams.get(stream) {
                None => format!(
                    "the stream {stream} goes: it can be named in no offer, acceptance or update, and an engine that reads it ends (78). Shares \
                     keep it"
                ),
                Some(mode) if mode != was => format!(
                    "the stream {stream} becomes `mode: {}`, from `{}`: an engine that reads it otherwise ends (78)",
                    mode.word(),
                    was.word()
                ),
                Some(_) => continue,
            };
            self.losses.push(loss);
            self.name(table, |share| share.document().streams.contains(&stream.as_str()));
        }
    }

    fn partnerships(&mut self, table: &ShareTable, wanted: PartnershipNeed) {
        let now = table.configuration().partnerships;
        if now == wanted {
            return;
        }
        let change = format!("partnerships: {}, from {}", wanted.word(), now.word());
        match (now, wanted) {
            (PartnershipNeed::Open, PartnershipNeed::Required | PartnershipNeed::Invited) => {
                self.losses.push(format!("{change}: who are no partners can offer each other nothing new. What they share stays"));
                self.name(table, |share| !share.has_bound_parties());
            }
            (PartnershipNeed::Invited, PartnershipNeed::Required) => {
                self.losses.push(format!("{change}: the code of an invitation makes no partners"));
                self.name(table, |share| share.code_hash().is_some());
            }
            (_, PartnershipNeed::Open | PartnershipNeed::Invited) | (PartnershipNeed::Required, PartnershipNeed::Required) => {
                self.changes.push(change);
            }
        }
    }

    fn unreadable(&mut self, halted: bool, halts: bool) {
        if halted == halts {
            return;
        }
        let change = format!("control.unreadable: {}, from {}", unreadable_word(halts), unreadable_word(halted));
        if halts {
            self.changes.push(format!("{change}: a record that cannot be read stops the flow until it is skipped"));
        } else {
            self.losses.push(format!("{change}: a record that cannot be read, perhaps a revoke, stops nothing any more"));
        }
    }

    /// Names the shares that are open or live and of which this holds, by their two tenants.
    fn name<'t>(&mut self, table: &'t ShareTable, is_meant: impl Fn(ShareView<'t>) -> bool) {
        let mut pairs: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for share in table.shares() {
            let document = share.document();
            if matches!(document.state, State::Pending | State::Active | State::Paused) && is_meant(share) {
                let target = document.target_tenant.unwrap_or("who is invited");
                pairs.entry((document.owner, target)).or_default().push(document.share);
            }
        }
        if pairs.is_empty() {
            self.losses.push("  no open or live share is concerned".to_owned());
        }
        for ((owner, target), shares) in pairs.iter().take(PAIRS_SHOWN) {
            let more = if shares.len() > SHARES_SHOWN { ", …" } else { "" };
            let named: Vec<&str> = shares.iter().take(SHARES_SHOWN).copied().collect();
            let word = if shares.len() == 1 { "share" } else { "shares" };
            self.losses.push(format!("  {owner} to {target}: {} {word} ({}{more})", shares.len(), named.join(", ")));
        }
        if pairs.len() > PAIRS_SHOWN {
            self.losses.push(format!("  and {} more pairs of tenants", pairs.len() - PAIRS_SHOWN));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StreamName;
    use crate::record::mapping::Mode;
    use crate::share::event::invitation_code::CodeHash;
    use crate::share::tests::fixture::World;

    fn wanted(world: &World, change: impl FnOnce(&mut FoldConfiguration)) -> ConfigurationReview {
        let mut wanted = world.table.configuration().clone();
        change(&mut wanted);
        ConfigurationReview::of(&world.table, &wanted)
    }

    #[test]
    fn a_review_names_who_loses_what() {
        let mut world = World::partners();
        world.offer("s1", "");
        world.offer("s2", r#""streams":["telemetry"],"target_asset":"T2""#);
        world.ok("zenith", "share.accepted", r#"{"share":"s2"}"#);
        world.ok("acme", "share.cancelled", r#"{"share":"s1"}"#);
        world.offer("s3", "");
        let invitation = format!(
            r#"{{"share":"i1","asset":"A","invitee":"a@b.example","code_hash":"{}","streams":["extras"],"profile":"all"}}"#,
            CodeHash::of("k")
        );
        world.ok("acme", "share.offered", &invitation);
        let first = "the log names its configuration for the first time: until now each process judged by its own";
        assert_eq!(wanted(&world, |_| ()).changes, [first]);

        let data = String::from_utf8(world.table.configuration().to_data()).unwrap();
        world.ok("operator", "control.configured", &data.replace("required", "open"));
        assert!(wanted(&world, |_| ()).is_of_nothing());
        let review = wanted(&world, |wanted| {
            wanted.streams.remove("details");
            wanted.streams.insert(StreamName::parse("telemetry").unwrap(), Mode::Upsert);
            wanted.streams.insert(StreamName::parse("faults").unwrap(), Mode::Append);
        });
        assert_eq!(review.changes, ["the stream faults (append) comes: it can be named in offers"]);
        assert!(
            review.losses[0].starts_with("the stream details goes: ")
                && review.losses[2].starts_with("the stream telemetry becomes `mode: upsert`")
        );
        assert_eq!(review.losses[1], "  acme to zenith: 1 share (s3)");
        assert_eq!(review.losses[3], "  acme to zenith: 2 shares (s2, s3)");
        let strict = |wanted: &mut FoldConfiguration| wanted.partnerships = PartnershipNeed::Required;
        assert_eq!(wanted(&world, strict).losses[1], "  no open or live share is concerned");
        let stranger = r#"{"share":"n1","asset":"A","target_tenant":"stranger","streams":["extras"],"profile":"all"}"#;
        world.ok("acme", "share.offered", stranger);
        assert_eq!(wanted(&world, strict).losses[1], "  acme to stranger: 1 share (n1)");
        assert!(wanted(&world, |wanted| wanted.halts_on_unreadable = false).losses[0].contains("perhaps a revoke"));

        world.ok("operator", "control.configured", &data.replace("required", "invited"));
        assert_eq!(wanted(&world, strict).losses[1], "  acme to who is invited: 1 share (i1)");
        let open = wanted(&world, |wanted| wanted.partnerships = PartnershipNeed::Open);
        assert_eq!((open.changes.as_slice(), open.losses.len()), (["partnerships: open, from invited".to_owned()].as_slice(), 0));
    }
}
