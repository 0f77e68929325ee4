//! The columns of the lists of tenants, partnerships and profiles.

use crate::cli::listing::Listing;

/// The list of tenants.
#[derive(Debug, Clone)]
pub struct ListedTenants;

impl Listing for ListedTenants {
    const COLUMNS: &'static [&'static str] = &["tenant", "parent", "suspended"];
}

/// The list of partnerships.
#[derive(Debug, Clone)]
pub struct ListedPartnerships;

impl Listing for ListedPartnerships {
    const COLUMNS: &'static [&'static str] = &["tenant", "partner", "state", "note"];
}

/// The list of profiles.
#[derive(Debug, Clone)]
pub struct ListedProfiles;

impl Listing for ListedProfiles {
    const COLUMNS: &'static [&'static str] = &["owner", "profile", "version", "retired", "streams"];
}
