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
    ($($name:ident = $code:literal, $words:literal;)*) => {
        /// The closed set of reason codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $words] $name,)*
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

            /// What the code says of an event that was refused, or of a share that ended.
            pub fn in_words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)*
                }
            }
        }
    };
}

// Each code with what it says, for the command line and docs/rules/shares.md#reason-codes.
reasons! {
    SelfShare = "self_share", "a tenant cannot share with itself";
    NotOwner = "not_owner", "only its owner may do this";
    NotTarget = "not_target", "only its target may do this";
    NoPartnership = "no_partnership", "the two tenants are neither partners nor in one line of the tenant tree";
    UnknownProfile = "unknown_profile", "the owner has published no such profile, or has retired it";
    StreamNotInProfile = "stream_not_in_profile", "the profile has no section for a stream that is named";
    UnknownStream = "unknown_stream", "a stream is named that is not configured, or none at all";
    UnknownShare = "unknown_share", "there is no such share";
    DuplicateShare = "duplicate_share", "the share id is taken";
    WrongState = "wrong_state", "its state does not allow this";
    OfferLapsed = "offer_lapsed", "the offer has lapsed";
    TargetInUse = "target_in_use", "another live share feeds the same stream of the same asset of the target";
    MoreThanOffered = "more_than_offered", "more streams are named than were offered";
    InvalidId = "invalid_id", "an id is out of rule";
    InvalidWindow = "invalid_window", "the times make no window, or lie in the past";
    InvalidProfile = "invalid_profile", "the profile is malformed";
    InvalidEvent = "invalid_event", "the event's data is malformed";
    NotOperator = "not_operator", "only the operator may do this";
    TenantCycle = "tenant_cycle", "the tenant tree would close a ring";
    IdReused = "id_reused", "the event's id belongs to another event";
    PartnershipEnded = "partnership_ended", "the partnership ended";
    TenantSuspended = "tenant_suspended", "one of the tenants is suspended";
    AccessEnded = "access_ended", "access has ended by its time";
    ByOwner = "by_owner", "by its owner";
    ByTarget = "by_target", "by its target";
    ByOperator = "by_operator", "by the operator";
    WrongCode = "wrong_code", "the code is not the one that was sent last; `share resend` makes a new one";
}

impl Reason {
    /// The reason of this code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
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
