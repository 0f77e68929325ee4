//! What the parser found wrong, in the words of who writes configuration and profiles, with what to write instead.

use super::YamlError;
use crate::document::TextPosition;

/// `info` is the parser's own word. Nothing of the text is repeated.
pub(super) fn explained(info: &str, text: &str, place: TextPosition) -> YamlError {
    let after = text.lines().nth(place.line as usize).unwrap_or_default();
    // Of a line that goes on below the parser knows only where it began.
    let place = if info.contains("tab") && is_indented_by_tab(after) { TextPosition { line: place.line + 1, column: 1 } } else { place };
    YamlError { what: in_words(info, text, place), place, other: None }
}

fn in_words(info: &str, text: &str, place: TextPosition) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let at = (place.line as usize).saturating_sub(1);
    let line = lines.get(at).copied().unwrap_or_default();
    // The parser often notices one line later than the slip.
    let above = lines[..at.min(lines.len())].iter().rev().find(|line| !line.trim().is_empty()).copied().unwrap_or_default();
    if [line, above].into_iter().any(is_indented_by_tab) || info.contains("tab") {
        return "a tab where YAML takes blanks only: indent by blanks".to_owned();
    }
    let advice = match info {
        _ if has_bare_path(line) || has_bare_path(above) && info.contains("flow") => {
            "a path with brackets must be in quotes here: ['$.a[*]'], or [\"$.a[?@.name=='x']\"] where it has quotes itself"
        }
        _ if info.contains("quoted scalar") && ["unexpected end", "indentation", "document"].iter().any(|word| info.contains(word)) => {
            "a quote is opened and not closed"
        }
        _ if info.contains("unknown escape") => "in double quotes a \\ begins an escape: write \\\\, or use single quotes",
        _ if info.contains("trailing content") => "there is text after the closing quote: put the whole value in quotes",
        _ if info.contains("mapping values are not allowed") => {
            "a `: ` inside a value, or a line that is indented deeper than those beside it: put the value in quotes, or align the line"
        }
        _ if info.contains("',' or ']'") => {
            "a list that is begun with [ lacks a comma or its ]: a text with [ ] { } , or : in it needs quotes"
        }
        _ if info.contains("',' or '}'") => {
            "a map that is begun with { lacks a comma or its }: a text with [ ] { } , or : in it needs quotes"
        }
        _ if info.contains("illegal placement of ':'") => {
            "a : where none can be: a list or map that is begun with [ or { is not closed, or a text with a : in it needs quotes"
        }
        _ if info.contains("misplaced bracket") => "a ] or } without its [ or {: a text with one of them needs quotes",
        _ if info.contains("mapping keys") || info.contains("cannot start with") => "a text that begins with ? or - needs quotes",
        _ if info.contains("flow construct") => {
            "a list or map that is begun with [ or { is not closed, or goes on less indented than it began"
        }
        _ if info.contains("did not find expected key") || info.contains("simple key expect") => {
            "a line is no `key: value` or is not indented like those beside it, or a [ or { above is not closed"
        }
        _ if info.contains("expected '-'") || info.contains("block sequence entries") => {
            "the entries of a list must be indented alike, each beginning with `- `"
        }
        _ if info.contains("indentation") || info.contains("wrongly indented") => "a line is not indented like those beside it",
        _ if info.contains("unknown anchor") => "a text that begins with * needs quotes: to YAML it is an alias",
        _ if info.contains("anchor or alias") => "a text that begins with * or & needs quotes",
        _ if info.contains("unexpected character") => "a text that begins with one of @ ` % needs quotes",
        _ if info.contains("tag") => "a text that begins with ! needs quotes: to YAML it is a tag",
        _ if info.contains("unprintable") => "a control character: write it as an escape in double quotes",
        _ => return info.to_owned(),
    };
    format!("{advice} ({info})")
}

fn is_indented_by_tab(line: &str) -> bool {
    line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t')
}

/// A path with brackets outside quotes.
fn has_bare_path(line: &str) -> bool {
    let mut quote = None;
    let mut in_path = false;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '[') if in_path => return true,
            (None, '"' | '\'') => quote = Some(c),
            (None, '$') => in_path = true,
            (None, ',' | ' ' | ']' | '}') => in_path = false,
            (None, '#') => return false,
            (None, _) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use crate::document::yaml::parse;

    #[test]
    fn each_slip_is_said_with_what_to_write() {
        for (text, words, line) in [
            ("t:\n  include: [$.metrics[?@.name=='x']]\n", "must be in quotes", 2),
            ("t:\n  include: [$.a, $.b[*]]\n", "must be in quotes", 2),
            ("t:\n  transform:\n    - { path: $.a[*], round: 1 }\n", "must be in quotes", 3),
            ("t:\n\tinclude: [$.a]\n", "indent by blanks", 2),
            ("t:\n  a: 1\n\tb: 2\n", "indent by blanks", 3),
            ("a: 'x\nb: 1\n", "not closed", 0),
            ("a: \"\\d\"\n", "single quotes", 1),
            ("a: b: c\n", "in quotes", 1),
            ("a: [x\nb: 1\n", "[", 0),
            ("a: {x: 1\nb: 1\n", "{", 0),
            ("a:\n  b: 1\n c: 2\n", "indented", 0),
            ("a: @x\n", "needs quotes", 1),
            ("a: *x\n", "needs quotes", 1),
            ("a:\n  - x\n - y\n", "indented", 0),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.what.contains(words), "{text:?}: {}", error.what);
            assert!(line == 0 || error.place.line == line, "{text:?}: {:?}", error.place);
        }
    }

    #[test]
    fn what_is_quoted_or_in_a_block_needs_nothing() {
        for text in
            ["t: ['$.a[*]', \"$.m[?@.name=='x']\"]\n", "t:\n  - $.a[*]\n  - $.m[?@.name=='x']\n", "t: { path: '$.a[*]', round: 1 }\n"]
        {
            assert!(parse(text).is_ok(), "{text:?}");
        }
    }
}
