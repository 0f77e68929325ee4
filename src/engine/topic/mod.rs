//! Topics as the engine names, makes and needs them, and the spelling of what it stores in its own.
//!
//! `names` and `spec` say how each is called and made, `required` which are needed, `provision` makes them; `stored` spells keys and
//! values of `sharecast.state`, `state` notes which input partitions were begun.

pub mod names;
pub mod spec;
pub mod required;
pub mod provision;
pub mod state;
pub mod stored;
