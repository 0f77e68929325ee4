//! `sharecast serve`: the control plane for people and programs. It folds the control topic, writes control events and serves HTTP; it has
//! no part in the data plane.
//!
//! In reading order: `published` is a state of the shares and how requests get at it; `fold` reads the log and publishes; `recent` knows
//! what became of the last events; `append` writes; `view` is what one caller may see, and the only way to see anything; `state` is all
//! of it together, which handlers are given.

pub(crate) mod published;
pub(crate) mod recent;
pub mod changes;
pub(crate) mod freshness;
pub(crate) mod fold;
pub(crate) mod append;
pub mod admission;
pub mod view;
pub(crate) mod explain;
pub(crate) mod invitation;
pub mod problem;
pub mod write;
pub(crate) mod history;
pub(crate) mod asset_names;
pub mod directory;
pub mod look;
pub mod state;
pub mod rest;
pub mod server;

pub use state::Serve;
