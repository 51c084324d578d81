//! Why a command did not do its work: an error of the library, or words that cannot be meant.

use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::hint;
use crate::cli::hint::Advice;
use crate::cli::render::Look;
use crate::cli::signals::Signal;
use crate::error::Error;

/// Why a command ended without an outcome.
#[derive(Debug)]
pub enum Failure {
    /// The library could not do it.
    Library(Error),
    /// Found before the library was asked; `code` says of which sort it is.
    Said {
        /// How the program ends.
        code: Code,
        /// What, and which.
        message: String,
        /// What now; may have several lines.
        next: Option<String>,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl Failure {
    /// Words that cannot be meant: exit code 2.
    pub fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::said(Code::Usage, message, next)
    }

    /// A failure that was found before the library was asked.
    pub fn said(code: Code, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Said {
            code,
            message: message.into(),
            next: Some(next.into()).filter(|next| !next.is_empty()),
        }
    }

    /// How the program ends.
    pub fn code(&self, signal: Option<Signal>) -> Code {
        match self {
            Self::Library(error) => exit::of_error(error, signal),
            Self::Said { code, .. } => *code,
        }
    }

    /// What a person is told.
    pub fn advice(&self, look: &Look) -> Advice {
        match self {
            Self::Library(error) => hint::advise(error, look),
            Self::Said { message, next, .. } => Advice {
                message: message.clone(),
                next: next.clone(),
            },
        }
    }

    /// The causes below the error, outermost first.
    pub fn causes(&self) -> Vec<String> {
        let Self::Library(error) = self else {
            return Vec::new();
        };
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        causes
    }
}
