//! The console: pages for people, rendered here, from the caller's view of the shares. It decides nothing and writes nothing itself.

mod assets;
mod cookies;
mod fields;
mod model;
mod pages;
mod parts;
mod shell;
mod status;
#[cfg(test)]
mod tests;
