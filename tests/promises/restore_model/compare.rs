//! Model and larder beside each other: a plan, the restore, and the same restore once more.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::product::Product;
use super::rules;
use super::tables::{Database, Schema};
use super::whole::is_replaced;
use super::wishes::{Counts, Mode, Outcome, Wishes};
use super::words::{table, told};

/// What was seen, so that a run can say what it tried.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    pub restored: u64,
    pub stopped: u64,
    /// The rules lead to no end: not compared.
    pub endless: u64,
    pub written: u64,
    pub remapped: u64,
    pub left_out: u64,
    pub carried: u64,
    /// Restores that would insert something again if they were made once more, by the rules.
    pub inserted_again: u64,
}

impl Seen {
    pub fn add(&mut self, other: Self) {
        self.restored += other.restored;
        self.stopped += other.stopped;
        self.endless += other.endless;
        self.written += other.written;
        self.remapped += other.remapped;
        self.left_out += other.left_out;
        self.carried += other.carried;
        self.inserted_again += other.inserted_again;
    }
}

/// Compares; what differs, its kind before the first colon. A panic is a failure like any other.
pub fn compare(
    schema: &Schema,
    snapshot: &Database,
    live: &Database,
    wishes: &Wishes,
    is_safe: bool,
) -> Result<Seen, String> {
    let Some(expected) = rules::restore(schema, snapshot, live, wishes) else {
        return Ok(Seen {
            endless: 1,
            ..Seen::default()
        });
    };
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let product = Product::new(schema, snapshot, live);
        judge(
            schema,
            (snapshot, live),
            wishes,
            &expected,
            product,
            is_safe,
        )
    }));
    tried
        .unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(format!("panic: {}", text.unwrap_or_default()))
        })
        .map(|inserts_again| Seen {
            inserted_again: u64::from(inserts_again),
            ..seen(&expected)
        })
}

/// True if the same restore once more inserts something, by the rules.
fn judge(
    schema: &Schema,
    (snapshot, live): (&Database, &Database),
    wishes: &Wishes,
    expected: &Outcome,
    mut product: Product,
    is_safe: bool,
) -> Result<bool, String> {
    let violations = product.violations();
    let planned = product
        .restore(wishes, true, is_safe)
        .map_err(|e| format!("plan: {e}"))?;
    if product.rows() != *live {
        return Err("a plan writes: it changed rows".to_owned());
    }
    alike(schema, wishes, "planned", expected, &planned)?;
    let done = product
        .restore(wishes, false, is_safe)
        .map_err(|e| format!("error: {e}"))?;
    if (&done.counts, &done.missing) != (&planned.counts, &planned.missing) {
        let (planned, done) = (told(schema, &planned), told(schema, &done));
        return Err(format!(
            "not as planned: planned {planned:?}, done {done:?}"
        ));
    }
    rows_alike(schema, wishes, expected, &product.rows(), live)?;
    let integrity = product.integrity();
    if integrity != "ok" {
        return Err(format!("integrity: {integrity}"));
    }
    violations_alike(schema, wishes, expected, &violations, &product.violations())?;
    if done.stopped {
        return Ok(false);
    }
    once_more(schema, snapshot, wishes, product)
}

/// By table and foreign key there are no more violations than before, but for those carried. (After a
/// replacement those of the snapshot: the rows have shown it.)
fn violations_alike(
    schema: &Schema,
    wishes: &Wishes,
    done: &Outcome,
    before: &[(String, i64)],
    after: &[(String, i64)],
) -> Result<(), String> {
    let count = |of: &[(String, i64)], key: &(String, i64)| of.iter().filter(|k| *k == key).count();
    for key in after.iter().filter(|_| wishes.mode != Mode::Replace) {
        let more = count(after, key).saturating_sub(count(before, key)) as u64;
        let carried = done.counts[table(schema, &key.0)].carried;
        if more > carried {
            return Err(format!(
                "violations: {more} more of {key:?}, {carried} carried"
            ));
        }
    }
    Ok(())
}

/// The same restore again, into what it has made.
fn once_more(
    schema: &Schema,
    snapshot: &Database,
    wishes: &Wishes,
    mut product: Product,
) -> Result<bool, String> {
    let live = product.rows();
    let Some(expected) = rules::restore(schema, snapshot, &live, wishes) else {
        return Ok(false);
    };
    let again = product
        .restore(wishes, false, false)
        .map_err(|e| format!("again: {e}"))?;
    alike(schema, wishes, "again", &expected, &again)?;
    rows_alike(schema, wishes, &expected, &product.rows(), &live)
        .map_err(|difference| format!("again {difference}"))?;
    Ok(expected.counts.iter().any(|c| c.inserted > 0))
}

fn alike(
    schema: &Schema,
    wishes: &Wishes,
    when: &str,
    expected: &Outcome,
    found: &Outcome,
) -> Result<(), String> {
    // Silent: whether references to conflicts are looked at where these stop the restore, and what is
    // counted of records outside the scope that were to be created and are there already.
    let conflicts = expected.counts.iter().any(|c| c.conflicts > c.conflicting);
    let shown = |outcome: &Outcome| {
        let mut shown = outcome.clone();
        if conflicts {
            shown.missing.clear();
        }
        for (t, counts) in shown.counts.iter_mut().enumerate() {
            let is_outside = match wishes.replaces_tables() {
                true => !is_replaced(schema, wishes, t),
                false => [expected, found]
                    .iter()
                    .any(|o| o.counts[t] == Counts::default()),
            };
            if expected.stopped && is_outside && counts.conflicts == 0 {
                *counts = Counts::default();
            }
        }
        told(schema, &shown)
    };
    let (wanted, got) = (shown(expected), shown(found));
    match wanted == got {
        true => Ok(()),
        false => Err(format!(
            "{when}: by the rules {wanted:?}, by larder {got:?}"
        )),
    }
}

fn rows_alike(
    schema: &Schema,
    wishes: &Wishes,
    expected: &Outcome,
    found: &Database,
    before: &Database,
) -> Result<(), String> {
    for (t, table) in schema.tables.iter().enumerate() {
        let (wanted, got) = (&expected.after.values()[t], &found.values()[t]);
        if wanted != got {
            return Err(format!(
                "rows: of {} by the rules {wanted:?}, by larder {got:?}",
                table.name
            ));
        }
        // Rowids that are no column come back where tables are replaced, and stay where they are.
        let is_replaced = wishes.replaces_tables() && is_replaced(schema, wishes, t);
        let has_rowids = is_replaced || expected.stopped;
        if has_rowids && expected.after.rows[t] != found.rows[t] {
            return Err(format!("rowids: of {}", table.name));
        }
        if found.sequence[t] < before.sequence[t] {
            return Err(format!("sequence: of {} went back", table.name));
        }
    }
    Ok(())
}

fn seen(outcome: &Outcome) -> Seen {
    let sum = |of: fn(&Counts) -> u64| outcome.counts.iter().map(of).sum();
    let is_written = !outcome.stopped;
    Seen {
        restored: u64::from(is_written),
        stopped: u64::from(outcome.stopped),
        endless: 0,
        written: u64::from(is_written) * sum(|c| c.inserted + c.filled + c.updated + c.deleted),
        remapped: sum(|c| c.remapped),
        left_out: sum(|c| c.differing + c.doubtful + c.missing + c.conflicting),
        carried: sum(|c| c.carried),
        inserted_again: 0,
    }
}
