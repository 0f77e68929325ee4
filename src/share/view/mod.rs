//! What people and mailers are shown of the shares: lists, histories, dumps of the log, mails, why an event is refused, and
//! what a configuration changes.

#[cfg(feature = "io")]
pub(crate) mod by_asset;
#[cfg(feature = "io")]
pub(crate) mod asset_order;
#[cfg(feature = "io")]
pub(crate) mod blocks;
#[cfg(feature = "io")]
pub(crate) mod changed;
#[cfg(feature = "io")]
pub(crate) mod invitations;
#[cfg(feature = "io")]
pub(crate) mod counts;
#[cfg(feature = "io")]
pub mod by_tenant;
#[cfg(feature = "io")]
pub(crate) mod text_bits;
pub mod list;
#[cfg(feature = "io")]
pub mod search;
pub mod history;
pub mod dump;
pub mod mail;
pub mod refusal;
pub mod review;
