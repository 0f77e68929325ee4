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

/// From when until when.
pub(crate) fn window(starts: Option<TimestampNs>, ends: Option<TimestampNs>) -> Markup {
    html! {
        @if let Some(starts) = starts { (minute(starts)) " " }
        "– "
        @match ends {
            Some(ends) => { (minute(ends)) },
            None => { "for good" },
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
        assert!(window(None, None).into_string().contains("– for good"));
    }
}
