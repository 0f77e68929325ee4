//! Topics as the engine names, makes and needs them, and the spelling of what it stores in its own.

pub mod names;
pub mod spec;
pub mod required;
pub mod provision;
pub mod state;
pub mod stored;
