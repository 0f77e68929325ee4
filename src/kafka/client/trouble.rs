//! What librdkafka said last of its connections: a question that is not answered ends in a time-out, whose reason was told before.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode as Code;

use crate::kafka::client::Deadline;
use crate::kafka::client::failure;

/// So long a reason explains a time-out. librdkafka repeats one that lasts every half a minute.
const FRESH: Duration = Duration::from_secs(60);

/// What one client heard.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// The last reason of any kind.
    last: Option<(String, Deadline)>,
    /// The last refusal of a login: what other brokers say then explains less.
    login: Option<(String, Deadline)>,
}

/// Why a client has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Connection {
    /// The cluster does not let it in.
    LoginRefused(String),
    /// Host unknown, connection refused, TLS against plain text, and the like.
    Unreachable(String),
}

impl Trouble {
    /// Notes an error of the whole client.
    pub(super) fn hear(&self, code: Code, words: &str) {
        // That all brokers are down says nothing of the reason, which came before.
        if code == Code::AllBrokersDown {
            return;
        }
        let entry = Some((reason(words).to_owned(), Deadline::after(FRESH)));
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_refused_login(code, words) {
            heard.login = entry;
        } else {
            heard.last = entry;
        }
    }

    /// Notes a log line. A connection that breaks is told of only there.
    pub(super) fn hear_line(&self, facility: &str, line: &str) {
        if facility == "FAIL" {
            self.hear(Code::BrokerTransportFailure, line);
        }
    }

    /// What explains that there is no answer now.
    pub(super) fn why(&self) -> Option<Connection> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh =
            |entry: &Option<(String, Deadline)>| entry.as_ref().filter(|(_, until)| !until.has_passed()).map(|(words, _)| words.clone());
        fresh(&heard.login).map(Connection::LoginRefused).or_else(|| fresh(&heard.last).map(Connection::Unreachable))
    }
}

/// A certificate is a login too: the other side does not know it, or it is not the other side that was meant.
fn is_refused_login(code: Code, words: &str) -> bool {
    failure::is_login(code) || code == Code::SSL && ["certificate", " alert "].iter().any(|part| words.contains(part))
}

/// A line without the name of its thread, how long it took, and where the source of TLS has it.
fn reason(line: &str) -> &str {
    let line = line.trim();
    let line = line.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")).map_or(line, |(_, rest)| rest);
    let line = line.rsplit_once(" (after ").map_or(line, |(rest, _)| rest);
    line.trim_end_matches([':', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reason_explains_and_a_refused_login_explains_more() {
        let trouble = Trouble::default();
        assert_eq!(trouble.why(), None);
        trouble.hear(
            Code::Resolve,
            "nohost:9092/bootstrap: Failed to resolve 'nohost:9092': Name or service not known (after 3ms in state CONNECT)",
        );
        trouble.hear(Code::AllBrokersDown, "1/1 brokers are down");
        let unknown = "nohost:9092/bootstrap: Failed to resolve 'nohost:9092': Name or service not known";
        assert_eq!(trouble.why(), Some(Connection::Unreachable(unknown.to_owned())));
        trouble.hear(Code::Authentication, "sasl_ssl://b:1/1: SASL authentication error: no (after 1ms in state AUTH_REQ)");
        trouble.hear_line("FAIL", "[thrd:b:2/2]: b:2/2: Connect to ipv4#1.2.3.4:2 failed: Connection refused (after 0ms in state CONNECT)");
        assert_eq!(trouble.why(), Some(Connection::LoginRefused("sasl_ssl://b:1/1: SASL authentication error: no".to_owned())));
    }

    #[test]
    fn a_line_of_a_broken_connection_is_a_reason() {
        let trouble = Trouble::default();
        trouble.hear_line("REQTMOUT", "[thrd:b:2/2]: b:2/2: Timed out");
        assert_eq!(trouble.why(), None);
        trouble.hear_line("FAIL", "[thrd:b:2/2]: b:2/2: Disconnected: connecting to a SSL listener? (after 0ms in state CONNECT)");
        assert_eq!(trouble.why(), Some(Connection::Unreachable("b:2/2: Disconnected: connecting to a SSL listener?".to_owned())));
    }

    #[test]
    fn an_unknown_certificate_is_a_refused_login_and_a_listener_of_plain_text_is_none() {
        for (words, is_login) in [
            (
                "ssl://b:1/1: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not",
                true,
            ),
            ("ssl://b:1/1: SSL handshake failed: error:0A000412:SSL routines::sslv3 alert bad certificate", true),
            ("ssl://b:1/1: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?", false),
        ] {
            let trouble = Trouble::default();
            trouble.hear(Code::SSL, words);
            assert_eq!(matches!(trouble.why(), Some(Connection::LoginRefused(_))), is_login, "{words}");
        }
    }
}
