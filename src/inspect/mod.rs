//! Looking at input records, for people who want to know what leaves, before anything is written.

pub mod offer;
pub mod publication;
pub mod record_search;
pub mod would_be;
