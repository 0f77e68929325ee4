//! The words of a share's life (docs/rules/shares.md#life): states, reasons, permissions, who holds a pause.

/// Where a share is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Offered against a rule.
    Failed,
    /// Offered, not yet accepted.
    Pending,
    /// Data flows.
    Active,
    /// Somebody holds a pause.
    Paused,
    /// The target said no.
    Declined,
    /// The owner took the offer back, or the partnership ended.
    Cancelled,
    /// The offer lapsed, or access ended by its time.
    Expired,
    /// The owner ended it, or the partnership ended.
    Revoked,
    /// The target ended it.
    Left,
}

impl State {
    /// Every state, in the order of the declaration.
    pub const ALL: [Self; 9] = [
        Self::Failed,
        Self::Pending,
        Self::Active,
        Self::Paused,
        Self::Declined,
        Self::Cancelled,
        Self::Expired,
        Self::Revoked,
        Self::Left,
    ];

    /// The word that status documents have.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::Pending => "PENDING",
            Self::Active => "ACTIVE",
            Self::Paused => "PAUSED",
            Self::Declined => "DECLINED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
            Self::Revoked => "REVOKED",
            Self::Left => "LEFT",
        }
    }

    /// ACTIVE or PAUSED.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::Paused)
    }
}

/// What the target may do with the asset; sharecast only carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Permission {
    /// `view`, the default.
    View,
    /// `edit`.
    Edit,
    /// `manage`.
    Manage,
}

impl Permission {
    /// Every permission, in the order of the declaration.
    pub const ALL: [Self; 3] = [Self::View, Self::Edit, Self::Manage];

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.word() == word)
    }

    /// The word that documents have.
    pub fn word(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Manage => "manage",
        }
    }
}

/// What an `expired` event records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpiryCause {
    /// The offer lapsed.
    Offer,
    /// Access ended.
    Access,
}

impl ExpiryCause {
    /// The word in an event's data.
    pub fn word(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Access => "access",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The closed set of reason codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as documents and metrics have it.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

reasons! {
    /// A tenant cannot share with itself.
    SelfShare = "self_share",
    /// Only the owner may do this.
    NotOwner = "not_owner",
    /// Only the target may do this.
    NotTarget = "not_target",
    /// The two are neither partners nor in one line of the tenant tree.
    NoPartnership = "no_partnership",
    /// The owner has not published such a profile, or has retired it.
    UnknownProfile = "unknown_profile",
    /// The profile has no section for a stream.
    StreamNotInProfile = "stream_not_in_profile",
    /// A stream that is not configured, or none at all.
    UnknownStream = "unknown_stream",
    /// There is no such share.
    UnknownShare = "unknown_share",
    /// The share id is taken.
    DuplicateShare = "duplicate_share",
    /// Not in this state.
    WrongState = "wrong_state",
    /// The offer has lapsed.
    OfferLapsed = "offer_lapsed",
    /// Another live share feeds the same place.
    TargetInUse = "target_in_use",
    /// More streams than were offered.
    MoreThanOffered = "more_than_offered",
    /// An id is out of rule.
    InvalidId = "invalid_id",
    /// The times make no window.
    InvalidWindow = "invalid_window",
    /// The profile cannot be published as it is.
    InvalidProfile = "invalid_profile",
    /// Malformed data.
    InvalidEvent = "invalid_event",
    /// Only the operator (or the engine) may send this.
    NotOperator = "not_operator",
    /// A parent that would close a ring.
    TenantCycle = "tenant_cycle",
    /// The event's id belongs to another event.
    IdReused = "id_reused",
    /// The partnership ended.
    PartnershipEnded = "partnership_ended",
    /// One of the tenants is suspended.
    TenantSuspended = "tenant_suspended",
    /// Access has ended by its time.
    AccessEnded = "access_ended",
    /// By the owner's will.
    ByOwner = "by_owner",
    /// By the target's will.
    ByTarget = "by_target",
    /// By the operator's will.
    ByOperator = "by_operator",
    /// An invitation is accepted with its code only.
    WrongCode = "wrong_code",
}

/// A set of those who hold a pause on a share (docs/rules/shares.md#pauses).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holders(pub(crate) u8);

impl Holders {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// The operator.
    pub const OPERATOR: Self = Self(1);
    /// The owner.
    pub const OWNER: Self = Self(2);
    /// A suspension of either tenant.
    pub const SUSPENSION: Self = Self(4);
    /// The target.
    pub const TARGET: Self = Self(8);

    /// Whether nobody holds.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the two sets have anybody in common.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The words of `paused_by`, sorted.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        [(Self::OPERATOR, "operator"), (Self::OWNER, "owner"), (Self::SUSPENSION, "suspension"), (Self::TARGET, "target")]
            .into_iter()
            .filter(move |(holder, _)| self.meets(*holder))
            .map(|(_, word)| word)
    }
}
