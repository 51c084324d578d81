//! A program at a pseudo-terminal: what it shows is read, and keys are pressed.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Nothing is waited for longer: then the test fails, with what was shown.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Session {
    child: Child,
    keyboard: File,
    pieces: Receiver<Vec<u8>>,
    /// All that was shown, without the codes that move the cursor.
    pub screen: String,
    /// Up to here it was expected.
    seen: usize,
}

/// How a program ended, and what it wrote to stdout.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub screen: String,
}

impl Session {
    /// Starts a program whose stdin and stderr are a terminal, its stdout a pipe.
    pub fn start(command: &Command) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(40, 200)).unwrap();
        let mut at_terminal = pty_process::blocking::Command::new(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm")
            .stdout(Stdio::piped());
        for (name, value) in command.get_envs() {
            at_terminal = match value {
                Some(value) => at_terminal.env(name, value),
                None => at_terminal.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            at_terminal = at_terminal.current_dir(folder);
        }
        let child = at_terminal.spawn(pts).unwrap();
        let keyboard = File::from(OwnedFd::from(pty));
        let mut shown = keyboard.try_clone().unwrap();
        let (sender, pieces) = channel();
        std::thread::spawn(move || {
            let mut piece = vec![0; 4096];
            // When the program ends, its terminal gives an error.
            while let Ok(count @ 1..) = shown.read(&mut piece) {
                if sender.send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            keyboard,
            pieces,
            screen: String::new(),
            seen: 0,
        }
    }

    /// Waits until this is shown, after what was expected before.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let mut raw = Vec::new();
        loop {
            if let Some(at) = self.screen[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            let piece = self.pieces.recv_timeout(PATIENCE);
            assert!(piece.is_ok(), "{text:?} was not shown:\n{}", self.screen);
            raw.extend(piece.unwrap());
            // Codes and letters that are cut are shown with their rest.
            if let Some(whole) = without_codes(&raw) {
                self.screen.push_str(&whole);
                raw.clear();
            }
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Answers a question.
    #[track_caller]
    pub fn answer(&mut self, prompt: &str, line: &str) {
        self.expect(prompt);
        self.press(&format!("{line}\r"));
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let mut out = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut out).unwrap();
        let code = self.child.wait().unwrap().code().unwrap();
        let rest: Vec<u8> = self.pieces.try_iter().flatten().collect();
        self.screen
            .push_str(&without_codes(&rest).unwrap_or_default());
        Ended {
            code,
            out,
            screen: self.screen,
        }
    }
}

/// Text without escape codes and carriage returns; `None` if it ends in the midst of something.
fn without_codes(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {}
            '\u{1b}' => {
                // `ESC [ … letter`
                let mut c = chars.next()?;
                if c == '[' {
                    c = chars.next()?;
                    while !c.is_ascii_alphabetic() {
                        c = chars.next()?;
                    }
                }
                let _ = c;
            }
            c => out.push(c),
        }
    }
    Some(out)
}
