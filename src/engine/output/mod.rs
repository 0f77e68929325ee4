//! Where outputs go: a tenant's topic is a `route`, `lookup` asks whether it is there, the `outbox` holds what a transaction writes,
//! `dead_letter` what cannot go its way, and `headers` what is said besides key and value.

pub mod route;
pub mod lookup;
pub mod outbox;
pub mod condition_errors;
pub mod dead_letter;
pub mod headers;
