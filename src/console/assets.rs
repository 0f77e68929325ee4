//! The one stylesheet, the one script and the icon, in the binary. Their names change with their content, so browsers keep them for good.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// A file that pages load.
#[derive(Debug)]
pub(crate) struct StaticFile {
    stem: &'static str,
    extension: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) plain: &'static [u8],
    pub(crate) gzip: Vec<u8>,
    digest: String,
}

pub(crate) static STYLE: LazyLock<StaticFile> =
    LazyLock::new(|| StaticFile::new("style", "css", "text/css; charset=utf-8", include_bytes!("assets/style.css")));
pub(crate) static SCRIPT: LazyLock<StaticFile> =
    LazyLock::new(|| StaticFile::new("script", "js", "text/javascript; charset=utf-8", include_bytes!("assets/script.js")));
/// A square that is shared in part.
pub(crate) const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#0b5cad"/><path d="M4 8h5m-2-3 3 3-3 3" stroke="#fff" stroke-width="2" fill="none"/><circle cx="12.5" cy="8" r="1.2" fill="#fff"/></svg>"##;

impl StaticFile {
    fn new(stem: &'static str, extension: &'static str, content_type: &'static str, plain: &'static [u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzip = encoder.write_all(plain).and_then(|()| encoder.finish()).unwrap_or_default();
        let digest = Sha256::digest(plain).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { stem, extension, content_type, plain, gzip, digest }
    }

    /// The name of this content.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}.{}", self.stem, self.digest, self.extension)
    }

    /// Where pages load it from.
    pub(crate) fn address(&self) -> String {
        format!("/static/{}", self.name())
    }
}

/// Compressed for a client that takes it so.
pub(crate) fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_together_are_small() {
        let all = STYLE.gzip.len() + SCRIPT.gzip.len() + ICON.len();
        assert!(STYLE.gzip.len() > 1000 && SCRIPT.gzip.len() > 1000 && all <= 80 * 1024, "{all} bytes");
    }

    /// What the policy of the pages forbids, and what would make them speak to somebody else.
    #[test]
    fn the_script_and_the_style_load_nothing_from_elsewhere() {
        for file in [&STYLE, &SCRIPT] {
            let text = std::str::from_utf8(file.plain).unwrap();
            for word in ["http://", "https://", "eval(", "new Function", "innerHTML = ", "insertAdjacentHTML", "@import", "url("] {
                assert!(!text.contains(word), "{}: {word}", file.name());
            }
        }
    }
}
