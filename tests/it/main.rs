//! Integration tests, one binary so that they link once. Each module holds one promise of the specification; those that
//! need a broker start a real one.

// Whole runs of `replay` and `backfill`: small worlds of our own, and the shared ones where they lie beside the clone.
mod replay_worlds;

// Starts real clusters through `scripts/kafka` and cleans up after them.
#[cfg(feature = "io")]
mod broker;
// Backfills over files, as processes.
#[cfg(feature = "io")]
mod backfill_files;
// The seams of `transport` on a real cluster: transactions, fencing, offsets, rebalances.
#[cfg(feature = "io")]
mod kafka_client;

// Transactions without librdkafka.
#[cfg(feature = "io")]
mod native;

// The built binary as processes, and worlds of their own for them on a cluster.
#[cfg(feature = "io")]
mod instance;
#[cfg(feature = "io")]
mod fixture;
// Kill, stop and rebalance: every record once, in order, under an epoch that allowed it (docs/rules/release.md,
// docs/rules/exactly-once.md).
#[cfg(feature = "io")]
mod exactly_once;
// The same with faults of chance, by seed.
#[cfg(feature = "io")]
mod campaign;
// Back under its name after a kill: what the predecessor left is taken away (docs/rules/exactly-once.md#back-under-the-same-name).
#[cfg(feature = "io")]
mod restart;
// Both clients of the data plane write the same, and work in one group.
#[cfg(feature = "io")]
mod data_planes;
// What is written is compressed as it is said (docs/rules/configuration.md#settings-of-librdkafka).
#[cfg(feature = "io")]
mod compression;
// Without transactions: nothing lost (docs/rules/exactly-once.md#at-least-once).
#[cfg(feature = "io")]
mod at_least_once;
// Partitions change hands while answers of the brokers are late, missing, repeated or out of order.
#[cfg(feature = "io")]
mod handover;
#[cfg(feature = "io")]
mod proxy;
// What closes the fence and what opens it again (docs/rules/fence.md).
#[cfg(feature = "io")]
mod fence;
// Bad routes and bad records: dead letters, and everybody else flows (docs/rules/records.md, docs/rules/outputs.md).
#[cfg(feature = "io")]
mod routes;
// Details: each target's compacted topic holds exactly the current documents.
#[cfg(feature = "io")]
mod upserts;
// First starts, lost offsets and what must not be run with (docs/rules/events.md, docs/rules/cli.md).
#[cfg(feature = "io")]
mod start;
// A tenant leaves, with all that it shares and gets.
#[cfg(feature = "io")]
mod offboard;
// Kafka is away: who waits, and at whose cost.
#[cfg(feature = "io")]
mod outage;
// What the printed ACLs allow is enough for everybody, and for nobody more.
#[cfg(feature = "io")]
mod rights;
// The log's own configuration, and processes that are configured otherwise.
#[cfg(feature = "io")]
mod configuration;
// A configuration that changes while an engine runs.
#[cfg(feature = "io")]
mod reload;
// The API of `serve`: what it shows whom, and writes once.
#[cfg(feature = "io")]
mod serve;
// What is counted, from the start on.
#[cfg(feature = "io")]
mod counters;
// Status topics are the fold, each document once.
#[cfg(feature = "io")]
mod status;
// The commands that write events.
#[cfg(feature = "io")]
mod commands;
// What a command that writes refuses, writes untried, and repeats.
#[cfg(feature = "io")]
mod writes;
// What a shell and a person at it get without a cluster.
#[cfg(feature = "io")]
mod shell;
// The commands that look at what there is.
#[cfg(feature = "io")]
mod cli_query;
// What a live run did, and why.
#[cfg(feature = "io")]
mod explained;
// All that arrives at a tenant is in its contract.
#[cfg(feature = "io")]
mod contracted;
// What a look shows and refuses.
#[cfg(feature = "io")]
mod looking;
// Many shares by one command, a look before an offer, and a revoke that is certain.
#[cfg(feature = "io")]
mod cli_bulk;
// Codes, mails, and permissions that are shown (docs/rules/shares.md).
#[cfg(feature = "io")]
mod invitations;
// Mails to those who are invited (docs/mail.md).
#[cfg(feature = "io")]
mod mails;
// Every command in the README and in docs/ is run.
#[cfg(feature = "io")]
mod documented;
// A dump becomes a new control topic.
#[cfg(feature = "io")]
mod restore;
// Topics made by command, and snapshots on demand.
#[cfg(feature = "io")]
mod provision;

// Old records for those who may see them today: exactly once, and nothing that was taken back.
#[cfg(feature = "io")]
mod backfill;

// The engine's own loops on a simulated cluster, with everything that can go wrong, by seed.
#[cfg(feature = "io")]
mod simulation;
// The console in a real browser (docs/console.md).
#[cfg(feature = "io")]
mod browser;
#[cfg(feature = "io")]
mod console;
