//! The fold as a whole: examples rule by rule, and properties that hold of every random log.

pub(crate) mod fixture;
mod table;
mod lifecycle;
mod invitation_code;
mod bulk;
mod offboard;
mod configuration;
mod partners_by_invitation;
mod random_log;
mod fold_properties;
mod list_properties;
