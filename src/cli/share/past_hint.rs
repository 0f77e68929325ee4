//! After an acceptance that reaches back: the command that fetches the past, which live flow does not.

use std::collections::BTreeMap;

use crate::cli::exit::tell;
use crate::config::Config;
use crate::record::mapping::Mode;
use crate::share::bulk::{Planned, Row};
use crate::time::{TimestampMs, TimestampNs};

/// So many shares are named one by one.
const SHARES_SHOWN: usize = 20;

/// Says how the past of those shares is fetched that were just accepted and reach back. What comes from now on is live flow's.
pub(in crate::cli) fn tell_how(config: &Config, now: TimestampMs, rows: &[Row]) {
    let is_append = |stream: &str| config.stream(stream).is_some_and(|stream| stream.mode == Mode::Append);
    for line in lines(rows, now, is_append) {
        tell!("{line}");
    }
}

fn lines(rows: &[Row], now: TimestampMs, is_append: impl Fn(&str) -> bool) -> Vec<String> {
    let mut groups: BTreeMap<(&str, Option<TimestampNs>), Vec<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| matches!(row.step, Planned::Write { .. })) {
        let Some(past) = &row.reaches_back else { continue };
        // One that begins later has no past.
        if past.from.is_some_and(|from| from >= now.moment()) {
            continue;
        }
        for stream in past.streams.iter().filter(|stream| is_append(stream)) {
            groups.entry((stream.as_str(), past.from)).or_default().push(&row.share);
        }
    }
    if groups.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        "note: the share reaches back (history), and live flow brings what comes from now on. The operator fetches the past:".to_owned(),
    ];
    for ((stream, from), shares) in groups {
        let from = from.map_or_else(|| "1970-01-01T00:00:00Z".to_owned(), |from| from.to_string());
        let command =
            |shares: &str| format!("  sharecast backfill -c CONFIG --stream {stream}{shares} --from {from} --to {}", now.moment());
        if shares.len() > SHARES_SHOWN {
            lines.push(format!("{} ({} shares, each by its own --share)", command(" --share SHARE"), shares.len()));
        } else {
            lines.push(command(&shares.iter().map(|share| format!(" --share {share}")).collect::<String>()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Epoch;
    use crate::json::document::parse;
    use crate::share::bulk::ReachBack;
    use crate::share::bulk::input::{InputRef, Named};

    fn row(share: &str, reaches_back: Option<ReachBack>) -> Row {
        Row {
            named: Named { place: InputRef::Argument, id: share.to_owned(), target_asset: None },
            share: share.to_owned(),
            data: parse(b"{}").unwrap(),
            step: Planned::Write { event: "e".to_owned() },
            parties: ("northwind".to_owned(), "acme".to_owned()),
            asset: None,
            target_asset: None,
            label: None,
            changed_at: Epoch(1),
            before: None,
            after: None,
            standing: String::new(),
            reaches_back,
        }
    }

    fn back(streams: &[&str], from: Option<&str>) -> Option<ReachBack> {
        let from = from.map(|from| TimestampNs::parse_rfc3339(from).unwrap());
        Some(ReachBack { streams: streams.iter().map(|stream| (*stream).to_owned()).collect(), from })
    }

    fn said(rows: &[Row]) -> Vec<String> {
        lines(rows, TimestampMs(1_767_225_600_000), |stream| stream != "details")
    }

    #[test]
    fn each_append_stream_has_its_command_from_where_the_share_begins() {
        let rows = [row("s1", back(&["telemetry", "details", "alarms"], Some("2025-06-01T00:00:00Z"))), row("s2", None)];
        let said = said(&rows);
        assert!(said[0].contains("The operator fetches the past"));
        assert_eq!(
            said[2],
            "  sharecast backfill -c CONFIG --stream telemetry --share s1 --from 2025-06-01T00:00:00Z --to 2026-01-01T00:00:00Z"
        );
        assert!(said[1].contains("--stream alarms") && said.len() == 3);
    }

    #[test]
    fn alike_shares_have_one_command_and_many_are_counted() {
        let few: Vec<Row> = ["s1", "s2"].iter().map(|share| row(share, back(&["telemetry"], None))).collect();
        assert!(said(&few)[1].contains("--share s1 --share s2 --from 1970-01-01T00:00:00Z"));
        let many: Vec<Row> = (0..SHARES_SHOWN + 1).map(|n| row(&format!("s{n}"), back(&["telemetry"], None))).collect();
        assert!(said(&many)[1].ends_with("(21 shares, each by its own --share)"));
    }

    #[test]
    fn what_has_no_past_says_nothing() {
        assert!(said(&[row("s1", None)]).is_empty());
        assert!(said(&[row("s1", back(&["details"], None))]).is_empty());
        assert!(said(&[row("s1", back(&["telemetry"], Some("2027-01-01T00:00:00Z")))]).is_empty());
        assert!(said(&[Row { step: Planned::AlreadySo, ..row("s1", back(&["telemetry"], None)) }]).is_empty());
    }
}
