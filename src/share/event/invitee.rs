//! An invitee: one mail address, by a grammar that the fold and the command line ask alike.

/// Why a text is no address, in words that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAddress(&'static str);

/// The longest address, in bytes.
const LONGEST: usize = 254;
/// What begins a second address, a comment, a quotation or a name beside the address.
const SPECIAL: &[char] = &[',', ';', '<', '>', '"', '(', ')'];

/// Whether this is one address: a local part, one `@`, and a domain of two or more labels between single dots, or `localhost`.
///
/// # Errors
/// What it breaks.
pub fn check(text: &str) -> Result<(), NoAddress> {
    let no = |why| Err(NoAddress(why));
    if text.is_empty() {
        return no("is empty; write one address such as ann@example.com");
    }
    if text.len() > LONGEST {
        return no("is longer than 254 bytes");
    }
    if text.chars().any(char::is_control) {
        return no("has a control character, such as a line end");
    }
    if text.chars().any(char::is_whitespace) {
        return no("has white space; write one address such as ann@example.com");
    }
    if text.contains(SPECIAL) {
        return no("has one of , ; < > \" ( ): write one address alone, such as ann@example.com");
    }
    let Some((local, domain)) = text.split_once('@') else { return no("has no @") };
    if domain.contains('@') {
        return no("has two @: write one address");
    }
    if local.is_empty() {
        return no("has nothing before its @");
    }
    if domain != "localhost" && !(domain.contains('.') && domain.split('.').all(|label| !label.is_empty())) {
        return no("has no domain of two or more names between single dots after its @, such as example.com");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Character by character, without looking at how `check` does it.
    fn model(text: &str) -> bool {
        let bad = |c: char| c.is_whitespace() || c.is_control() || ",;<>\"()".contains(c);
        let at: Vec<usize> = text.char_indices().filter(|(_, c)| *c == '@').map(|(at, _)| at).collect();
        let &[at] = at.as_slice() else { return false };
        let domain = &text[at + 1..];
        let mut labels = vec![0usize];
        for c in domain.chars() {
            if c == '.' { labels.push(0) } else { *labels.last_mut().unwrap() += 1 }
        }
        (3..=254).contains(&text.len())
            && !text.chars().any(bad)
            && at > 0
            && (domain == "localhost" || labels.len() >= 2 && labels.iter().all(|length| *length > 0))
    }

    #[test]
    fn one_address_is_one_address() {
        for good in ["a@b.c", "Ann.O'Neil+x@Mail.Example.com", "root@localhost", "jürgen@bücher.example", "a..b@c.d", "a@-.-"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b.c",
            "a@b",
            "a@b.",
            "a@.b",
            "a@b..c",
            "a@@b.c",
            "a@b.c@d.e",
            "a@b.c,d@e.f",
            "a@b.c;",
            "<a@b.c>",
            "Ann <a@b.c>",
            "a@b.c\nBcc: d@e.f",
            "a@b.c\r",
            " a@b.c",
            "a@b.c\u{a0}",
            "a@b\u{2003}.c",
            "a@b.c\u{85}",
            "\"a\"@b.c",
            "a(x)@b.c",
            "a@LOCALHOST",
            "a@localhost.",
            "a\u{0}@b.c",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        let longest = format!("{}@b.c", "a".repeat(250));
        assert_eq!((check(&longest), longest.len()), (Ok(()), 254));
        assert!(check(&format!("a{longest}")).is_err());
        assert!(check(&format!("{}@b.c", "é".repeat(126))).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn it_is_what_the_rule_says(text in "[ab@.,;<>\"() \\n\u{a0}\u{200b}é]{0,8}|[ab]{1,2}@(localhost|[ab.]{1,6})") {
            prop_assert_eq!(check(&text).is_ok(), model(&text), "{:?}", text);
        }
    }
}
