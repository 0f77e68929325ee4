//! What others build by: a tenant's contract, and schemas of what people write.

#[cfg(feature = "io")]
pub mod reader;
pub mod schema;
