//! Where outputs go: a tenant's topic is a `route`, `lookup` asks whether it is there, the `outbox` holds what a transaction writes,
//! and `dead_letter` what cannot go its way.

pub mod route;
pub mod lookup;
pub mod outbox;
pub mod dead_letter;
