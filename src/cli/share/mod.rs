//! `sharecast share …`: its arguments, one share or many, a look before an offer, lists, invitations, and a revoke that is waited for.

#[cfg(feature = "io")]
pub mod args;
#[cfg(feature = "io")]
pub(crate) mod bulk;
#[cfg(feature = "io")]
pub(in crate::cli) mod confirm;
#[cfg(feature = "io")]
pub(crate) mod critical;
#[cfg(feature = "io")]
pub(crate) mod preview;
#[cfg(feature = "io")]
pub(crate) mod look;
#[cfg(feature = "io")]
pub(crate) mod past_hint;
#[cfg(feature = "io")]
pub mod list;
#[cfg(feature = "io")]
pub(crate) mod invitations;
#[cfg(feature = "io")]
pub(crate) mod invitation_mail;
#[cfg(feature = "io")]
pub(crate) mod revoke_wait;
