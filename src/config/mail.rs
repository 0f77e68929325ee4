//! Mails to those who are invited: their sender, the server that takes them, and the link in them.

use std::path::PathBuf;

use super::Secret;
use super::engine;
use super::written::{ConfigValue, Findings};

/// `mail`, and `invitations.link`.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// Who mails are from: an address, or `Name <address>`.
    pub from: Option<String>,
    /// The server that takes them.
    pub smtp: SmtpConfig,
    /// A folder with templates in place of those that are built in.
    pub templates: Option<PathBuf>,
    /// Where the invited accept, with `{code}` in it.
    pub link: Option<String>,
}

/// `mail.smtp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpConfig {
    /// The server's name.
    pub host: Option<String>,
    /// Its port.
    pub port: u16,
    /// How the connection is kept private.
    pub tls: SmtpTls,
    /// Name and password, where the server asks for them.
    pub login: Option<(String, Secret)>,
}

/// `mail.smtp.tls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// Not at all.
    Plain,
    /// From the command STARTTLS on; a server that does not offer it gets no mail.
    StartTls,
    /// From the first byte on.
    Wrapped,
}

impl SmtpTls {
    /// The port that is usual.
    fn port(self) -> u16 {
        match self {
            Self::Plain => 25,
            Self::StartTls => 587,
            Self::Wrapped => 465,
        }
    }
}

/// What stands in a link in place of the code.
pub const CODE: &str = "{code}";
/// The console's page that a link leads to.
const CONSOLE_PAGE: &str = "/invitation?code={code}";

/// Resolves `mail` and `invitations`; `public_url` is that of the console.
pub(super) fn resolve(root: &ConfigValue, public_url: Option<&str>, findings: &mut Findings) -> MailConfig {
    let text = |key: &str| root.at(key).and_then(ConfigValue::as_text).map(str::to_owned);
    let tls = match engine::word(root, "mail.smtp.tls") {
        Some("none") => SmtpTls::Plain,
        Some("tls") => SmtpTls::Wrapped,
        _ => SmtpTls::StartTls,
    };
    MailConfig {
        from: from(root, findings),
        smtp: SmtpConfig {
            host: text("mail.smtp.host"),
            port: engine::whole_or(root, "mail.smtp.port", i64::from(tls.port())) as u16,
            tls,
            login: login(root, tls, findings),
        },
        templates: text("mail.templates").map(PathBuf::from),
        link: link(root, findings).or_else(|| public_url.map(|url| format!("{url}{CONSOLE_PAGE}"))),
    }
}

fn from(root: &ConfigValue, findings: &mut Findings) -> Option<String> {
    let value = root.at("mail.from")?;
    let text = value.as_text()?;
    let address = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    let is_address = address.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if !is_address || address.contains(char::is_whitespace) || text.contains(char::is_control) {
        findings.error(value.spot, "`mail.from` is no address", "write `sharing@example.com` or `Sharing <sharing@example.com>`");
    }
    Some(text.to_owned())
}

fn login(root: &ConfigValue, tls: SmtpTls, findings: &mut Findings) -> Option<(String, Secret)> {
    let (user, password) = (root.at("mail.smtp.user"), root.at("mail.smtp.password"));
    let (user, password) = match (user, password) {
        (None, None) => return None,
        (Some(user), Some(password)) => (user, password),
        (Some(alone), None) | (None, Some(alone)) => {
            let what = "`mail.smtp.user` and `mail.smtp.password` go together";
            findings.error(alone.spot, what, "write both, the password better in a file: `password: ${file:PATH}`, or neither");
            return None;
        }
    };
    if tls == SmtpTls::Plain {
        findings.warn(user.spot, "`mail.smtp.tls: none` sends the password in the clear", "write `starttls` or `tls`");
    }
    Some((user.as_text()?.to_owned(), Secret(password.as_text()?.trim_end_matches(['\r', '\n']).to_owned())))
}

fn link(root: &ConfigValue, findings: &mut Findings) -> Option<String> {
    let value = root.at("invitations.link")?;
    let text = value.as_text()?;
    let is_web = ["https://", "http://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    if !is_web || !text.contains(CODE) || text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c)) {
        let instead = "write for example `https://portal.example.com/accept?code={code}`; the code takes the place of `{code}`";
        findings.error(value.spot, "`invitations.link` is no address with `{code}` in it", instead);
        return None;
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigEnv};

    fn load(text: &str) -> Result<Config, String> {
        Config::load(&[("c.yaml", text)], &ConfigEnv::none()).map_err(|errors| errors.to_string())
    }

    #[test]
    fn ports_follow_the_way_of_tls_and_links_the_console() {
        for (tls, way, port) in [("none", SmtpTls::Plain, 25), ("starttls", SmtpTls::StartTls, 587), ("tls", SmtpTls::Wrapped, 465)] {
            let mail = load(&format!("mail: {{ smtp: {{ host: h, tls: {tls} }} }}\n")).unwrap().mail;
            assert_eq!((mail.smtp.tls, mail.smtp.port, mail.link), (way, port, None));
        }
        let mail = load("api: { public_url: \"https://s.example.com/\" }\nmail: { smtp: { port: 2525 } }\n").unwrap().mail;
        assert_eq!((mail.smtp.tls, mail.smtp.port), (SmtpTls::StartTls, 2525));
        assert_eq!(mail.link.as_deref(), Some("https://s.example.com/invitation?code={code}"));
        let mail = load("api: { public_url: \"https://s\" }\ninvitations: { link: \"https://p/{code}\" }\n").unwrap().mail;
        assert_eq!(mail.link.as_deref(), Some("https://p/{code}"));
    }

    #[test]
    fn what_is_wrong_is_said_and_no_password_is_shown() {
        for (text, place, what) in [
            ("mail: { from: nobody }\n", "1:15", "`mail.from` is no address"),
            ("mail: { from: \"a@b\\r\\nBcc: x@y\" }\n", "1:15", "`mail.from` is no address"),
            ("mail: { smtp: { password: hunter2 } }\n", "1:27", "go together"),
            ("mail: { smtp: { user: u } }\n", "1:23", "go together"),
            ("mail: { smtp: { port: 0 } }\n", "1:23", "`mail.smtp.port` cannot be"),
            ("invitations: { link: \"https://p/\" }\n", "1:22", "`{code}`"),
            ("invitations: { link: \"javascript:{code}\" }\n", "1:22", "`{code}`"),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.starts_with(&format!("c.yaml:{place}: ")) && error.contains(what), "{text}{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let config = load("mail: { smtp: { user: u, password: hunter2, tls: none } }\n").unwrap();
        assert!(config.warnings[0].to_string().contains("in the clear") && !format!("{config:?}").contains("hunter2"));
    }
}
