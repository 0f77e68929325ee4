//! Gives mails to an SMTP server.

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, Message, SmtpTransport, Transport};

use crate::config::{MailConfig, SmtpTls};

use super::letter::InvitationLetter;

/// Why a mail was not taken. No text has the mail's code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server will never take it, or it can be no mail.
    #[error("the mail is refused: {0}")]
    Refused(String),
    /// Not now.
    #[error("the server puts the mail off: {0}")]
    Deferred(String),
    /// The server cannot be reached, or takes no mail of us at all.
    #[error("the server takes no mail: {0}")]
    Unreachable(String),
}

/// Why mails cannot be sent with this configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SmtpSetupError(String);

/// Sends mails; a test puts its own in place.
pub trait MailSender {
    /// Sends one. When it returns `Ok`, the server has taken it.
    ///
    /// # Errors
    /// It was not taken, as far as is known.
    fn send(&mut self, letter: &InvitationLetter) -> Result<(), SendError>;
}

/// A server, with a connection of its own for each mail.
pub struct SmtpSender {
    transport: SmtpTransport,
    from: Mailbox,
}

/// The longest wait for one answer of the server.
const ANSWER: Duration = Duration::from_secs(30);

impl SmtpSender {
    /// For the server of this configuration. Nothing is asked of it yet.
    ///
    /// # Errors
    /// A key is missing or cannot be right.
    pub fn of(mail: &MailConfig) -> Result<Self, SmtpSetupError> {
        let host = mail.smtp.host.as_deref().ok_or_else(|| missing("mail.smtp.host", "the name of the server that takes mails"))?;
        let from = sender(mail)?;
        let parameters = || TlsParameters::new(host.to_owned()).map_err(|error| SmtpSetupError(format!("TLS cannot begin: {error}")));
        let tls = match mail.smtp.tls {
            SmtpTls::Plain => Tls::None,
            SmtpTls::StartTls => Tls::Required(parameters()?),
            SmtpTls::Wrapped => Tls::Wrapper(parameters()?),
        };
        let mut builder = SmtpTransport::builder_dangerous(host).port(mail.smtp.port).tls(tls).timeout(Some(ANSWER));
        if let Some((user, password)) = &mail.smtp.login {
            let password = String::from_utf8_lossy(password.expose()).into_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self { transport: builder.build(), from })
    }
}

fn missing(key: &str, what: &str) -> SmtpSetupError {
    SmtpSetupError(format!("`{key}` is missing: write {what}"))
}

/// Who mails are from.
///
/// # Errors
/// `mail.from` is missing or no address.
pub fn sender(mail: &MailConfig) -> Result<Mailbox, SmtpSetupError> {
    let from = mail.from.as_deref().ok_or_else(|| missing("mail.from", "`sharing@example.com` or `Sharing <sharing@example.com>`"))?;
    from.parse().map_err(|error| SmtpSetupError(format!("`mail.from` is no address: {error}")))
}

impl MailSender for SmtpSender {
    fn send(&mut self, letter: &InvitationLetter) -> Result<(), SendError> {
        let message = message(letter, &self.from)?;
        self.transport.send(&message).map(drop).map_err(|error| {
            let words = without_code(&in_words(&error), &letter.code);
            let status = error.status().map(u16::from);
            match status {
                // Of the login and of the service, not of this mail.
                Some(421 | 454 | 530 | 534 | 535 | 538) => SendError::Unreachable(words),
                Some(_) if error.is_permanent() => SendError::Refused(words),
                Some(_) => SendError::Deferred(words),
                None => SendError::Unreachable(words),
            }
        })
    }
}

/// The error with what led to it.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        source = inner.source();
    }
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}

/// A server may repeat what it has read.
fn without_code(words: &str, code: &str) -> String {
    if words.to_lowercase().contains(&code.to_lowercase()) {
        "its answer repeats the mail's code and is not shown".to_owned()
    } else {
        words.to_owned()
    }
}

/// The mail as it goes over the wire.
///
/// # Errors
/// The address is none, or the mail cannot be written.
pub fn message(letter: &InvitationLetter, from: &Mailbox) -> Result<Message, SendError> {
    let to: Address =
        letter.to.parse().map_err(|_| SendError::Refused("the invitee's address is none that mail can be sent to".to_owned()))?;
    let header = |name: &'static str, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(letter.subject.as_str())
        .message_id(Some(letter.message_id.clone()))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
        .map_err(|error| SendError::Refused(format!("the mail cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(to: &str, subject: &str) -> InvitationLetter {
        InvitationLetter {
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "text".to_owned(),
            html: "<p>html</p>".to_owned(),
            message_id: "<id@example.com>".to_owned(),
            code: "secretcode".to_owned(),
        }
    }

    #[test]
    fn no_header_is_added_by_what_a_mail_says() {
        let from: Mailbox = "Sharing <s@example.com>".parse().unwrap();
        let sent = message(&letter("a@b.example", "Grüße\r\nBcc: x@y.example"), &from).unwrap().formatted();
        let text = String::from_utf8(sent).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(head.contains("Message-ID: <id@example.com>") && head.contains("Auto-Submitted: auto-generated"), "{head}");
        for to in ["a@b.example\r\nRCPT TO:<x@y.example>", "a@b.example>, <x@y.example", "", "a b@c.example"] {
            assert!(matches!(message(&letter(to, "s"), &from), Err(SendError::Refused(_))), "{to}");
        }
    }

    #[test]
    fn a_code_that_a_server_repeats_is_not_shown() {
        assert!(!without_code("550 blocked https://x/SECRETCODE", "secretcode").to_lowercase().contains("secretcode"));
        assert_eq!(without_code("550 no such user", "secretcode"), "550 no such user");
    }
}
