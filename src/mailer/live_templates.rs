//! The templates of the mails that are sent next: those of a folder, which may change while the process runs, and so may which folder it is.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing::warn;

use super::letter::{MailTemplates, TEMPLATE_FILES};

/// Which folder of templates is in force.
pub struct LiveTemplates(Mutex<TemplateFolder>);

struct TemplateFolder {
    /// None: those that are built in.
    folder: Option<PathBuf>,
    /// What they were when all of them could be read last.
    templates: MailTemplates,
}

impl LiveTemplates {
    /// Those of a folder.
    ///
    /// # Errors
    /// The file that cannot be read or is no template, and why.
    pub fn read(folder: Option<&Path>) -> Result<Self, String> {
        let templates = read_templates(folder)?;
        Ok(Self(Mutex::new(TemplateFolder { folder: folder.map(Path::to_owned), templates })))
    }

    /// As they are now; what is wrong by now leaves those that were right.
    pub fn newest(&self) -> MailTemplates {
        let mut live = self.0.lock().expect("nothing panics while it is held");
        match read_templates(live.folder.as_deref()) {
            Ok(templates) => live.templates = templates,
            Err(error) => warn!(%error, "the templates stay as they were"),
        }
        live.templates.clone()
    }

    /// Puts another folder in force, whose templates were read.
    pub fn put(&self, folder: Option<PathBuf>, templates: MailTemplates) {
        *self.0.lock().expect("nothing panics while it is held") = TemplateFolder { folder, templates };
    }
}

/// Reads the templates of a folder; a file that is missing is the one that is built in.
///
/// # Errors
/// The file that cannot be read or is no template, and why.
pub fn read_templates(folder: Option<&Path>) -> Result<MailTemplates, String> {
    let mut texts = [const { None }; 3];
    if let Some(folder) = folder {
        let names = folder.read_dir().map_err(|error| format!("mail.templates: {}: {error}", folder.display()))?;
        drop(names);
        for (text, name) in texts.iter_mut().zip(TEMPLATE_FILES) {
            let path = folder.join(name);
            *text = match std::fs::read_to_string(&path) {
                Ok(text) => Some(text),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(format!("mail.templates: {}: {error}", path.display())),
            };
        }
    }
    let named = |name: &str| folder.unwrap_or(Path::new("")).join(name).display().to_string();
    MailTemplates::parse(texts.each_ref().map(Option::as_deref)).map_err(|(name, fault)| format!("{}: {fault}", named(name)))
}
