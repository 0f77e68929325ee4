//! What came after the dump and may have taken something away (docs/rules/cli.md#what-a-dump-lacks).

use std::io::{self, Write};

use crate::cli::args::Format;
use crate::cli::output::{print_table, print_values};
use crate::cli::restore::evidence::{Evidence, FoundDocument};
use crate::id::Offset;
use crate::json::writer::object;
use crate::share::table::ShareTable;

/// A share that changed after the dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LostChange<'e> {
    pub(super) share: &'e str,
    /// Its state in the dump; none where the dump does not know it.
    pub(super) dumped: Option<&'static str>,
    /// What its status document says since.
    pub(super) since: &'e FoundDocument,
}

/// What the dump lacks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Loss<'e> {
    /// How it is known, a sentence each.
    pub(super) reasons: Vec<String>,
    /// As far as status documents tell, by share id.
    pub(super) shares: Vec<LostChange<'e>>,
}

impl<'e> Loss<'e> {
    /// What a dump lacks whose last offset is `last`; none where nothing came after it that changed anything.
    ///
    /// A report names an epoch, which may be a tick's. Before `written` the note has told of every change, so only a report after that
    /// says something that the note does not.
    pub(super) fn of(evidence: &'e Evidence, last: Offset, table: &ShareTable) -> Option<Self> {
        let mut reasons = Vec::new();
        match evidence.changed {
            Some(changed) if changed > last => reasons.push(format!("the last event that changed anything has the offset {changed}")),
            Some(_) => {}
            None => reasons.push(
                "how far the log went is not known: the state topic has no note of it (it is missing, of another kafka.group, or of a \
                 version that wrote none)"
                    .to_owned(),
            ),
        }
        let told = evidence.written.or(evidence.changed.map(|changed| Offset(changed.0 + 1))).unwrap_or(Offset(0));
        if let Some(reported) = evidence.reported.filter(|reported| *reported > last && *reported >= told) {
            reasons.push(format!("a worker has reported the offset {reported}, and nothing tells what led to it"));
        }
        let shares: Vec<LostChange<'e>> = evidence
            .newer
            .iter()
            .map(|(share, since)| {
                let dumped = table.share(share).map(|share| share.document().state.word());
                LostChange { share, dumped, since }
            })
            .collect();
        if !shares.is_empty() {
            reasons.push(format!("the status documents of {} shares are of later events", shares.len()));
        }
        (!reasons.is_empty()).then_some(Self { reasons, shares })
    }

    /// On stdout: each share with what it was and what it is.
    pub(super) fn print(&self, format: Format, out: &mut impl Write) -> io::Result<()> {
        let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
        if format != Format::Table {
            return print_values(format, self.shares.iter().map(LostChange::to_json), out);
        }
        if self.shares.is_empty() {
            return Ok(());
        }
        let row = |lost: &LostChange<'_>| {
            let since = lost.since;
            let (owner, target) = (text(since.owner.as_deref()), text(since.target.as_deref()));
            vec![lost.share.to_owned(), owner, target, text(lost.dumped), since.state.clone(), since.epoch.to_string()]
        };
        let rows: Vec<Vec<String>> = self.shares.iter().map(row).collect();
        print_table(&["SHARE", "OWNER", "TARGET", "IN THE DUMP", "SINCE", "OFFSET"], &rows, out)
    }
}

impl LostChange<'_> {
    fn to_json(&self) -> Vec<u8> {
        object(|out| {
            out.text("share", self.share);
            out.text_if("owner", self.since.owner.as_deref());
            out.text_if("target_tenant", self.since.target.as_deref());
            out.text_if("dumped", self.dumped);
            out.text("state", &self.since.state);
            out.number("epoch", self.since.epoch.0);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigEnv};

    fn reasons(evidence: &Evidence, last: i64) -> usize {
        let config = Config::load(&[], &ConfigEnv::none()).unwrap();
        let table = ShareTable::for_documents(config.fold_rules());
        Loss::of(evidence, Offset(last), &table).map_or(0, |loss| loss.reasons.len())
    }

    fn evidence(changed: Option<i64>, written: Option<i64>, reported: Option<i64>) -> Evidence {
        Evidence { changed: changed.map(Offset), written: written.map(Offset), reported: reported.map(Offset), ..Evidence::default() }
    }

    #[test]
    fn ticks_after_the_dump_are_no_loss() {
        assert_eq!(reasons(&evidence(Some(90), Some(200), Some(150)), 100), 0, "before 200 the note would have told");
        assert_eq!(reasons(&evidence(Some(100), Some(101), Some(100)), 100), 0);
        assert_eq!(reasons(&evidence(Some(3), None, Some(90)), 100), 0, "the old log's offset is gone, and the dump goes further");
    }

    #[test]
    fn what_changed_or_may_have_is_a_loss() {
        assert_eq!(reasons(&evidence(Some(101), Some(200), None), 100), 1);
        assert_eq!(reasons(&evidence(Some(90), Some(110), Some(110)), 100), 1, "110 is not told of");
        assert_eq!(reasons(&evidence(Some(90), None, Some(101)), 100), 1, "nothing says that 101 was a tick");
        assert_eq!(reasons(&evidence(None, Some(200), None), 100), 1, "no note");
        let document = FoundDocument { epoch: Offset(101), owner: None, target: None, state: "REVOKED".to_owned() };
        let newer = [("s".to_owned(), document)].into();
        assert_eq!(reasons(&Evidence { newer, ..evidence(Some(100), Some(200), None) }, 100), 1);
    }
}
