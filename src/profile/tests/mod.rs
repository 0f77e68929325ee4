//! Profiles as people write them, and random ones held against a model that is slow and plain.

mod examples;
mod model;
