//! What one caller may see of the shares. Handlers and pages read nothing else: a state of the shares is private to this module and to
//! those that fold and write.

mod assets;
mod caller;
mod invitations;
mod lists;
mod seen;

pub use caller::{CallerView, SeenTenant};
pub(crate) use invitations::InvitationFilter;
pub use lists::{SharePage, ShareQuery};
pub use seen::SeenShare;
