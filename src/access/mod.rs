//! Who may come in: what a bearer token says about its holder.
//!
//! A token is one of a file's, of which only the SHA-256 is kept, or a signed one of an identity provider.

pub mod jwks;
pub mod jwt;
pub mod session;
pub mod token_file;
pub mod tokens;

use std::fmt;
use std::sync::Arc;

use crate::id::TenantId;

pub use jwks::Jwt;
pub use tokens::{TokenHash, Tokens};

/// Who asks, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// For whom they act.
    pub who: Party,
    /// Whether they only see.
    pub role: Role,
    /// The person or program, for histories: at most `MAX_NAME` bytes, without control characters.
    pub name: Option<Arc<str>>,
}

/// For whom a caller acts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Party {
    /// One tenant.
    Tenant(TenantId),
    /// Whoever runs the installation.
    Operator,
}

closed_set! {
    /// What a caller may do.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Role;
    /// The word of files, claims and options.
    fn word;
    /// Sees what its party may see.
    Viewer = "viewer",
    /// Also acts for it.
    Admin = "admin",
}

/// The longest name of a caller in bytes, so that it fits into an event's `actor`.
pub const MAX_NAME: usize = 256;

impl Role {
    /// Reads the word; none of any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

impl Caller {
    /// The tenant for which they act; none of the operator.
    pub fn tenant(&self) -> Option<&TenantId> {
        match &self.who {
            Party::Tenant(tenant) => Some(tenant),
            Party::Operator => None,
        }
    }

    /// Whether they act for the operator.
    pub fn is_operator(&self) -> bool {
        match self.who {
            Party::Operator => true,
            Party::Tenant(_) => false,
        }
    }

    /// Whether they may write.
    pub fn may_write(&self) -> bool {
        match self.role {
            Role::Admin => true,
            Role::Viewer => false,
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(tenant) => write!(f, "tenant {tenant}"),
            Self::Operator => f.write_str("the operator"),
        }
    }
}

/// Whether a text may be the name of a caller.
pub fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control)
}
