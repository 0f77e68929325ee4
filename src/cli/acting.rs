//! What all commands on shares and parties have in common: who acts or looks, and how it is printed.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::exit::{Exit, Failure};
use crate::document::{Kind, Member, Node, Place};
use crate::id::TenantId;
use crate::share::listing::Viewer;
use crate::time::Span;

/// A command that looks at what is, or one that writes a control event.
#[derive(Debug, Subcommand)]
pub enum Verb<L: Subcommand, W: Subcommand> {
    /// It looks.
    #[command(flatten)]
    Look(L),
    /// It writes.
    #[command(flatten)]
    Write(W),
}

/// Options of every command on shares and parties; `event_id` and `wait` are for those that write.
#[derive(Debug, Clone, Args)]
pub struct Acting {
    /// The tenant that acts or looks; without it the operator does
    #[arg(long = "as", value_name = "TENANT", global = true, value_parser = tenant)]
    pub actor: Option<TenantId>,
    /// The event's id; the same id again changes nothing, so a script may repeat itself safely. Default: a random one
    #[arg(long, value_name = "ID", global = true)]
    pub event_id: Option<String>,
    /// Wait until the status topic says what became of it; a rejection is exit 1
    #[arg(long, global = true)]
    pub wait: bool,
    /// How long --wait waits, and how long a command that reads waits for a silent cluster
    #[arg(long, value_name = "DURATION", default_value = "30s", global = true)]
    pub timeout: String,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value_t = Format::Table, global = true)]
    pub output: Format,
}

impl Acting {
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
        let wrong = || Failure::new(Exit::Usage, format!("--timeout {}: write a number and ms, s, m, h or d", self.timeout));
        Span::parse(&self.timeout).map(|span| Duration::from_millis(span.millis())).ok_or_else(wrong)
    }

    /// The same for a command that only reads: it has no use for what is about an event.
    pub fn patience_of_reader(&self) -> Result<Duration, Failure> {
        if self.wait || self.event_id.is_some() {
            return Err(Failure::new(Exit::Usage, "this command writes no event: leave --wait and --event-id out"));
        }
        self.patience()
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON value.
    Json,
    /// One JSON value a line.
    Ndjson,
}

/// A control event to be written: its type without `sharecast.` and `.v1`, and its data.
#[derive(Debug, Clone)]
pub struct Draft {
    /// `share.offered` and so on.
    pub kind: &'static str,
    /// `data`.
    pub data: Node,
    /// The share it is about, to wait for its status.
    pub share: Option<String>,
}

/// Collects the members of an event's data; what is not given is left out.
#[derive(Debug, Clone, Default)]
pub struct Data(Vec<Member>);

impl Data {
    /// A string.
    #[must_use]
    pub fn text(self, name: &str, value: impl AsRef<str>) -> Self {
        self.node(name, Kind::String(value.as_ref().to_owned()))
    }

    /// A string, if there is one.
    #[must_use]
    pub fn text_if(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// A list of strings.
    #[must_use]
    pub fn list(self, name: &str, values: &[String]) -> Self {
        let item = |text: &String| Node { kind: Kind::String(text.clone()), place: Place::default() };
        self.node(name, Kind::List(values.iter().map(item).collect()))
    }

    /// A boolean, if it is wanted.
    #[must_use]
    pub fn flag_if(self, name: &str, value: bool) -> Self {
        if value { self.node(name, Kind::Bool(true)) } else { self }
    }

    /// Any value.
    #[must_use]
    pub fn node(mut self, name: &str, kind: Kind) -> Self {
        let value = Node { kind, place: Place::default() };
        self.0.push(Member { name: name.to_owned(), place: Place::default(), value });
        self
    }

    /// These members, and the other's behind them.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether there is a member of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|member| member.name == name)
    }

    /// The members as one value.
    pub fn into_node(self) -> Node {
        Node { kind: Kind::Map(self.0), place: Place::default() }
    }

    /// The event.
    pub fn draft(self, kind: &'static str) -> Draft {
        let share = self.0.iter().find(|m| m.name == "share").and_then(|m| m.value.as_str()).map(str::to_owned);
        Draft { kind, data: Node { kind: Kind::Map(self.0), place: Place::default() }, share }
    }
}

/// For clap: a tenant's id.
pub fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).map_err(|error| error.to_string())
}
