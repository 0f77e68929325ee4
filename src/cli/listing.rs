//! What all lists have in common: which column they are sorted by, how many rows there are, and `-o id`.

use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::marker::PhantomData;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Args, Command};

use crate::cli::args::Format;
use crate::cli::output::{print_table, print_values};
use crate::time::TimestampNs;

/// The other way round.
const DESCENDING: &str = ":desc";

/// A list of one kind.
pub trait Listing: Clone + Send + Sync + 'static {
    /// Its columns as `--sort` names them, each another one: lower case, `-` for a space.
    const COLUMNS: &'static [&'static str];
}

/// Options of a list.
#[derive(Debug, Clone, Default, Args)]
pub struct ListArgs<L: Listing> {
    /// Sort by this column of the table, by COLUMN:desc the other way round; rows without a value come last. Default: by id
    #[arg(long, value_name = "COLUMN", value_parser = SortParser::<L>(PhantomData))]
    sort: Option<SortBy>,
    /// Show the first N only, after sorting
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[arg(skip)]
    of: PhantomData<L>,
}

/// A column, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SortBy {
    column: usize,
    is_descending: bool,
}

/// Reads `--sort` of one kind of list.
#[derive(Debug, Clone)]
struct SortParser<L: Listing>(PhantomData<L>);

impl<L: Listing> TypedValueParser for SortParser<L> {
    type Value = SortBy;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<SortBy, clap::Error> {
        let text = value.to_string_lossy().to_lowercase();
        let name = text.strip_suffix(DESCENDING).unwrap_or(&text);
        let found = L::COLUMNS.iter().position(|column| *column == name);
        found.map(|column| SortBy { column, is_descending: name.len() < text.len() }).ok_or_else(|| {
            let mut error = clap::Error::new(ErrorKind::InvalidValue).with_cmd(command);
            let known = L::COLUMNS.iter().map(|column| (*column).to_owned()).collect();
            let argument = argument.map(ToString::to_string).unwrap_or_default();
            error.insert(ContextKind::InvalidArg, ContextValue::String(argument));
            error.insert(ContextKind::InvalidValue, ContextValue::String(value.to_string_lossy().into_owned()));
            error.insert(ContextKind::ValidValue, ContextValue::Strings(known));
            error
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(L::COLUMNS.iter().map(|column| PossibleValue::new(*column))))
    }
}

/// What is in one column of one row, in an order of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Cell {
    /// A word.
    Text(String),
    /// A number.
    Number(i64),
    /// A moment.
    Time(TimestampNs),
    /// There is none.
    None,
}

impl Cell {
    /// A word, if there is one.
    pub(in crate::cli) fn text_if(text: Option<&str>) -> Self {
        text.map_or(Self::None, |text| Self::Text(text.to_owned()))
    }

    /// A moment, if there is one.
    pub(in crate::cli) fn time_if(time: Option<TimestampNs>) -> Self {
        time.map_or(Self::None, Self::Time)
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Time(time) => time.to_string(),
            Self::None => "-".to_owned(),
        }
    }
}

/// How one thing of a list is shown.
pub(in crate::cli) struct Shown<C, I, J> {
    /// In the table, column by column.
    pub(in crate::cli) cells: C,
    /// As the argument of another command.
    pub(in crate::cli) id: I,
    /// As JSON.
    pub(in crate::cli) json: J,
}

impl<L: Listing> ListArgs<L> {
    /// Whether anything is asked of the list.
    pub(in crate::cli) fn is_given(&self) -> bool {
        self.sort.is_some() || self.limit.is_some()
    }

    /// Prints the list: sorted, and no more of it than was asked for.
    pub(in crate::cli) fn print<T, C, I, J>(&self, format: Format, all: Vec<T>, shown: &Shown<C, I, J>) -> io::Result<()>
    where
        C: Fn(&T) -> Vec<Cell>,
        I: Fn(&T) -> String,
        J: Fn(&T) -> Vec<u8>,
    {
        let all = self.arranged(all, &shown.cells);
        let mut out = BufWriter::new(io::stdout().lock());
        match format {
            Format::Table => {
                let row = |one: &T| (shown.cells)(one).iter().map(Cell::shown).collect();
                let headers: Vec<String> = L::COLUMNS.iter().map(|column| column.to_uppercase().replace('-', " ")).collect();
                let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
                print_table(&headers, &all.iter().map(row).collect::<Vec<_>>(), &mut out)?;
            }
            Format::Id => all.iter().try_for_each(|one| writeln!(out, "{}", (shown.id)(one)))?,
            Format::Json | Format::Ndjson => print_values(format, all.iter().map(&shown.json), &mut out)?,
        }
        out.flush()
    }

    fn arranged<T>(&self, mut all: Vec<T>, cells: impl Fn(&T) -> Vec<Cell>) -> Vec<T> {
        if let Some(SortBy { column, is_descending }) = self.sort {
            let mut keyed: Vec<(Cell, T)> = all.into_iter().map(|one| (cells(&one).swap_remove(column), one)).collect();
            keyed.sort_by(|(a, _), (b, _)| match (a, b) {
                (Cell::None, _) | (_, Cell::None) => a.cmp(b),
                _ if is_descending => b.cmp(a),
                _ => a.cmp(b),
            });
            all = keyed.into_iter().map(|(_, one)| one).collect();
        }
        all.truncate(self.limit.unwrap_or(usize::MAX));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Clone)]
    struct Things;

    impl Listing for Things {
        const COLUMNS: &'static [&'static str] = &["thing", "how-many"];
    }

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        list: ListArgs<Things>,
    }

    fn arranged(options: &[&str]) -> Result<Vec<&'static str>, String> {
        let things = vec![("b", Cell::Number(9)), ("a", Cell::Number(10)), ("c", Cell::None), ("d", Cell::Number(9))];
        let line = Line::try_parse_from([&["list"], options].concat()).map_err(|error| error.to_string())?;
        let cells = |(name, count): &(&str, Cell)| vec![Cell::Text((*name).to_owned()), count.clone()];
        Ok(line.list.arranged(things, cells).into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn rows_are_sorted_by_any_column_and_cut_after_that() {
        assert_eq!(arranged(&[]).unwrap(), ["b", "a", "c", "d"]);
        assert_eq!(arranged(&["--sort", "thing"]).unwrap(), ["a", "b", "c", "d"]);
        assert_eq!(arranged(&["--sort", "THING:desc", "--limit", "2"]).unwrap(), ["d", "c"]);
        assert_eq!(arranged(&["--sort", "how-many"]).unwrap(), ["b", "d", "a", "c"], "numbers as numbers, equal ones as they came");
        assert_eq!(arranged(&["--sort", "how-many:desc"]).unwrap(), ["a", "b", "d", "c"], "what has no value comes last");
        assert_eq!(arranged(&["--limit", "0"]).unwrap(), [""; 0]);
    }

    #[test]
    fn a_column_that_is_not_there_is_refused_with_those_that_are() {
        for wrong in ["many", "how many", "thing:asc", "thing:", ""] {
            let said = arranged(&["--sort", wrong]).unwrap_err();
            assert!(said.contains("[possible values: thing, how-many]"), "{wrong}: {said}");
        }
        assert!(arranged(&["--limit", "-1"]).is_err());
    }

    #[test]
    fn times_are_sorted_as_times() {
        let time = |text: &str| Cell::Time(TimestampNs::parse_rfc3339(text).unwrap());
        assert_eq!(time("2026-01-01T00:00:00Z").cmp(&time("2026-01-01T00:00:00.5Z")), Ordering::Less);
        assert_eq!(Cell::None.shown(), "-");
    }
}
