//! Closed sets of words: an enum whose members, words and list come from one declaration, so that no list lacks a member.

/// Declares the enum, `ALL` in the order of the declaration, and the function that returns a member's word.
macro_rules! closed_set {
    (
        $(#[$about:meta])*
        pub enum $set:ident;
        $(#[$about_word:meta])*
        fn $word:ident;
        $($(#[$doc:meta])* $member:ident = $text:literal,)*
    ) => {
        $(#[$about])*
        pub enum $set {
            $($(#[$doc])* $member,)*
        }

        impl $set {
            /// Every member, in the order of the declaration.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$member),*];

            $(#[$about_word])*
            pub fn $word(self) -> &'static str {
                match self {
                    $(Self::$member => $text,)*
                }
            }
        }
    };
}
