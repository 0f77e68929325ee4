//! Times: in UTC as the server writes them, in the reader's zone once the script runs; UTC stays in the title.

use maud::{Markup, html};

use crate::time::TimestampNs;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `31 May 2026`.
fn date(text: &str) -> String {
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<usize>().ok()).unwrap_or_default();
    let month = MONTHS.get(number(5..7).wrapping_sub(1)).copied().unwrap_or("?");
    format!("{} {month} {}", number(8..10), text.get(0..4).unwrap_or_default())
}

/// To the minute; midnight is left out.
pub(crate) fn minute(at: TimestampNs) -> Markup {
    let text = at.to_string();
    let clock = text.get(11..16).filter(|clock| *clock != "00:00").map(|clock| format!(", {clock}")).unwrap_or_default();
    html! { time datetime=(text) data-form="minute" title=(text) { (date(&text)) (clock) " UTC" } }
}

/// To the second: of what has just happened.
pub(crate) fn second(at: TimestampNs) -> Markup {
    let text = at.to_string();
    html! { time datetime=(text) data-form="second" title=(text) { (date(&text)) ", " (text.get(11..19).unwrap_or_default()) " UTC" } }
}

/// When something begins: a day where it begins with one.
pub(crate) fn begin(at: TimestampNs) -> Markup {
    let text = at.to_string();
    if !is_midnight(&text) {
        return minute(at);
    }
    html! { time datetime=(text) title=(text) { (date(&text)) " UTC" } }
}

/// The beginning of a window; where both are days the zone is named once, at the end.
fn first_day(starts: TimestampNs, ends: TimestampNs) -> Markup {
    let text = starts.to_string();
    if !is_midnight(&text) || !is_midnight(&ends.to_string()) {
        return begin(starts);
    }
    html! { time datetime=(text) title=(text) { (date(&text)) } }
}

/// When something ends: the last day where it ends with one.
pub(crate) fn end(at: TimestampNs) -> Markup {
    let text = at.to_string();
    let last = TimestampNs::from_nanos(at.nanos() - 1).filter(|_| is_midnight(&text));
    match last {
        Some(last) => html! { time datetime=(text) title={ "before " (text) } { (date(&last.to_string())) " UTC" } },
        None => minute(at),
    }
}

fn is_midnight(text: &str) -> bool {
    text.ends_with("T00:00:00Z")
}

/// From when until when.
pub(crate) fn window(starts: Option<TimestampNs>, ends: Option<TimestampNs>) -> Markup {
    html! {
        @match (starts, ends) {
            (None, None) => { "For good" },
            (None, Some(ends)) => { "Until " (end(ends)) },
            (Some(starts), None) => { "From " (begin(starts)) },
            (Some(starts), Some(ends)) => { (first_day(starts, ends)) " – " (end(ends)) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_name_their_zone_and_keep_utc() {
        let at = TimestampNs::parse_rfc3339("2026-05-31T22:05:09.5Z").unwrap();
        let text = minute(at).into_string();
        assert_eq!(
            text,
            r#"<time datetime="2026-05-31T22:05:09.5Z" data-form="minute" title="2026-05-31T22:05:09.5Z">31 May 2026, 22:05 UTC</time>"#
        );
        assert!(second(at).into_string().contains("31 May 2026, 22:05:09 UTC"));
        assert!(window(None, None).into_string().contains("For good"));
    }

    #[test]
    fn whole_days_are_said_as_days() {
        let at = |text| TimestampNs::parse_rfc3339(text);
        let text = window(at("2026-03-01T00:00:00Z"), at("2026-06-01T00:00:00Z")).into_string();
        let words: String = text.split('<').filter_map(|part| part.split_once('>').map(|(_, words)| words)).collect();
        assert_eq!(words, "1 Mar 2026 – 31 May 2026 UTC");
        assert!(text.contains("before 2026-06-01T00:00:00Z"), "{text}");
    }
}
