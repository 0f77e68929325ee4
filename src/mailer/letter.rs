//! One mail: what is written to whom.

use sha2::{Digest, Sha256};

use crate::config::mail::CODE;
use crate::json::document::parse;
use crate::share::event::invitation_code::CodeHash;
use crate::share::view::mail::Mail;

use super::template::{Escaping, MailTemplate, TemplateFault};

/// The templates of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailTemplates {
    subject: MailTemplate,
    text: MailTemplate,
    html: MailTemplate,
}

/// The files of a folder of templates; one that is missing is the one that is built in.
pub const TEMPLATE_FILES: [&str; 3] = ["subject.txt", "invitation.txt", "invitation.html"];
const BUILT_IN: [&str; 3] =
    [include_str!("templates/subject.txt"), include_str!("templates/invitation.txt"), include_str!("templates/invitation.html")];

impl MailTemplates {
    /// Of the texts of `TEMPLATE_FILES`, where there are any.
    ///
    /// # Errors
    /// The name of the file that is no template, and why.
    pub fn parse(texts: [Option<&str>; 3]) -> Result<Self, (&'static str, TemplateFault)> {
        let read =
            |index: usize| MailTemplate::parse(texts[index].unwrap_or(BUILT_IN[index])).map_err(|fault| (TEMPLATE_FILES[index], fault));
        Ok(Self { subject: read(0)?, text: read(1)?, html: read(2)? })
    }
}

/// A mail as it is to be sent. `Debug` shows neither code nor link.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationLetter {
    /// To whom, as the offer has it.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same in HTML.
    pub html: String,
    /// The same each time that this code is mailed.
    pub message_id: String,
    /// What no log may have.
    pub code: String,
}

impl std::fmt::Debug for InvitationLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InvitationLetter").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

/// So many characters of a subject are read by anybody.
const SUBJECT_CHARS: usize = 200;

/// The mail of an invitation; none if it lacks its address. `link` has `{code}` in it, `domain` is that of the sender.
pub fn compose(mail: &Mail, templates: &MailTemplates, link: Option<&str>, domain: &str) -> Option<InvitationLetter> {
    let (share, code, to) = (mail.text("share")?, mail.text("code")?, mail.text("address")?);
    let link = link.map(|link| link.replace(CODE, &in_url(code)));
    let streams = streams(&mail.value);
    let value = |name: &str| match name {
        "link" => link.as_deref(),
        "streams" => Some(streams.as_str()),
        name => mail.text(name),
    };
    let subject = templates.subject.render(Escaping::Text, value);
    Some(InvitationLetter {
        to: to.to_owned(),
        subject: one_line(&subject),
        text: templates.text.render(Escaping::Text, value),
        html: templates.html.render(Escaping::Html, value),
        message_id: message_id(share, CodeHash::of(code), domain),
        code: code.to_owned(),
    })
}

/// Whatever a value brings, a header is one line.
fn one_line(text: &str) -> String {
    let is_break = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '\u{2028}' | '\u{2029}');
    let words: Vec<&str> = text.split(is_break).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(SUBJECT_CHARS).collect()
}

/// Codes of other makers may have any characters.
fn in_url(code: &str) -> String {
    let mut out = String::new();
    for byte in code.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The code's hash is in it, hashed once more together with the share: who sees a mail's headers cannot look it up.
fn message_id(share: &str, code: CodeHash, domain: &str) -> String {
    let digest = Sha256::digest(format!("mail\0{share}\0{code}").as_bytes());
    let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("<{digits}@{domain}>")
}

fn streams(value: &[u8]) -> String {
    let node = parse(value).ok();
    let list = node.as_ref().and_then(|node| node.get("streams")?.as_list());
    let names = list.unwrap_or_default().iter().filter_map(|stream| stream.as_str());
    names.collect::<Vec<_>>().join(", ")
}

/// An invitation that there is not, to look at templates.
pub fn example() -> Option<Mail> {
    let value = br#"{"share":"example","address":"ann@example.com","owner":"northwind","label":"Excavator 7","message":"For the job in June.\nCall me if anything is unclear.","permission":"view","streams":["telemetry","details"],"starts":"2030-06-01T00:00:00Z","ends":"2030-07-01T00:00:00Z","offer_expires":"2030-05-25T00:00:00Z","code":"abcdefghijklmnopqrstuvwxyz","offered_at":"2030-05-18T09:00:00Z"}"#;
    Mail::read(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://s.example.com/invitation?code={code}";

    fn letter(value: &str, link: Option<&str>) -> InvitationLetter {
        let templates = MailTemplates::parse([None; 3]).unwrap();
        compose(&Mail::read(value.as_bytes()).unwrap(), &templates, link, "example.com").unwrap()
    }

    #[test]
    fn a_mail_says_who_what_and_how() {
        let letter = compose(&example().unwrap(), &MailTemplates::parse([None; 3]).unwrap(), Some(LINK), "example.com").unwrap();
        assert_eq!((letter.to.as_str(), letter.subject.as_str()), ("ann@example.com", "northwind shares Excavator 7 with you"));
        let link = "https://s.example.com/invitation?code=abcdefghijklmnopqrstuvwxyz";
        for part in [&letter.text, &letter.html] {
            for needed in
                ["northwind", "Excavator 7", "Call me", "telemetry, details", "view", "2030-06-01", "2030-07-01", "2030-05-25", link]
            {
                assert!(part.contains(needed), "{needed}: {part}");
            }
            assert!(!part.contains("{{"), "{part}");
        }
        assert!(!format!("{letter:?}").contains("abcdefgh"));
    }

    #[test]
    fn what_an_offer_lacks_is_left_out() {
        let letter =
            letter(r#"{"share":"s","address":"a@b.example","owner":"o","permission":"view","streams":["t"],"code":"a b&c"}"#, None);
        assert_eq!(letter.subject, "o shares a machine's data with you");
        assert!(!letter.text.contains("Until") && !letter.text.contains("http") && letter.text.contains("a b&c"), "{}", letter.text);
        assert!(letter.html.contains("a b&#38;c") && !letter.html.contains("href"), "{}", letter.html);
        let linked = super::tests::letter(r#"{"share":"s","address":"a@b.example","owner":"o","code":"a b&c"}"#, Some(LINK));
        assert!(linked.text.contains("?code=a%20b%26c\n"), "{}", linked.text);
    }

    #[test]
    fn no_value_becomes_a_header_or_markup() {
        let value = r#"{"share":"s","address":"a@b.example","owner":"<img onerror=x>","label":"x\r\nBcc: all@example.com\u2028y\u0000","message":"</blockquote><script>","code":"k"}"#;
        let letter = letter(value, Some(LINK));
        assert_eq!(letter.subject, "<img onerror=x> shares x Bcc: all@example.com y with you");
        assert!(!letter.html.contains("<img") && !letter.html.contains("<script"), "{}", letter.html);
        let long = format!(r#"{{"share":"s","address":"a@b.example","owner":"{}","code":"k"}}"#, "é".repeat(900));
        assert_eq!(super::tests::letter(&long, None).subject.chars().count(), SUBJECT_CHARS);
    }

    #[test]
    fn a_repeat_has_the_same_id_and_another_code_another_one() {
        let of =
            |share: &str, code: &str| letter(&format!(r#"{{"share":"{share}","address":"a@b.example","code":"{code}"}}"#), None).message_id;
        assert_eq!(of("s", "k"), of("s", "k"));
        assert!(of("s", "k") != of("s", "l") && of("s", "k") != of("t", "k"));
        assert!(of("s", "k").ends_with("@example.com>") && !of("s", "k").contains(&CodeHash::of("k").to_string()[..32]));
    }

    #[test]
    fn the_file_that_is_no_template_is_named() {
        assert_eq!(MailTemplates::parse([None, Some("{{code"), None]).unwrap_err().0, "invitation.txt");
        assert!(MailTemplates::parse([Some("Hello"), None, None]).is_ok());
    }
}
