//! `sharecast token`: makes tokens for the API and the console, lists them and takes them away.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::access::token_file::{with_token, without_token};
use crate::access::tokens::TokenEntry;
use crate::access::{Caller, MAX_NAME, Party, Role, TokenHash, Tokens, is_name};
use crate::cli::config;
use crate::cli::exit::{Exit, Failure, tell};
use crate::config::AuthConfig;
use crate::id::TenantId;
use crate::writing::random::random;

/// What there is to do with tokens.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make a token, print it once, and add its hash to the file
    New(NewTokenArgs),
    /// Take a token's hash out of the file: from then on it opens nothing
    Revoke(RevokeTokenArgs),
    /// List whose tokens there are, without what would open anything
    List {
        /// The file, in place of `api.auth.tokens`
        #[arg(long)]
        file: Option<PathBuf>,
    },
}

/// What `token new` takes.
#[derive(Debug, clap::Args)]
pub struct NewTokenArgs {
    /// The tenant for which it acts
    #[arg(required_unless_present = "operator", conflicts_with = "operator", value_parser = tenant)]
    tenant: Option<TenantId>,
    /// It is the operator's
    #[arg(long)]
    operator: bool,
    /// viewer (sees) or admin (acts); the operator's is admin unless it is said
    #[arg(long, required_unless_present = "operator", value_parser = role)]
    role: Option<Role>,
    /// The person or program that holds it, for histories
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// The file, in place of `api.auth.tokens`
    #[arg(long)]
    file: Option<PathBuf>,
}

/// What `token revoke` takes.
#[derive(Debug, clap::Args)]
pub struct RevokeTokenArgs {
    /// The token itself, its name, or the beginning of its hash as `token list` shows it
    which: String,
    /// The file, in place of `api.auth.tokens`
    #[arg(long)]
    file: Option<PathBuf>,
}

fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).map_err(|error| error.to_string())
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "write viewer or admin".to_owned())
}

fn name(text: &str) -> Result<String, String> {
    let is_right = is_name(text);
    is_right.then(|| text.to_owned()).ok_or_else(|| format!("write 1 to {MAX_NAME} bytes without control characters"))
}

/// Does it.
pub fn run(files: &[PathBuf], command: &TokenCommand) -> Result<Exit, Failure> {
    match command {
        TokenCommand::New(args) => new(files, args),
        TokenCommand::Revoke(args) => revoke(files, args),
        TokenCommand::List { file } => list(files, file.as_deref()),
    }
}

/// The file that is named, else that of the configuration.
fn path_of(files: &[PathBuf], named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    match config::read(files)?.config.api.auth {
        AuthConfig::Tokens(Some(path)) => Ok(path),
        AuthConfig::Tokens(None) | AuthConfig::Jwt(_) | AuthConfig::Nobody => {
            let what =
                "the configuration names no file of tokens: write `api: { auth: { tokens: /etc/sharecast/tokens.yaml } }`, or say --file";
            Err(Failure::new(Exit::Configuration, what))
        }
    }
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(Exit::Configuration, format!("{}: {error}", path.display()))),
    }
}

fn wrong(error: impl ToString) -> Failure {
    Failure::new(Exit::Configuration, error)
}

fn parsed(path: &Path, text: &str) -> Result<Tokens, Failure> {
    Tokens::parse(&path.display().to_string(), text).map_err(wrong)
}

fn new(files: &[PathBuf], args: &NewTokenArgs) -> Result<Exit, Failure> {
    let path = path_of(files, args.file.as_deref())?;
    let who = args.tenant.clone().map_or(Party::Operator, Party::Tenant);
    let caller = Caller { who, role: args.role.unwrap_or(Role::Admin), name: args.name.as_deref().map(Into::into) };
    let bits = random().map_err(|error| Failure::new(Exit::Failed, format!("no random bits: {error}")))?;
    let token = format!("sct_{}", bits.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let _lock = lock(&path)?;
    let text = read(&path)?.unwrap_or_default();
    let changed = with_token(&path.display().to_string(), &text, TokenHash::of(&token), &caller).map_err(wrong)?;
    replace(&path, &changed)?;
    tell!("a token for {}, {}, is in {}; it is shown only now:", caller.who, caller.role.word(), path.display());
    writeln!(io::stdout(), "{token}").map_err(|error| {
        let what = format!("the token could not be printed ({error}), and nobody will see it: `sharecast token revoke` its line");
        Failure::new(Exit::Failed, what)
    })?;
    Ok(Exit::Ok)
}

/// So many digits of a hash name a token at least.
const SHORTEST_PREFIX: usize = 8;

fn revoke(files: &[PathBuf], args: &RevokeTokenArgs) -> Result<Exit, Failure> {
    let path = path_of(files, args.file.as_deref())?;
    let _lock = lock(&path)?;
    let missing = || Failure::new(Exit::Configuration, format!("{}: there is no such file", path.display()));
    let text = read(&path)?.ok_or_else(missing)?;
    let tokens = parsed(&path, &text)?;
    let which = args.which.as_str();
    let (own, prefix) = (TokenHash::of(which), which.trim_end_matches('…').to_ascii_lowercase());
    let is_prefix = prefix.len() >= SHORTEST_PREFIX;
    let fits = |entry: &&TokenEntry| {
        entry.hash == own || entry.caller.name.as_deref() == Some(which) || is_prefix && entry.hash.to_string().starts_with(&prefix)
    };
    let found: Vec<&TokenEntry> = tokens.entries().iter().filter(fits).collect();
    let entry = match found.as_slice() {
        [entry] => *entry,
        // What was typed may be a token, also one of another file.
        [] => {
            let what = format!("{} has no such token; nothing was changed. `sharecast token list` shows what there is", path.display());
            return Err(Failure::new(Exit::Failed, what));
        }
        several => {
            let lines: Vec<String> = several.iter().map(|entry| format!("\n  {}", in_words(entry))).collect();
            let what = format!("several tokens fit; name one by its hash, nothing was changed:{}", lines.concat());
            return Err(Failure::new(Exit::Failed, what));
        }
    };
    let changed = without_token(&path.display().to_string(), &text, entry.hash).map_err(wrong)?;
    replace(&path, &changed)?;
    tell!("revoked in {}: {}", path.display(), in_words(entry));
    Ok(Exit::Ok)
}

fn short(hash: &TokenHash) -> String {
    hash.to_string().chars().take(12).collect()
}

fn in_words(entry: &TokenEntry) -> String {
    let name = entry.caller.name.as_deref().map(|name| format!(", {name}")).unwrap_or_default();
    format!("{}  {}, {}{name}", short(&entry.hash), entry.caller.who, entry.caller.role.word())
}

fn list(files: &[PathBuf], file: Option<&Path>) -> Result<Exit, Failure> {
    let path = path_of(files, file)?;
    let missing = || Failure::new(Exit::Configuration, format!("{}: there is no such file", path.display()));
    let tokens = parsed(&path, &read(&path)?.ok_or_else(missing)?)?;
    let mut out = io::stdout().lock();
    for entry in tokens.entries() {
        writeln!(out, "{}", in_words(entry)).map_err(|error| Failure::new(Exit::Failed, error))?;
    }
    Ok(Exit::Ok)
}

/// One command at a time changes a file: the lock is a file beside it, held until this is dropped.
fn lock(path: &Path) -> Result<fs::File, Failure> {
    let beside = beside(path, "lock");
    let failed = |error: io::Error| Failure::new(Exit::Configuration, format!("{}: {error}", beside.display()));
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&beside).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Writes the whole file beside the old one and puts it in its place: a reader sees the one or the other. Nobody else may read it.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    // A file that is a link elsewhere stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let new = beside(&path, "new");
    let failed = |error: io::Error| Failure::new(Exit::Configuration, format!("{}: {error}; nothing was changed", path.display()));
    let write = || {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        if let Ok(old) = fs::metadata(&path) {
            // The server may run as another user than whoever calls this, who may then be allowed to give it away.
            let _ = std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()));
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(failed)
}
