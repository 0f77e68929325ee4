//! Backfills beside a real cluster: what they write is what the form without Kafka writes, each record once, and nothing that somebody
//! has taken back since (docs/backfill.md).

mod exactly_once;
mod files;
mod past;
mod refusals;
mod withheld;
