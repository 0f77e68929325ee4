//! What requests bring: `sharing` changes shares, `parties` tenants, their partnerships and profiles, and by `looking` nothing is changed.

mod looking;
mod parties;
mod sharing;

use serde::{Deserialize, Deserializer};

pub use looking::{PreviewBody, PublicationBody, RenderBody};
pub use parties::{PartnershipBody, PartnershipVerbBody, ProfileBody, RetireBody, TenantBody, TenantUpdateBody};
pub use sharing::{
    AcceptBody, BatchBody, BatchVerb, CodeBody, InvitationBody, NoteBody, OfferBody, PermissionWord, ResendBody, UpdateBody,
};

/// A member that is there, null or not: null takes something away, and none leaves it as it is.
fn there<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}
