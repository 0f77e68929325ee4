//! `sharecast schema`: JSON Schemas of what people write, for editors, and the topics of a configuration as AsyncAPI.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::config;
use crate::cli::exit::{Exit, Failure};
use crate::contract::asyncapi;
use crate::schema::Described;

/// Which one.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// What it describes
    #[arg(value_enum)]
    of: SchemaOf,
}

/// What there is a schema of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// A configuration file (-c), as JSON Schema
    Config,
    /// A sharing profile, as JSON Schema
    Profile,
    /// A control event, as JSON Schema
    Event,
    /// A test file, as JSON Schema
    Test,
    /// All topics of the configuration, as AsyncAPI 3.0
    Asyncapi,
    /// The API of `sharecast serve`, as OpenAPI 3.1
    #[cfg(feature = "io")]
    Openapi,
}

/// Prints it.
pub fn run(files: &[PathBuf], args: &SchemaArgs) -> Result<Exit, Failure> {
    let text = match args.of {
        SchemaOf::Config => Described::Config.text(),
        SchemaOf::Profile => Described::Profile.text(),
        SchemaOf::Event => Described::Event.text(),
        SchemaOf::Test => Described::Test.text(),
        SchemaOf::Asyncapi => asyncapi::of_configuration(&config::load(files)?),
        #[cfg(feature = "io")]
        SchemaOf::Openapi => format!("{}\n", crate::serve::rest::routes::document_text()),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(Exit::Failed, format!("stdout: {error}"))),
        _ => Ok(Exit::Ok),
    }
}
