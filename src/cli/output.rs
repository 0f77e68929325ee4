//! Results on stdout: aligned for people, JSON for programs.

use std::io::{self, Write};

use crate::cli::args::Format;
pub(super) use crate::cli::exit::shown;
use crate::cli::exit::{Exit, Failure};
use crate::document::{DocumentKind, Node};
use crate::json::document::write;
pub(super) use crate::json::document::write_pretty as pretty;

/// Why printing, or reading what is to be printed, ended early.
#[derive(Debug)]
pub(super) enum PrintError {
    /// Nobody reads on: `… | head` is no failure.
    Closed,
    /// Something failed.
    Failed(Failure),
}

impl From<Failure> for PrintError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for PrintError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(Failure::new(Exit::Failed, format!("stdout: {error}"))),
        }
    }
}

/// The exit of a command that prints.
pub(super) fn exit(printed: Result<(), PrintError>) -> Result<Exit, Failure> {
    match printed {
        Ok(()) | Err(PrintError::Closed) => Ok(Exit::Ok),
        Err(PrintError::Failed(failure)) => Err(failure),
    }
}

/// Values as one JSON list, or one a line.
pub(super) fn print_values(format: Format, values: impl IntoIterator<Item = Vec<u8>>, out: &mut impl Write) -> io::Result<()> {
    let is_list = format == Format::Json;
    out.write_all(if is_list { b"[" } else { b"" })?;
    for (at, value) in values.into_iter().enumerate() {
        out.write_all(if is_list && at > 0 { b"," } else { b"" })?;
        out.write_all(&value)?;
        out.write_all(if is_list { b"" } else { b"\n" })?;
    }
    out.write_all(if is_list { b"]\n" } else { b"" })
}

/// Rows under their headers, each column as wide as its widest cell.
pub(super) fn print_table(headers: &[&str], rows: &[Vec<String>], out: &mut impl Write) -> io::Result<()> {
    let mut widths: Vec<usize> = headers.iter().map(|header| header.chars().count()).collect();
    for row in rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
    for row in std::iter::once(&headers).chain(rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", shown(cell))).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// A JSON object member by member, for people: a name and a value a line.
pub(super) fn print_members(json: &[u8], out: &mut impl Write) -> io::Result<()> {
    let Ok(node) = crate::json::document::parse(json) else { return Ok(()) };
    let width = node.members().iter().map(|member| member.name.chars().count()).max().unwrap_or(0);
    for member in node.members() {
        let value = match &member.value.kind {
            DocumentKind::String(text) => text.clone(),
            DocumentKind::List(items) => items.iter().filter_map(Node::as_str).collect::<Vec<_>>().join(", "),
            _ => {
                let mut text = Vec::new();
                write(&member.value, &mut text);
                String::from_utf8_lossy(&text).into_owned()
            }
        };
        writeln!(out, "{:<width$}  {}", member.name, shown(&value))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(print: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_and_nobody_steers_the_terminal() {
        let rows = [["é".to_owned(), "b\u{1b}[2J".to_owned()].to_vec(), ["long".to_owned(), "-".to_owned()].to_vec()];
        assert_eq!(text(|out| print_table(&["A", "B"], &rows, out)), "A     B\né     b\u{fffd}[2J\nlong  -\n");
    }

    #[test]
    fn values_are_one_list_or_a_line_each() {
        let values = || [b"1".to_vec(), b"{}".to_vec()];
        assert_eq!(text(|out| print_values(Format::Json, values(), out)), "[1,{}]\n");
        assert_eq!(text(|out| print_values(Format::Json, [], out)), "[]\n");
        assert_eq!(text(|out| print_values(Format::Ndjson, values(), out)), "1\n{}\n");
    }

    #[test]
    fn pretty_json_keeps_numbers_as_written() {
        let node = crate::json::document::parse(br#"{"a":{"include":["$.x","$.y"],"n":1.0},"b":[{}],"c":{}}"#).unwrap();
        let mut out = Vec::new();
        pretty(&node, 0, &mut out);
        let expected = "{\n  \"a\": {\n    \"include\": [\"$.x\",\"$.y\"],\n    \"n\": 1.0\n  },\n  \"b\": [\n    {}\n  ],\n  \"c\": {}\n}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
