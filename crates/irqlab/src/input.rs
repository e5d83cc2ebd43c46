//! What the batch commands share: files of lines, plain or compressed, and errors that say where.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use diagnostic::{Diagnostic, file};
use flate2::bufread::MultiGzDecoder;
use kstate::cpumask::MAX_CPUS;
use kstate::semantics::KernelVersion;
use serde::de::DeserializeOwned;
use sim::machine::Machine;
use thiserror::Error;

/// Parses a kernel's name.
pub fn kernel(name: &str) -> Result<KernelVersion, String> {
    // `5.4` is what `uname -r` begins with.
    let named = KernelVersion::from_name(name).or_else(|| KernelVersion::from_name(&format!("v{name}")));
    named.ok_or_else(|| format!("expected {}", KernelVersion::names()))
}

/// Reads a file as text; what goes wrong names it.
pub fn read(path: &Path) -> diagnostic::Result<String> {
    Ok(file::read(path)?)
}

/// The name and the text of a machine file; without one, those of the embedded machine.
pub fn machine_file(path: Option<&Path>) -> diagnostic::Result<(String, String)> {
    match path {
        Some(path) => Ok((path.display().to_string(), read(path)?)),
        None => Ok(("embedded.toml".to_owned(), Machine::EMBEDDED.to_owned())),
    }
}

/// A mistake in an option's value.
#[derive(Debug, Error)]
#[error("{option}: {found}")]
pub struct OptionError {
    /// The option.
    pub option: &'static str,
    /// What is wrong.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl Diagnostic for OptionError {
    fn help(&self) -> Option<String> {
        Some(format!("expected {}", self.expected))
    }
}

impl OptionError {
    /// Says what is wrong with an option and what would be right.
    pub fn new(option: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { option, found: found.into(), expected: expected.into() }
    }
}

/// A mistake in a file, or a file that cannot be read.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file cannot be opened or read, or is no gzip file although it begins like one.
    #[error("{}: cannot read this file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The content is not what it should be.
    #[error("{}:{line}:{column}: {found}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        found: String,
        /// What would be right.
        expected: String,
    },
}

impl Diagnostic for FileError {
    fn help(&self) -> Option<String> {
        match self {
            Self::Read { .. } => None,
            Self::Content { expected, .. } => Some(format!("expected {expected}")),
        }
    }
}

impl FileError {
    /// What is no JSON, or not of the shape that was expected, in a line of a file.
    pub fn json(path: &Path, line: usize, error: &serde_json::Error, expected: &str) -> Self {
        let text = error.to_string();
        // The position stands in front already.
        let found = text.rsplit_once(" at line ").map_or(text.as_str(), |(t, _)| t);
        let found = diagnostic::reader::in_words(found);
        let (line, column) = (line.max(1), error.column().max(1));
        Self::Content { path: path.to_owned(), line, column, found, expected: expected.to_owned() }
    }
}

/// The output went away or its device is full.
#[derive(Debug, Error)]
#[error("cannot write the output")]
pub struct OutputError(#[from] pub io::Error);

impl Diagnostic for OutputError {}

/// Standard output, buffered, with errors that name it.
///
/// That the reader is gone (`| head`) is no error: what is written then is lost, and the exit status is what
/// it would have been.
pub struct Output {
    writer: Box<dyn Write>,
    gone: bool,
}

impl Output {
    /// What is written stays as it is.
    pub fn new() -> Self {
        Self::of(io::stdout().lock())
    }

    /// For tests of what is read: nobody sees what is written.
    #[cfg(test)]
    pub fn nowhere() -> Self {
        Self::of(io::sink())
    }

    /// For text with styles, which only a terminal gets to see.
    pub fn styled() -> Self {
        Self::of(anstream::AutoStream::auto(io::stdout()).lock())
    }

    fn of(writer: impl Write + 'static) -> Self {
        Self { writer: Box::new(io::BufWriter::new(writer)), gone: false }
    }

    /// Nobody reads on: what follows may as well be left out.
    pub const fn is_gone(&self) -> bool {
        self.gone
    }

    fn check(&mut self, result: io::Result<()>) -> Result<(), OutputError> {
        match result {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                // What is left in the buffer would be tried again.
                self.writer = Box::new(io::sink());
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Writes text and a newline.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn line(&mut self, text: impl core::fmt::Display) -> Result<(), OutputError> {
        let written = writeln!(self.writer, "{text}");
        self.check(written)
    }

    /// Writes text as it is.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn text(&mut self, text: &str) -> Result<(), OutputError> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let written = self.writer.write_all(bytes);
        self.check(written)
    }

    /// Hands what was written to the system.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn flush(&mut self) -> Result<(), OutputError> {
        let written = self.writer.flush();
        self.check(written)
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(mut self) -> Result<(), OutputError> {
        self.flush()
    }
}

/// Writes a text with styles that is all of the output.
///
/// # Errors
/// When the output cannot be written.
pub fn print(text: &str) -> Result<(), OutputError> {
    let mut out = Output::styled();
    out.text(text)?;
    out.finish()
}

/// Prints a value as JSON, for programs.
///
/// # Errors
/// When the output cannot be written.
pub fn json(value: &impl serde::Serialize) -> diagnostic::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| diagnostic::report!("{e}"))?;
    let mut out = Output::new();
    out.line(text)?;
    Ok(out.finish()?)
}

/// Says something on standard error. Who has closed it does not want to know.
pub fn complain(text: impl core::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// The lines of a file with their numbers; blank ones are left out.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    number: usize,
}

impl Lines {
    /// Opens a file; `-` is standard input. A gzip file is recognized by its first bytes.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let error = |source| FileError::Read { path: path.to_owned(), source };
        let source: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(error)?)
        };
        let mut reader = BufReader::new(source);
        let packed = reader.fill_buf().map_err(error)?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn BufRead> =
            if packed { Box::new(BufReader::new(MultiGzDecoder::new(reader))) } else { Box::new(reader) };
        Ok(Self { path: path.to_owned(), reader, number: 0 })
    }

    /// The lines of a text.
    #[cfg(test)]
    pub fn of(text: &str) -> Self {
        let reader = Box::new(io::Cursor::new(text.to_owned().into_bytes()));
        Self { path: PathBuf::from("-"), reader, number: 0 }
    }

    /// The next line that is not blank.
    ///
    /// # Errors
    /// When the file cannot be read on, or holds something that is no text.
    pub fn next_line(&mut self) -> Result<Option<Line>, FileError> {
        loop {
            let bytes = read_line(&mut self.reader)
                .map_err(|source| FileError::Read { path: self.path.clone(), source })?;
            if bytes.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            let text = String::from_utf8(bytes).map_err(|e| FileError::Content {
                path: self.path.clone(),
                line: self.number,
                column: e.utf8_error().valid_up_to() + 1,
                found: "this is no text".to_owned(),
                expected: "UTF-8".to_owned(),
            })?;
            if !text.trim().is_empty() {
                let text = text.trim_end().to_owned();
                return Ok(Some(Line { path: self.path.clone(), number: self.number, text }));
            }
        }
    }
}

/// The next line with its newline; nothing where the input ends. A line has an end, or it is an error:
/// there are files that have none.
pub fn read_line(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(file::LIMIT).read_until(b'\n', &mut bytes)?;
    if bytes.len() as u64 == file::LIMIT {
        return Err(io::Error::other(format!("a line is longer than {} MiB", file::LIMIT >> 20)));
    }
    Ok(bytes)
}

/// One line of a file.
#[derive(Debug)]
pub struct Line {
    /// The file.
    pub path: PathBuf,
    /// Its number, from 1.
    pub number: usize,
    /// Without its newline.
    pub text: String,
}

impl Line {
    /// A mistake in this line.
    pub fn error(&self, column: usize, found: impl Into<String>, expected: impl Into<String>) -> FileError {
        FileError::Content {
            path: self.path.clone(),
            line: self.number,
            column,
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// Reads the line as JSON.
    ///
    /// # Errors
    /// When it is no JSON or not of this shape; `expected` says what it should be.
    pub fn json<T: DeserializeOwned>(&self, expected: &str) -> Result<T, FileError> {
        serde_json::from_str(&self.text).map_err(|e| FileError::json(&self.path, self.number, &e, expected))
    }
}

/// Which kernels to ask: the one that was named, else all.
pub fn kernels(named: Option<KernelVersion>) -> Vec<KernelVersion> {
    named.map_or_else(|| KernelVersion::ALL.to_vec(), |v| vec![v])
}

/// Reads the name of a kernel.
///
/// # Errors
/// For a kernel that is not modelled.
pub fn parse_kernel(text: &str) -> Result<KernelVersion, String> {
    KernelVersion::from_name(text).ok_or_else(|| format!("expected {}", KernelVersion::names()))
}

/// The answer for a kernel in an `expect` object, whose keys are names of kernels, several of them
/// with commas between where they agree.
pub fn expected<T>(expect: &std::collections::BTreeMap<String, T>, version: KernelVersion) -> Option<&T> {
    expect.iter().find(|(key, _)| key.split(',').any(|k| k == version.name())).map(|(_, value)| value)
}

/// A number of CPUs that a machine can have, or why it cannot.
///
/// # Errors
/// For none and for more than [`MAX_CPUS`].
pub fn check_cpus(cpus: u64) -> Result<u32, String> {
    match cpus {
        0 => Err("a machine without CPUs".to_owned()),
        1..=8192 => Ok(cpus as u32),
        _ => Err(format!("{cpus} CPUs, more than a machine can have ({MAX_CPUS})")),
    }
}
