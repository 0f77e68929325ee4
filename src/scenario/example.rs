//! The example that `sharecast test --init` writes.

/// Each file with its path in the directory.
pub const FILES: [(&str, &str); 2] = [
    ("hire-partner.test.yaml", include_str!("example/hire-partner.test.yaml")),
    ("profiles/hire-partner.yaml", include_str!("example/hire-partner.yaml")),
];
