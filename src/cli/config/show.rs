//! `sharecast config show`: what counts, and where it comes from.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::{Format, no_list_format};
use crate::cli::config;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{PrintError, exit, pretty, print_table, print_values};
use crate::config::shown::ShownKey;
use crate::json::document;
use crate::json::writer::object;

/// What there is to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every key as it counts, with where its value comes from; secrets are hidden
    Show(ShowArgs),
}

/// Options of `config show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// How it is printed: json is the configuration itself, ndjson a key a line with where it comes from
    #[arg(short, long, value_parser = no_list_format(), default_value = "table")]
    output: Format,
}

/// Runs the command.
pub fn run(files: &[PathBuf], command: &ConfigCommand) -> Result<Exit, Failure> {
    let ConfigCommand::Show(args) = command;
    let keys = config::shown(files)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let printed = match args.output {
        Format::Table | Format::Id => print_table(&["KEY", "VALUE", "FROM"], &keys.iter().map(row).collect::<Vec<_>>(), &mut out),
        Format::Ndjson => print_values(Format::Ndjson, keys.iter().map(line), &mut out),
        Format::Json => print_nested(&keys, &mut out),
    };
    exit(printed.and_then(|()| out.flush()).map_err(PrintError::from))
}

fn row(key: &ShownKey) -> Vec<String> {
    vec![dotted(&key.path), key.value.clone(), key.origin.clone()]
}

fn line(key: &ShownKey) -> Vec<u8> {
    object(|out| {
        out.text("key", &dotted(&key.path));
        out.member("value").extend_from_slice(key.value.as_bytes());
        out.text("from", &key.origin);
    })
}

/// A name with a dot of its own stands in brackets, as in a path.
fn dotted(path: &[String]) -> String {
    let name = |(at, name): (usize, &String)| match name.contains('.') {
        true => format!("['{name}']"),
        false if at == 0 => name.clone(),
        false => format!(".{name}"),
    };
    path.iter().enumerate().map(name).collect()
}

fn print_nested(keys: &[ShownKey], out: &mut impl Write) -> io::Result<()> {
    let mut json = Vec::new();
    nest(keys, 0, &mut json);
    let Ok(node) = document::parse(&json) else { unreachable!("it was written as JSON") };
    let mut text = Vec::new();
    pretty(&node, 0, &mut text);
    text.push(b'\n');
    out.write_all(&text)
}

/// The keys, which have `depth` names in common, as an object. Those of one map stand next to each other.
fn nest(keys: &[ShownKey], depth: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, group) in keys.chunk_by(|a, b| a.path[depth] == b.path[depth]).enumerate() {
        out.extend_from_slice(if at > 0 { b"," } else { b"" });
        crate::json::text::write_string(&group[0].path[depth], out);
        out.push(b':');
        if group[0].path.len() == depth + 1 {
            out.extend_from_slice(group[0].value.as_bytes());
        } else {
            nest(group, depth + 1, out);
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_nested_and_a_dotted_name_is_one() {
        let key = |path: &[&str], value: &str| ShownKey {
            path: path.iter().map(|name| (*name).to_owned()).collect(),
            value: value.to_owned(),
            origin: "default".to_owned(),
        };
        let keys = [key(&["a", "b"], "1"), key(&["a", "c.d"], "{}"), key(&["e"], "null")];
        let mut out = Vec::new();
        nest(&keys, 0, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":{"b":1,"c.d":{}},"e":null}"#);
        assert_eq!(keys.iter().map(|key| dotted(&key.path)).collect::<Vec<_>>(), ["a.b", "a['c.d']", "e"]);
    }
}
