//! The questions of an interactive restore: one for every missing value of a reference.
//!
//! Who is asked is a [`Dialogue`], so that the questions can be tested without a terminal. An answer
//! is final: nothing is offered after it. Rules: docs/restore.md §4.

mod search;
mod typed;

use crate::cli::prompt::Dialogue;
use crate::cli::prompt::Ended;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::cli::render::values;
use crate::error::Error;
use crate::model::text::TextEncoding;
use crate::model::value::Value;
use crate::ops::restore::Candidates;
use crate::ops::restore::Choice;
use crate::ops::restore::Decider;
use crate::ops::restore::Decision;
use crate::ops::restore::Missing;

/// Asks about missing values, and remembers what was answered.
#[derive(Debug)]
pub struct Questions<D> {
    dialogue: D,
    target: String,
    encoding: TextEncoding,
    for_all: Vec<ForAll>,
    given: Vec<Decision>,
    ended: Option<Ended>,
}

/// An answer for all further missing values of a reference.
#[derive(Debug)]
struct ForAll {
    table: String,
    columns: Vec<String>,
    parent: String,
    answer: Sweeping,
}

/// Answers that need nothing but themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sweeping {
    Create,
    Skip,
    Null,
}

/// Why a question has no answer.
#[derive(Debug)]
enum Unanswered {
    Ended(Ended),
    Failed(Error),
}

impl From<Ended> for Unanswered {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<D: Dialogue> Questions<D> {
    /// Questions about references into `target`; texts are in the encoding of the snapshot.
    pub fn new(dialogue: D, target: String, encoding: TextEncoding) -> Self {
        Self {
            dialogue,
            target,
            encoding,
            for_all: Vec::new(),
            given: Vec::new(),
            ended: None,
        }
    }

    /// What was answered.
    pub fn given(&self) -> &[Decision] {
        &self.given
    }

    /// Why no more could be asked, if that is so.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    fn answer(
        &mut self,
        missing: &Missing,
        candidates: &mut dyn Candidates,
    ) -> Result<Choice, Unanswered> {
        if let Some(choice) = self.swept(missing) {
            return Ok(choice);
        }
        let question = self.question(missing);
        self.dialogue.say(&question)?;
        loop {
            let line = self.dialogue.ask("> ")?;
            let word = line.trim();
            let word = match word {
                "" if missing.can_be_created() => "c",
                word => word,
            };
            match word.to_ascii_lowercase().as_str() {
                "c" if missing.can_be_created() => {
                    self.sweep(word, missing, Sweeping::Create);
                    return Ok(Choice::Create(Vec::new()));
                }
                "c" | "v" => {
                    if let Some(row) = self.values(missing)? {
                        return Ok(Choice::Create(row));
                    }
                    self.dialogue.say(&question)?;
                }
                "m" => {
                    let dialogue = &mut self.dialogue;
                    if let Some(key) = search::choose(dialogue, missing, candidates)? {
                        return Ok(Choice::Map(key));
                    }
                    self.dialogue.say(&question)?;
                }
                "n" if missing.nullable => {
                    self.sweep(word, missing, Sweeping::Null);
                    return Ok(Choice::Null);
                }
                "s" => {
                    self.sweep(word, missing, Sweeping::Skip);
                    return Ok(Choice::Skip);
                }
                "a" => return Ok(Choice::Abort),
                _ => self.dialogue.say(&unknown(word, missing))?,
            }
        }
    }

    /// What was answered for all values of the reference before.
    fn swept(&self, missing: &Missing) -> Option<Choice> {
        let mut all = self.for_all.iter();
        let found = all.find(|all| {
            all.table == missing.table
                && all.columns == missing.columns
                && all.parent == missing.parent
        })?;
        match found.answer {
            Sweeping::Create => missing.can_be_created().then(|| Choice::Create(Vec::new())),
            Sweeping::Skip => Some(Choice::Skip),
            Sweeping::Null => missing.nullable.then_some(Choice::Null),
        }
    }

    /// A capital letter is an answer for all.
    fn sweep(&mut self, word: &str, missing: &Missing, answer: Sweeping) {
        if word.starts_with(|c: char| c.is_ascii_uppercase()) {
            self.for_all.push(ForAll {
                table: missing.table.clone(),
                columns: missing.columns.clone(),
                parent: missing.parent.clone(),
                answer,
            });
        }
    }

    fn question(&self, missing: &Missing) -> String {
        let shown = |value: &Value| values::quoted(value, self.encoding);
        let key: Vec<String> = missing.values.iter().map(shown).collect();
        let records = figures::counted(missing.records, "record");
        let mut out = format!(
            "{}, {} ({records}{})\n",
            values::reference(&missing.table, &missing.columns, &missing.parent, &key),
            values::why(missing, &self.target),
            values::examples(missing),
        );
        if let Some(record) = missing.record.as_ref().filter(|_| missing.can_be_created()) {
            let row = values::row(record, self.encoding);
            out.push_str(&format!(
                "  [c] create it from the snapshot: {row}   (Enter)\n"
            ));
            out.push_str("  [v] create it with values that you give\n");
        } else {
            out.push_str("  [c] create it with values that you give");
            out.push_str(match missing.record {
                Some(_) => "\n",
                None => "; the snapshot does not have it either\n",
            });
        }
        let records = match missing.records {
            1 => "leave the record out".to_owned(),
            _ => format!("skip the {records}"),
        };
        let mut line = vec![
            "[m] map to an existing row".to_owned(),
            format!("[s] {records}"),
        ];
        if missing.nullable {
            line.push("[n] refer to nothing (NULL)".to_owned());
        }
        line.push("[a] abort, write nothing".to_owned());
        out.push_str(&format!("  {}\n", line.join("   ")));
        let all = match (missing.can_be_created(), missing.nullable) {
            (true, true) => "C, S or N",
            (true, false) => "C or S",
            (false, true) => "S or N",
            (false, false) => "S",
        };
        out.push_str(&format!(
            "  {all}: the same for all further values of this reference\n"
        ));
        out
    }

    /// Values of a new row: one for each column that needs one, then what else is given. `None`: back to
    /// the question.
    fn values(&mut self, missing: &Missing) -> Result<Option<Vec<(String, Value)>>, Unanswered> {
        self.dialogue.say(typed::HOW)?;
        let mut row: Vec<(String, Value)> = Vec::new();
        for column in &missing.required {
            let prompt = format!("  {} (Enter: back): ", escape::shown(column));
            loop {
                let line = self.dialogue.ask(&prompt)?;
                match typed::value(&line, self.encoding) {
                    None => return Ok(None),
                    Some(Value::Null) => self.dialogue.say("  It cannot be NULL.\n")?,
                    Some(value) => {
                        row.push((column.clone(), value));
                        break;
                    }
                }
            }
        }
        loop {
            let line = self
                .dialogue
                .ask("  another column, as name=value (Enter: no more): ")?;
            if line.trim().is_empty() {
                return Ok(Some(row));
            }
            let pair = line.split_once('=');
            let pair = pair.and_then(|(column, value)| {
                let value = typed::value(value, self.encoding)?;
                Some((column.trim(), value)).filter(|(column, _)| !column.is_empty())
            });
            let is_known = |column: &str| {
                let given = row.iter().map(|(name, _)| name);
                let mut known = missing.parent_columns.iter().chain(given);
                known.any(|name| name.eq_ignore_ascii_case(column))
            };
            match pair {
                None => self
                    .dialogue
                    .say("  Not understood; give it as name=value.\n")?,
                Some((column, _)) if is_known(column) => {
                    let text = format!("  {} has its value.\n", escape::shown(column));
                    self.dialogue.say(&text)?;
                }
                Some((column, value)) => row.push((column.to_owned(), value)),
            }
        }
    }
}

fn unknown(word: &str, missing: &Missing) -> String {
    let letters = match (missing.can_be_created(), missing.nullable) {
        (true, true) => "c, v, m, s, n or a",
        (true, false) => "c, v, m, s or a",
        (false, true) => "c, m, s, n or a",
        (false, false) => "c, m, s or a",
    };
    match word {
        "" => format!("  Answer with {letters}.\n"),
        _ => format!(
            "  {:?} is no answer here; answer with {letters}.\n",
            escape::shown(word)
        ),
    }
}

impl<D: Dialogue> Decider for Questions<D> {
    fn refused(&mut self, reason: &str) -> bool {
        self.given.pop();
        // What holds for all may be what cannot be.
        self.for_all.clear();
        let told = format!("  That cannot be: {}.\n", escape::shown(reason));
        self.dialogue.say(&told).is_ok()
    }

    fn decide(
        &mut self,
        missing: &Missing,
        candidates: &mut dyn Candidates,
    ) -> Result<Option<Choice>, Error> {
        match self.answer(missing, candidates) {
            Ok(choice) => {
                self.given.push(Decision {
                    table: missing.table.clone(),
                    columns: missing.columns.clone(),
                    parent: missing.parent.clone(),
                    values: missing.values.clone(),
                    choice: choice.clone(),
                });
                Ok(Some(choice))
            }
            Err(Unanswered::Failed(error)) => Err(error),
            Err(Unanswered::Ended(why)) => {
                self.ended = Some(why);
                Err(Error::Cancelled)
            }
        }
    }
}

#[cfg(test)]
mod tests;
