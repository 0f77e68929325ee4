//! Status topics after a loss: documents of shares that the restored log does not know, or knows otherwise, are taken back or written
//! again (docs/rules/cli.md#what-a-dump-lacks).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::exit::{Exit, Failure, client_failure};
use crate::cli::restore::evidence::FoundDocument;
use crate::config::Config;
use crate::id::{Offset, TenantId};
use crate::kafka::{Admin, BulkRecord, BulkWriter, KafkaSettings};
use crate::share::status::Audience;
use crate::share::table::ShareTable;
use crate::time::TimestampMs;
use crate::topic::OwnTopics;

/// By topic: share ids, each with its document, or none where it is taken back.
pub(super) type Amendments = BTreeMap<String, Vec<(String, Option<Vec<u8>>)>>;

/// What is to be written, for a table of which everything from `rewritten_from` on is still to be written by the status writer.
pub(super) fn amendments(
    newer: &BTreeMap<String, FoundDocument>,
    table: &ShareTable,
    rewritten_from: Offset,
    names: &OwnTopics,
) -> Amendments {
    let mut all = Amendments::new();
    let mut put = |topic: Option<String>, share: &str, document: Option<Vec<u8>>| {
        topic.into_iter().for_each(|topic| all.entry(topic).or_default().push((share.to_owned(), document.clone())));
    };
    let topic_of = |tenant: Option<&str>| tenant.and_then(|id| TenantId::parse(id).ok()).map(|tenant| names.status(&tenant));
    for (share, found) in newer {
        let Some(view) = table.share(share) else {
            for topic in [topic_of(found.owner.as_deref()), topic_of(found.target.as_deref()), Some(names.invitations.clone())] {
                put(topic, share, None);
            }
            put(Some(names.shares.clone()), share, None);
            continue;
        };
        let document = view.document();
        if found.target.as_deref() != document.target_tenant {
            put(topic_of(found.target.as_deref()), share, None);
        }
        // The status writer writes what is changed by the events that were appended.
        if view.changed_at().0 < rewritten_from.0 {
            let (whole, targets) = (view.to_json(Audience::Owner), view.to_json(Audience::Target));
            put(topic_of(Some(document.owner)), share, Some(whole.clone()));
            put(topic_of(document.target_tenant), share, Some(targets));
            put(Some(names.shares.clone()), share, Some(whole));
        }
    }
    all
}

/// Writes them, and returns how many documents are taken back or written again. `sharecast.shares` comes last: from it a run that is
/// repeated learns what there is to do.
pub(super) fn write(config: &Config, mut all: Amendments, now: TimestampMs, patience: Duration) -> Result<u64, Failure> {
    let kafka = KafkaSettings::of(&config.kafka);
    let admin = Admin::open(&kafka, patience).map_err(client_failure)?;
    let last = all.remove_entry(&config.topics.shares);
    let mut count = 0;
    for (topic, documents) in all.into_iter().chain(last) {
        // Where there is no topic there is no document.
        if admin.topic(&topic).map_err(client_failure)?.is_none() {
            continue;
        }
        let records: Vec<BulkRecord<'_>> = documents
            .iter()
            .map(|(share, value)| BulkRecord { key: Some(share.as_bytes()), value: value.as_deref(), timestamp: Some(now), headers: &[] })
            .collect();
        let mut writer = BulkWriter::open(&kafka, &topic, patience).map_err(client_failure)?;
        let written = writer.append_records(&records);
        written.map_err(|unwritten| Failure::new(Exit::Unavailable, format!("{topic}: {unwritten}")))?;
        count += records.len() as u64;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigEnv;
    use crate::share::event;

    #[test]
    fn what_the_table_does_not_know_is_taken_back_everywhere_and_what_it_knows_otherwise_is_written_again() {
        let config = Config::load(&[], &ConfigEnv::none()).unwrap();
        let mut table = ShareTable::for_documents(config.fold_rules());
        let events = [
            ("/operator", "partnership.established", r#"{"tenants":["o","t"]}"#),
            ("/tenants/o", "share.offered", r#"{"share":"kept","asset":"a","target_tenant":"t","streams":["telemetry"],"profile":"all"}"#),
            ("/tenants/o", "share.offered", r#"{"share":"open","asset":"b","invitee":"x@y.z","streams":["telemetry"],"profile":"all"}"#),
            ("/tenants/o", "share.offered", r#"{"share":"shut","asset":"c","target_tenant":"t","streams":["telemetry"],"profile":"all"}"#),
        ];
        for (at, (source, kind, data)) in events.iter().enumerate() {
            let text = format!(r#"{{"specversion":"1.0","id":"e{at}","source":"{source}","type":"sharecast.{kind}.v1","data":{data}}}"#);
            table.fold(Offset(at as i64), TimestampMs(0), event::read_structured(text.as_bytes()));
        }
        let found = |target: &str| FoundDocument {
            epoch: Offset(9),
            owner: Some("o".to_owned()),
            target: Some(target.to_owned()),
            state: "ACTIVE".to_owned(),
        };
        let newer: BTreeMap<String, FoundDocument> =
            [("kept", "t"), ("open", "u"), ("shut", "t"), ("lost", "t")].map(|(share, target)| (share.to_owned(), found(target))).into();
        // The last one is still to be written: it stands for one that was closed.
        let names = OwnTopics::standard();
        let all = amendments(&newer, &table, Offset(3), &names);
        let shape = |topic: &str| -> Vec<(&str, bool)> {
            all.get(topic).into_iter().flatten().map(|(share, document)| (share.as_str(), document.is_some())).collect()
        };
        assert_eq!(shape(&names.shares), [("kept", true), ("lost", false), ("open", true)]);
        assert_eq!(shape("share.o.shares"), [("kept", true), ("lost", false), ("open", true)]);
        assert_eq!(shape("share.t.shares"), [("kept", true), ("lost", false)]);
        assert_eq!(shape("share.u.shares"), [("open", false)], "who had accepted it is not bound any more");
        assert_eq!(shape(&names.invitations), [("lost", false)]);
        let of_target = all["share.t.shares"][0].1.as_ref().unwrap();
        assert!(!String::from_utf8_lossy(of_target).contains(r#""asset""#), "the owner's own id is not the target's to see");
    }
}
