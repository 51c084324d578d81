//! The two streams. The only file of the command line that writes.
//!
//! A reader that goes away (a broken pipe on stdout) ends the output quietly. Any other failure to
//! write is remembered and told once, at the end. stdout is flushed before stderr is written, so
//! that a terminal shows both in the order they were said.

use std::io::BufWriter;
use std::io::IsTerminal as _;
use std::io::Write;

use serde::Serialize;

use crate::cli::exit::Code;

/// stdout and stderr, or what stands for them in a test.
pub struct Streams {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    err_is_terminal: bool,
    out_error: Option<std::io::Error>,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

impl Streams {
    /// The process's own.
    pub fn system() -> Self {
        let out = BufWriter::with_capacity(64 * 1024, std::io::stdout());
        let mut streams = Self::of(Box::new(out), Box::new(std::io::stderr()));
        streams.err_is_terminal = std::io::stderr().is_terminal();
        streams
    }

    /// Any two writers.
    pub fn of(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self {
            out,
            err,
            err_is_terminal: false,
            out_error: None,
        }
    }

    /// True if a person sees stderr as it is written.
    pub fn err_is_terminal(&self) -> bool {
        self.err_is_terminal
    }

    /// True once the reader of stdout has gone away.
    pub fn is_closed(&self) -> bool {
        self.out_error
            .as_ref()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// True once stdout could not be written: `finish` says why.
    pub fn has_failed(&self) -> bool {
        self.out_error.is_some() && !self.is_closed()
    }

    /// Writes text to stdout.
    pub fn print(&mut self, text: &str) {
        // A failure is kept by `write`.
        let _ = self.write_all(text.as_bytes());
    }

    /// Writes one document, on a line of its own, to stdout.
    pub fn document(&mut self, document: &impl Serialize) {
        match serde_json::to_string(document) {
            Ok(line) => {
                self.print(&line);
                self.print("\n");
                let _ = self.flush();
            }
            Err(error) => self.keep(error.into()),
        }
    }

    /// Writes text to stderr.
    pub fn problem(&mut self, text: &str) {
        let _ = self.flush();
        // Where stderr cannot be written there is no place left to say so.
        let _ = self.err.write_all(text.as_bytes());
        let _ = self.err.flush();
    }

    /// Writes one document, on a line of its own, to stderr.
    pub fn problem_json(&mut self, document: &impl Serialize) {
        if let Ok(line) = serde_json::to_string(document) {
            self.problem(&format!("{line}\n"));
        }
    }

    /// Flushes stdout. Output that could not be written makes work that was done a failure.
    pub fn finish(mut self, code: Code) -> Code {
        let _ = self.flush();
        match self.out_error.take() {
            Some(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                self.problem(&format!("error: cannot write to stdout: {error}\n"));
                code.and(Code::Failed)
            }
            _ => code,
        }
    }

    fn keep(&mut self, error: std::io::Error) {
        self.out_error.get_or_insert(error);
    }

    /// The result as it is, an error of it kept for `finish`.
    fn kept<T>(&mut self, result: std::io::Result<T>) -> std::io::Result<T> {
        result.map_err(|error| {
            let again = std::io::Error::new(error.kind(), error.to_string());
            if error.kind() != std::io::ErrorKind::Interrupted {
                self.keep(error);
            }
            again
        })
    }
}

/// Writes to stdout, for operations that write records themselves.
impl Write for Streams {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(error) = &self.out_error {
            return Err(error.kind().into());
        }
        let result = self.out.write(bytes);
        self.kept(result)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if let Some(error) = &self.out_error {
            return Err(error.kind().into());
        }
        let result = self.out.flush();
        self.kept(result)
    }
}
