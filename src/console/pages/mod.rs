//! The pages, each a function of what it shows.

pub(crate) mod assets;
pub(crate) mod incoming;
pub(crate) mod invitation_link;
pub(crate) mod invitations;
pub(crate) mod leaves;
pub(crate) mod operator;
pub(crate) mod partnerships;
pub(crate) mod profiles;
pub(crate) mod removal;
pub(crate) mod sharing;
pub(crate) mod sign_in;
pub(crate) mod terms;
pub(crate) mod visibility;
