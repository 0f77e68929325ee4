//! The console: pages for people, rendered here from the caller's view of the shares. It decides nothing and writes nothing itself: it
//! asks the view and the write path that the API asks.
//!
//! `pages` and `parts` are functions from what is shown to markup, `status` and `model` the words and shapes of it; `ask` reads a request,
//! `desk` is what handlers ask, and `handlers` what is done at each address.

mod ask;
mod assets;
mod cookies;
mod desk;
mod engines;
mod evaluate;
mod fields;
mod handlers;
mod model;
mod names;
mod newest;
mod pages;
mod parts;
mod shell;
mod signing_in;
mod status;
#[cfg(test)]
mod tests;

pub use handlers::router;
