//! What all commands on shares and parties have in common: who acts or looks, and how it is printed.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};

use crate::cli::argument;
use crate::cli::exit::{Exit, Failure};
use crate::cli::time_argument::{TimeArgument, TimeOption};
use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::id::TenantId;
use crate::share::event::write_token::WriteToken;
use crate::share::view::list::Viewer;
use crate::time::TimestampMs;

/// How long a command waits that was not told.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command that looks at what is, or one that writes a control event.
#[derive(Debug, Subcommand)]
pub enum Verb<L: Subcommand, W: Subcommand> {
    /// It looks.
    #[command(flatten)]
    Query(L),
    /// It writes.
    #[command(flatten)]
    Write(W),
}

/// Options of every command on shares and parties; `event_id` and `wait` are for those that write.
#[derive(Debug, Clone, Args)]
pub struct ActorArgs {
    /// The tenant that acts or looks; without it the operator does
    #[arg(long = "as", value_name = "TENANT", global = true, value_parser = tenant)]
    pub actor: Option<TenantId>,
    /// The event's id, chosen; the same event under the same id again changes nothing, another one under it is refused. Default: a
    /// random one
    #[arg(long, value_name = "ID", global = true, value_parser = argument::event)]
    pub event_id: Option<String>,
    /// Repeat a write that timed out, with what its message says. If it was written after all, nothing is written again, and the answer
    /// is what became of it
    #[arg(long, value_name = "R", global = true, value_parser = argument::token)]
    pub repeat: Option<WriteToken>,
    /// Wait until the status topic says what became of it; a rejection, or an offer that failed, is exit 1
    #[arg(long, global = true)]
    pub wait: bool,
    /// How long each wait for the cluster lasts at most: for its answers, for the write, and for --wait. Default: 30s
    #[arg(long, value_name = "DURATION", value_parser = argument::duration, allow_hyphen_values = true, global = true)]
    pub timeout: Option<Duration>,
    /// How the result is printed; lists also by `id`, one a line, for xargs
    #[arg(short, long, value_enum, default_value_t = Format::Table, global = true)]
    pub output: Format,
}

impl ActorArgs {
    /// The CloudEvent's `source`.
    pub fn source(&self) -> String {
        match &self.actor {
            Some(tenant) => format!("/tenants/{tenant}"),
            None => "/operator".to_owned(),
        }
    }

    /// Who looks.
    pub fn viewer(&self) -> Viewer {
        self.actor.clone().map_or(Viewer::Operator, Viewer::Tenant)
    }

    /// `--timeout`.
    pub fn patience(&self) -> Result<Duration, Failure> {
        Ok(self.timeout.unwrap_or(PATIENCE))
    }

    /// The same for a command that only reads: it has no use for what is about an event.
    pub fn patience_of_reader(&self) -> Result<Duration, Failure> {
        if self.wait || self.event_id.is_some() || self.repeat.is_some() {
            return Err(Failure::new(Exit::Usage, "this command writes no event: leave --wait, --event-id and --repeat out"));
        }
        self.patience()
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON value.
    Json,
    /// One JSON value a line.
    Ndjson,
    /// One id a line, of lists alone.
    Id,
}

/// For clap: how a result is printed that is no list.
pub(in crate::cli) fn no_list_format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["table", "json", "ndjson"]).map(|text: String| match text.as_str() {
        "json" => Format::Json,
        "ndjson" => Format::Ndjson,
        _ => Format::Table,
    })
}

/// A control event to be written: its type without `sharecast.` and `.v1`, and its data.
#[derive(Debug, Clone)]
pub struct EventDraft {
    /// `share.offered` and so on.
    pub kind: &'static str,
    /// `data`.
    pub data: Node,
    /// The share it is about, to wait for its status.
    pub share: Option<String>,
    /// Times that were given, as they were understood.
    pub times: Vec<GivenTime>,
    /// `--yes`: a person need not be asked about what leaves.
    pub is_confirmed: bool,
}

/// A time of an event that was given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenTime {
    /// The member of `data`.
    pub member: &'static str,
    /// What was understood.
    pub time: TimeArgument,
}

impl GivenTime {
    /// Reads an option's value.
    pub fn read(given: &str, now: TimestampMs, option: TimeOption) -> Result<Self, Failure> {
        let member = match option {
            TimeOption::Starts => "starts",
            TimeOption::Ends => "ends",
            TimeOption::OfferExpires => "offer_expires",
            TimeOption::From => "from",
            TimeOption::To => "to",
            TimeOption::At => "at",
            TimeOption::Time => "time",
        };
        let time = TimeArgument::read(given, now, option).map_err(|error| Failure::new(Exit::Usage, error))?;
        Ok(Self { member, time })
    }
}

/// Collects the members of an event's data; what is not given is left out.
#[derive(Debug, Clone, Default)]
pub struct EventData(Vec<Member>, Vec<GivenTime>);

impl EventData {
    /// A string.
    #[must_use]
    pub fn text(self, name: &str, value: impl AsRef<str>) -> Self {
        self.node(name, DocumentKind::String(value.as_ref().to_owned()))
    }

    /// A string, if there is one.
    #[must_use]
    pub fn text_if(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// A list of strings, each once.
    #[must_use]
    pub fn list(self, name: &str, values: &[String]) -> Self {
        let item = |text: &String| Node { kind: DocumentKind::String(text.clone()), place: TextPosition::default() };
        let is_first = |(at, text): &(usize, &String)| !values[..*at].contains(text);
        self.node(name, DocumentKind::List(values.iter().enumerate().filter(is_first).map(|(_, text)| item(text)).collect()))
    }

    /// A time, if one was given.
    #[must_use]
    pub fn time_if(mut self, given: Option<GivenTime>) -> Self {
        let Some(given) = given else { return self };
        self.1.push(given.clone());
        self.text(given.member, &given.time.text)
    }

    /// A boolean, if it is wanted.
    #[must_use]
    pub fn flag_if(self, name: &str, value: bool) -> Self {
        if value { self.node(name, DocumentKind::Bool(true)) } else { self }
    }

    /// Any value.
    #[must_use]
    pub fn node(mut self, name: &str, kind: DocumentKind) -> Self {
        let value = Node { kind, place: TextPosition::default() };
        self.0.push(Member { name: name.to_owned(), place: TextPosition::default(), value });
        self
    }

    /// These members, and the other's after them.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self.1.extend(other.1);
        self
    }

    /// Whether there is no member at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a member of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|member| member.name == name)
    }

    /// The times that were given.
    pub fn times(&self) -> &[GivenTime] {
        &self.1
    }

    /// The members as one value.
    pub fn into_node(self) -> Node {
        Node { kind: DocumentKind::Map(self.0), place: TextPosition::default() }
    }

    /// The event.
    pub fn draft(self, kind: &'static str) -> EventDraft {
        let share = self.0.iter().find(|m| m.name == "share").and_then(|m| m.value.as_str()).map(str::to_owned);
        EventDraft {
            kind,
            data: Node { kind: DocumentKind::Map(self.0), place: TextPosition::default() },
            share,
            times: self.1,
            is_confirmed: false,
        }
    }
}

/// For clap: a tenant's id.
pub fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).map_err(|error| error.to_string())
}
