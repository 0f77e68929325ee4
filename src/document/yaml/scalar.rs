//! What a scalar is by its text and style.

use crate::document::DocumentKind;

/// A plain scalar by the core schema, numbers by the grammar of JSON.
pub(super) fn plain(text: &str) -> DocumentKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => DocumentKind::Null,
        "true" | "True" | "TRUE" => DocumentKind::Bool(true),
        "false" | "False" | "FALSE" => DocumentKind::Bool(false),
        _ if is_json_number(text.as_bytes()) => DocumentKind::Number(text.to_owned()),
        _ => DocumentKind::String(text.to_owned()),
    }
}

/// `-? (0 | [1-9] digits) (. digits)? ([eE] [+-]? digits)?`, RFC 8259 section 6.
fn is_json_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = count_digits(text);
    if whole == 0 || (whole > 1 && text[0] == b'0') {
        return false;
    }
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = count_digits(fraction);
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        return !exponent.is_empty() && count_digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

fn count_digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}
