//! What a job says of itself: its first lines, and its result.

use std::io::{self, Write};

use super::args::ResultFormat;
use crate::backfill::options::Window;
use crate::backfill::past::Reach;
use crate::backfill::result::JobResult;
use crate::cli::exit::tell;
use crate::cli::output::{PrintError, print_table};
use crate::id::{Epoch, JobName};
use crate::time::TimestampNs;

/// What a job is, as its first lines say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobHead<'j> {
    /// Its name.
    pub(crate) job: &'j JobName,
    /// Its stream.
    pub(crate) stream: &'j str,
    /// The event times.
    pub(crate) window: Window,
    /// By which graph it decides.
    pub(crate) epoch: Epoch,
    /// At which moment.
    pub(crate) now: TimestampNs,
    /// For whom.
    pub(crate) reach: Reach,
    /// Whether nothing is written.
    pub(crate) is_dry_run: bool,
}

/// Says on stderr what the job is; one that can release nothing says so.
pub(crate) fn tell_head(head: &JobHead<'_>) {
    let JobHead { job, stream, window, epoch, now, reach, is_dry_run } = *head;
    let how = if is_dry_run { " (dry run: nothing is written)" } else { "" };
    tell!("job {job}: stream {stream}, event times from {} up to {}{how}", window.from(), window.to());
    tell!("epoch {epoch}, decided at {now}: {} to {}", counted(reach.shares, "share"), counted(reach.targets, "target"));
    if reach.shares == 0 {
        tell!("no share that fits may get anything of this stream: the job releases nothing");
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Prints the result on stdout.
pub(in crate::cli) fn print_result(result: &JobResult, format: ResultFormat) -> Result<(), PrintError> {
    let mut out = io::stdout().lock();
    match format {
        ResultFormat::Json => {
            out.write_all(&result.to_json())?;
            out.write_all(b"\n")?;
        }
        ResultFormat::Table => write_tables(result, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

fn write_tables(result: &JobResult, out: &mut impl Write) -> io::Result<()> {
    let counts = &result.counts;
    let head = ["JOB", "EPOCH", "NOW", "READ", "RELEASED"];
    let row =
        [result.job.to_string(), result.epoch.to_string(), result.now.to_string(), counts.read.to_string(), counts.released.to_string()];
    print_table(&head, &[row.to_vec()], out)?;
    let suppressed = counts.suppressed.iter().map(|(reason, count)| [reason.as_str().to_owned(), count.to_string()].to_vec());
    write_if_any(&["SUPPRESSED", "COUNT"], suppressed.collect(), out)?;
    let dead = counts.dead.iter().map(|(reason, count)| [reason.as_str().to_owned(), count.to_string()].to_vec());
    write_if_any(&["DEAD LETTERS", "COUNT"], dead.collect(), out)?;
    let tenants = counts.tenants.iter().map(|(tenant, totals)| {
        let numbers = [totals.records.to_string(), totals.bytes.to_string(), totals.first.to_string(), totals.last.to_string()];
        std::iter::once(tenant.to_string()).chain(numbers).collect()
    });
    write_if_any(&["TARGET", "RECORDS", "BYTES", "FIRST", "LAST"], tenants.collect(), out)?;
    let stopped = result.stopped.iter().map(|stopped| {
        [stopped.share.to_string(), stopped.reason.word().to_owned(), stopped.partition.to_string(), stopped.offset.to_string()].to_vec()
    });
    write_if_any(&["STOPPED SHARE", "REASON", "PARTITION", "OFFSET"], stopped.collect(), out)?;
    result.warnings.iter().try_for_each(|warning| writeln!(out, "\nwarning: {warning}"))
}

fn write_if_any(headers: &[&str], rows: Vec<Vec<String>>, out: &mut impl Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    print_table(headers, &rows, out)
}
