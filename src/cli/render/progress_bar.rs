//! How long work is shown: a bar on a terminal after a second, else now and then a line; findings
//! as they come. Also hands the caught signal to the work.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;

use crate::cli::output::Streams;
use crate::cli::render::figures;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::cli::signals::Signals;
use crate::env::Env;
use crate::progress::Finding;
use crate::progress::Progress;
use crate::progress::Severity;
use crate::progress::StopSign;
use crate::progress::Unit;

/// Work that is done sooner shows no bar.
const BAR_AFTER: Duration = Duration::from_secs(1);
/// Without a terminal a line is written this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What is shown while work goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A bar, and findings.
    Terminal,
    /// A line now and then, and findings.
    Lines,
    /// Findings.
    FindingsOnly,
    /// Warnings.
    Quiet,
    /// Findings as JSON lines on stdout.
    Json,
}

/// The bar that is on the terminal now, if any. Who writes to the terminal clears it first; it comes
/// again with the next step.
#[derive(Debug, Clone, Default)]
pub struct Bar(Rc<RefCell<Option<ProgressBar>>>);

impl Bar {
    /// Takes it off the terminal.
    pub fn clear(&self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }

    fn get(&self) -> Option<ProgressBar> {
        self.0.borrow().clone()
    }

    fn set(&self, bar: ProgressBar) {
        self.0.replace(Some(bar));
    }
}

/// Tells a person or program how far work is.
pub struct Reporter<'a> {
    streams: &'a mut Streams,
    style: Style,
    signals: Signals,
    env: Arc<dyn Env>,
    began: Duration,
    last_line: Duration,
    phase: Phase,
    bar: Bar,
    shown: Vec<Finding>,
}

#[derive(Debug)]
struct Phase {
    name: String,
    total: u64,
    unit: Unit,
    done: u64,
}

impl std::fmt::Debug for Reporter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reporter")
            .field("style", &self.style)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl<'a> Reporter<'a> {
    /// Nothing has been reported yet; the second until the bar begins now.
    pub fn new(
        streams: &'a mut Streams,
        style: Style,
        signals: Signals,
        env: Arc<dyn Env>,
    ) -> Self {
        let began = env.monotonic();
        Self {
            streams,
            style,
            signals,
            env,
            began,
            last_line: began,
            phase: Phase {
                name: String::new(),
                total: 0,
                unit: Unit::Records,
                done: 0,
            },
            bar: Bar::default(),
            shown: Vec::new(),
        }
    }

    /// Ends the bar, and shows those of the outcome's findings that were not reported before.
    pub fn finish(mut self, findings: &[Finding]) {
        self.bar.clear();
        for finding in findings {
            if !self.shown.contains(finding) {
                self.found(finding);
            }
        }
    }

    /// For others who write to the terminal meanwhile.
    pub fn bar(&self) -> Bar {
        self.bar.clone()
    }

    fn show_bar(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.set_position(self.phase.done);
            return;
        }
        if self.env.monotonic().saturating_sub(self.began) < BAR_AFTER {
            return;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let count = match self.phase.unit {
            Unit::Bytes => ("{binary_bytes}", "{binary_total_bytes}"),
            Unit::Records | Unit::Blobs => ("{human_pos}", "{human_len}"),
        };
        let template = if self.phase.total == 0 {
            format!("{{msg}}  {} {}", count.0, self.phase.noun())
        } else {
            bar.set_length(self.phase.total);
            format!(
                "{{msg}}  [{{bar:30}}] {} of {} {}  {{eta}} left",
                count.0,
                count.1,
                self.phase.noun()
            )
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(self.phase.name.clone());
        bar.set_position(self.phase.done);
        // Shown only now: it would begin in another style.
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.tick();
        self.bar.set(bar);
    }

    fn show_line(&mut self) {
        let now = self.env.monotonic();
        if now.saturating_sub(self.last_line) >= LINE_EVERY {
            self.last_line = now;
            let line = self.phase.line();
            self.streams.problem(&line);
        }
    }
}

impl Phase {
    /// Adds steps. Work that is done more than once comes to more than was foreseen: from then on only what
    /// is done is told; true then.
    fn add(&mut self, steps: u64) -> bool {
        self.done = self.done.saturating_add(steps);
        let is_over = self.total > 0 && self.done > self.total;
        if is_over {
            self.total = 0;
        }
        is_over
    }

    fn noun(&self) -> &'static str {
        match self.unit {
            Unit::Bytes => "",
            Unit::Records => "records",
            Unit::Blobs => "blobs",
        }
    }

    /// `reading orders: 1,204 of 5,000 records`
    fn line(&self) -> String {
        let shown = |n| match self.unit {
            Unit::Bytes => figures::bytes(n),
            Unit::Records | Unit::Blobs => figures::count(n),
        };
        let of = if self.total == 0 {
            String::new()
        } else {
            format!(" of {}", shown(self.total))
        };
        let line = format!("{}: {}{of} {}", self.name, shown(self.done), self.noun());
        format!("{}\n", line.trim_end())
    }
}

impl Progress for Reporter<'_> {
    fn phase(&mut self, name: &str, total: u64, unit: Unit) {
        self.bar.clear();
        self.phase = Phase {
            name: super::escape::shown(name).into_owned(),
            total,
            unit,
            done: 0,
        };
    }

    fn advance(&mut self, steps: u64) {
        if self.phase.add(steps) {
            self.bar.clear();
        }
        match self.style {
            Style::Terminal => self.show_bar(),
            Style::Lines => self.show_line(),
            Style::FindingsOnly | Style::Quiet | Style::Json => {}
        }
    }

    fn found(&mut self, finding: &Finding) {
        self.shown.push(finding.clone());
        match self.style {
            Style::Json => self.streams.document(&json::finding(finding)),
            Style::Quiet if finding.severity == Severity::Note => {}
            Style::Terminal | Style::Lines | Style::FindingsOnly | Style::Quiet => {
                let line = text::finding(finding);
                match self.bar.get() {
                    Some(bar) => bar.suspend(|| self.streams.problem(&line)),
                    None => self.streams.problem(&line),
                }
            }
        }
    }

    fn cancelled(&self) -> bool {
        self.signals.caught().is_some()
    }

    fn stop_sign(&self) -> StopSign {
        let signals = self.signals.clone();
        StopSign::new(move || signals.caught().is_some())
    }
}

impl Drop for Reporter<'_> {
    fn drop(&mut self) {
        self.bar.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_clears_the_bar_ends_it_and_the_next_one_is_another() {
        let (mine, theirs) = (Bar::default(), Bar::default());
        let reporters = mine.clone();
        let shown = ProgressBar::hidden();
        reporters.set(shown.clone());
        theirs.clear();
        assert!(!shown.is_finished());
        mine.clear();
        assert!(shown.is_finished());
        assert!(reporters.get().is_none());
        mine.clear();
    }

    #[test]
    fn no_phase_is_more_than_done() {
        let mut phase = Phase {
            name: "Planning".into(),
            total: 5,
            unit: Unit::Records,
            done: 0,
        };
        assert!(!phase.add(5));
        assert_eq!(phase.line(), "Planning: 5 of 5 records\n");
        assert!(phase.add(1));
        assert_eq!(phase.line(), "Planning: 6 records\n");
        assert!(!phase.add(1));
    }

    #[test]
    fn a_line_says_how_far_the_phase_is() {
        let mut phase = Phase {
            name: "reading orders".into(),
            total: 5000,
            unit: Unit::Records,
            done: 1204,
        };
        assert_eq!(phase.line(), "reading orders: 1,204 of 5,000 records\n");
        phase.total = 0;
        phase.unit = Unit::Bytes;
        assert_eq!(phase.line(), "reading orders: 1.2 KiB\n");
    }
}
