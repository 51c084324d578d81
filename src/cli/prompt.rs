//! A person at a terminal: lines are shown, and lines are asked for. What is said here goes to the
//! terminal itself, whatever stdout and stderr are: a report in a pipe stays a report.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::IsTerminal as _;
use std::io::Write as _;

use rustyline::Behavior;
use rustyline::Config;
use rustyline::Editor;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;

use crate::cli::render::progress_bar::Bar;

/// Why no line came.
#[derive(Debug)]
pub enum Ended {
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the terminal is gone.
    EndOfInput,
    /// The terminal cannot be read or written.
    Failed(io::Error),
}

/// Somebody who is told lines and answers with lines.
pub trait Dialogue {
    /// Shows whole lines.
    fn say(&mut self, text: &str) -> Result<(), Ended>;
    /// Shows the beginning of a line, and gives what was put behind it, without the line's end.
    fn ask(&mut self, prompt: &str) -> Result<String, Ended>;
}

/// The terminal that the program runs in.
pub struct Terminal {
    out: File,
    lines: Lines,
    bar: Bar,
}

/// Where lines come from.
enum Lines {
    /// With cursor keys and so on.
    Edited(Box<Editor<(), MemHistory>>),
    /// As they come: on terminals that cannot move the cursor.
    Plain(BufReader<File>),
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

impl Terminal {
    /// The terminal; `None` without one. Where stdin is something else, nobody is there to answer.
    pub fn open() -> Option<Self> {
        if !io::stdin().is_terminal() {
            return None;
        }
        let out = tty().ok()?;
        let lines = if is_simple() {
            Lines::Plain(BufReader::new(tty().ok()?))
        } else {
            let config = Config::builder().behavior(Behavior::PreferTerm).build();
            let editor = Editor::with_history(config, MemHistory::new()).ok()?;
            Lines::Edited(Box::new(editor))
        };
        Some(Self {
            out,
            lines,
            bar: Bar::default(),
        })
    }

    /// The bar of progress goes away before anything is said.
    #[must_use]
    pub fn beside(mut self, bar: Bar) -> Self {
        self.bar = bar;
        self
    }

    fn write(&mut self, text: &str) -> Result<(), Ended> {
        self.bar.clear();
        let written = self.out.write_all(text.as_bytes());
        written
            .and_then(|()| self.out.flush())
            .map_err(Ended::Failed)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the terminal is a device, not a file that the Vfs knows"
)]
fn tty() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

/// True if the terminal only shows line after line. The editor would then talk to stdout.
fn is_simple() -> bool {
    std::env::var("TERM").is_ok_and(|term| ["dumb", "cons25", "emacs"].contains(&term.as_str()))
}

impl Dialogue for Terminal {
    fn say(&mut self, text: &str) -> Result<(), Ended> {
        self.write(text)
    }

    fn ask(&mut self, prompt: &str) -> Result<String, Ended> {
        self.bar.clear();
        if let Lines::Edited(editor) = &mut self.lines {
            return editor.readline(prompt).map_err(|error| match error {
                ReadlineError::Interrupted => Ended::Interrupted,
                ReadlineError::Eof => Ended::EndOfInput,
                ReadlineError::Io(error) => Ended::Failed(error),
                other => Ended::Failed(io::Error::other(other.to_string())),
            });
        }
        self.write(prompt)?;
        let Lines::Plain(lines) = &mut self.lines else {
            return Err(Ended::EndOfInput);
        };
        let mut line = String::new();
        match lines.read_line(&mut line) {
            Ok(0) => Err(Ended::EndOfInput),
            Ok(_) => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => Err(Ended::Failed(error)),
        }
    }
}
