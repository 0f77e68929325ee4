//! Values of arguments: what cannot be one is refused before anything is asked or written, with the rule that it breaks.

use std::ffi::OsString;
use std::time::Duration;

use crate::id::{AssetId, EventId, InvalidId, ProfileName, ShareId, StreamName, TenantId};
use crate::share::event::write_token::WriteToken;
use crate::time::Period;

/// A share's id.
pub fn share(text: &str) -> Result<String, String> {
    id(text, ShareId::parse)
}

/// An asset's id, the owner's or the target's.
pub fn asset(text: &str) -> Result<String, String> {
    id(text, AssetId::parse)
}

/// A stream's name.
pub fn stream(text: &str) -> Result<String, String> {
    id(text, StreamName::parse)
}

/// A sharing profile's name.
pub fn profile(text: &str) -> Result<String, String> {
    id(text, ProfileName::parse)
}

/// An event's id.
pub fn event(text: &str) -> Result<String, String> {
    id(text, EventId::parse)
}

/// A tenant's id, as text.
pub fn tenant_name(text: &str) -> Result<String, String> {
    id(text, TenantId::parse)
}

fn id<I: ToString>(text: &str, parse: impl FnOnce(&str) -> Result<I, InvalidId>) -> Result<String, String> {
    parse(text).map(|id| id.to_string()).map_err(|error| format!("{error}{}", hint(text)))
}

/// What was meant, where that can be seen.
pub fn hint(text: &str) -> &'static str {
    if text.is_empty() {
        "; it is empty"
    } else if text.trim() != text {
        "; there is a blank around it"
    } else if text.contains(['*', '?']) {
        "; it names one: a list of many can be read from a file"
    } else if text.contains(',') {
        "; several are given one by one"
    } else {
        ""
    }
}

/// What a write that timed out said.
pub fn token(text: &str) -> Result<WriteToken, String> {
    let rule = "write the 26 letters and digits that the message of the write that timed out gives after --repeat";
    WriteToken::parse(text).ok_or_else(|| rule.to_owned())
}

/// How long is waited. The Kafka client counts milliseconds in 31 bits.
pub fn duration(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(24 * 24 * 60 * 60);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let has_unit = ["ms", "s", "m", "h", "d"].iter().any(|unit| text.strip_suffix(unit).is_some_and(is_number));
    match Period::parse(text).map(|span| Duration::from_millis(span.millis())) {
        Some(span) if span.is_zero() => Err("it must be longer than nothing".to_owned()),
        Some(span) if span <= LONGEST => Ok(span),
        None if !has_unit => Err("write a whole number and ms, s, m, h or d, as in 30s".to_owned()),
        _ => Err("it is longer than 24d".to_owned()),
    }
}

/// A text that must say something.
pub fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// Options that hold for the whole line, and may stand before or after the subcommand. clap takes the last of two without a word.
const GLOBAL: [(&str, &[&str]); 5] = [
    ("as", &["--as"]),
    ("event-id", &["--event-id"]),
    ("repeat", &["--repeat"]),
    ("timeout", &["--timeout"]),
    ("output", &["--output", "-o"]),
];

/// Refuses a line that gives one of them two values.
pub fn refuse_twice(args: &[OsString]) -> Result<(), String> {
    let words: Vec<String> = args.iter().map_while(|arg| arg.to_str().filter(|word| *word != "--").map(str::to_owned)).collect();
    // There `--output` says where records go, and `-o` how the result is printed; clap refuses each of them twice.
    if subcommand(&words) == Some("backfill") {
        return Ok(());
    }
    for (name, spellings) in GLOBAL {
        let mut values = words.iter().enumerate().filter_map(|(at, word)| value_of(word, words.get(at + 1), spellings));
        if let Some(first) = values.next()
            && let Some(other) = values.find(|other| *other != first)
        {
            return Err(format!("--{name} is given twice, as '{}' and as '{}': which one?", first.escape_debug(), other.escape_debug()));
        }
    }
    Ok(())
}

/// The first word that is no option and no value of one that may stand before the subcommand.
fn subcommand(words: &[String]) -> Option<&str> {
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-c" | "--config" => drop(rest.next()),
            option if option.starts_with('-') => {}
            name => return Some(name),
        }
    }
    None
}

/// Every value that the line gives an option which may stand before and after the subcommand, and be repeated. clap takes those of one
/// place alone, without a word.
pub fn all_of(args: &[OsString], spellings: &[&str]) -> Vec<String> {
    let words: Vec<String> = args.iter().map_while(|arg| arg.to_str().filter(|word| *word != "--").map(str::to_owned)).collect();
    let of = |(at, word): (usize, &String)| value_of(word, words.get(at + 1), spellings).map(str::to_owned);
    words.iter().enumerate().filter_map(of).collect()
}

/// What an option's word, or the one after it, gives; none of a word that is no such option.
fn value_of<'w>(word: &'w str, next: Option<&'w String>, spellings: &[&str]) -> Option<&'w str> {
    spellings.iter().find_map(|spelling| {
        let rest = word.strip_prefix(spelling)?;
        let is_short = !spelling.starts_with("--");
        match rest.strip_prefix('=') {
            Some(value) => Some(value),
            None if rest.is_empty() => next.map(String::as_str),
            None => Some(rest).filter(|_| is_short),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_an_id_is_told_why() {
        let long = "x".repeat(129);
        for (text, hinted) in
            [("u1,u2", "one by one"), ("*", "it names one"), (" u1", "a blank"), ("u1\n", "a blank"), ("", "empty"), (&long, "")]
        {
            for parse in [share, profile, event] {
                let refused = parse(text).unwrap_err();
                assert!(refused.contains("1 to 128 of") && refused.ends_with(hinted) | refused.contains(hinted), "{text:?}: {refused}");
            }
        }
        assert!(asset("a\u{7}").is_err() && asset("").is_err() && asset(" a, b*").is_ok(), "an asset's id is its owner's affair");
        assert!(stream("Telemetry").is_err() && stream("").is_err() && tenant_name("a.b").is_err());
        assert_eq!(share("u1").as_deref(), Ok("u1"));
    }

    #[test]
    fn a_duration_has_a_unit_and_lasts() {
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        for text in ["", "2", "-2s", "2 s", "2w", "s"] {
            assert!(duration(text).is_err_and(|why| why.contains("a whole number")), "{text}");
        }
        assert!(duration("0s").is_err_and(|why| why.contains("longer than nothing")));
        // What the Kafka client cannot count would be waited for without an end.
        for text in ["25d", "400000d", "99999999999999999999d"] {
            assert!(duration(text).is_err_and(|why| why.contains("longer than 24d")), "{text}");
        }
        assert!(duration("24d").is_ok());
    }

    #[test]
    fn a_repeated_option_is_collected_wherever_it_stands() {
        let args: Vec<OsString> = "sharecast -c a share --config=b list -cc -c=d -- -c e".split(' ').map(OsString::from).collect();
        assert_eq!(all_of(&args, &["--config", "-c"]), ["a", "b", "c", "d"]);
    }

    #[test]
    fn two_values_of_one_option_are_refused_wherever_they_stand() {
        let refused = |line: &str| refuse_twice(&line.split(' ').map(OsString::from).collect::<Vec<_>>()).err();
        for line in [
            "sharecast share --as a revoke s --as b",
            "sharecast share --as=a revoke s --as b",
            "sharecast share -o json list --output table",
            "sharecast share -ojson list -o=table",
            "sharecast share --timeout 2s list --timeout 3s",
            "sharecast share --event-id a revoke s --event-id b",
        ] {
            assert!(refused(line).is_some_and(|what| what.contains("is given twice")), "{line}");
        }
        for line in [
            "sharecast share --as a revoke s --as a",
            "sharecast share list --asset --as",
            "sharecast share list --asset a --asset b -o json",
            "sharecast share --as a revoke -- --as b",
            "sharecast -c a backfill --output dir:b -o json",
        ] {
            assert_eq!(refused(line), None, "{line}");
        }
    }
}
