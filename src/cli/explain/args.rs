//! The command line of `explain`.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::args::{Format, no_list_format, tenant};
use crate::cli::argument;
use crate::id::TenantId;

/// Which record, or what would be, and by which state.
#[derive(Debug, Clone, clap::Args)]
pub struct ExplainArgs {
    /// The stream
    #[arg(long, value_name = "STREAM", value_parser = argument::stream)]
    pub stream: String,
    /// The record's partition in the stream's topic
    #[arg(long, value_name = "N", requires = "offset", conflicts_with = "record", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// The record's offset in that partition
    #[arg(long, value_name = "N", requires = "partition", value_parser = clap::value_parser!(i64).range(0..))]
    pub offset: Option<i64>,
    /// A file with the record's value; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// The file has records one a line, as `replay` reads them: this line, the first if no number is given
    #[arg(long, value_name = "N", requires = "record", num_args = 0..=1, require_equals = true, default_missing_value = "1",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub line: Option<u32>,
    /// What would be: the asset, in its owner's words. With --record, whose key and headers the value comes under
    #[arg(long, value_name = "ASSET", value_parser = argument::asset, requires = "owner")]
    pub asset: Option<String>,
    /// Whose asset it is
    #[arg(long, value_name = "TENANT", value_parser = tenant, requires = "asset")]
    pub owner: Option<TenantId>,
    /// Only shares to this tenant
    #[arg(long, value_name = "TENANT", value_parser = tenant)]
    pub target: Option<TenantId>,
    /// The moment to decide at, by the shares of then. Default: now; with --control that of its last event, or `at` of the line
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub at: Option<String>,
    /// What would be: the event time. Default: that of --at
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "asset", conflicts_with = "record")]
    pub time: Option<String>,
    /// Decide by the shares as they were after this control offset, as `epoch` in `_share` names it
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    pub epoch: Option<i64>,
    /// A file of control events, one a line, instead of the cluster's control topic: no Kafka at all
    #[arg(long, value_name = "FILE", conflicts_with = "partition")]
    pub control: Option<PathBuf>,
    /// How long each wait for the cluster lasts at most
    #[arg(long, value_name = "DURATION", value_parser = argument::duration, allow_hyphen_values = true, default_value = "30s")]
    pub timeout: Duration,
    /// How the result is printed
    #[arg(short, long, value_parser = no_list_format(), default_value = "table")]
    pub output: Format,
}
