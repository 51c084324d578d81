//! The side that writes trees: records come in batches, table after table, and each table's indexes follow it.

use std::io;
use std::sync::mpsc::Receiver;

use super::builder::{BuildError, Built, LargeRecord, Message, Plan};
use super::file::PageFile;
use super::geometry::Tree;
use super::index_tree::IndexTree;
use super::indexes::Indexes;
use super::key::{Prefix, compare, prefix};
use super::key_maker::MadeKeys;
use super::payload::OpenCell;
use super::record::values;
use super::shape::TableShape;
use super::table_tree::{Refused, TableTree};

/// The side that writes.
pub(super) struct Work<'p> {
    pub file: PageFile,
    pub plan: &'p Plan,
    pub messages: Receiver<Message>,
    /// The keys of each table that has indexes.
    pub keys: MadeKeys,
    pub indexes: Indexes,
}

impl Work<'_> {
    /// Writes all that comes, until the end of it.
    pub(super) fn run(mut self) -> Result<Built, BuildError> {
        let tables = self.tables();
        // It must not go on by itself.
        let indexes = self.indexes.end();
        let left_out = tables?;
        indexes?;
        self.file.finish()?;
        Ok(Built { left_out })
    }

    /// Gives the indexes that are left out.
    fn tables(&mut self) -> Result<Vec<String>, BuildError> {
        let mut left_out = Vec::new();
        for (at, shape) in self.plan.tables.iter().enumerate() {
            let mut table = Table::new(&self.file, shape, self.plan);
            loop {
                match self.messages.recv() {
                    Ok(Message::Records(batch)) => {
                        for (rowid, record) in batch.records() {
                            table.record(&mut self.file, rowid, record)?;
                        }
                    }
                    Ok(Message::Open(record)) => self.large(&mut table, &record)?,
                    Ok(Message::EndOfTable) => break,
                    Ok(Message::Piece(_) | Message::Close | Message::End) | Err(_) => {
                        return Err(BuildError::Stopped);
                    }
                }
            }
            table.end(&mut self.file)?;
            if !shape.indexes.is_empty() {
                let keys = self.keys.of_table(at, shape.indexes.len());
                let keys = keys.ok_or(BuildError::Stopped)?;
                let missing = shape.indexes.iter().zip(&keys).filter(|(_, k)| k.is_none());
                left_out.extend(missing.map(|(index, _)| index.name.clone()));
                self.indexes.write(&mut self.file, at, keys)?;
            }
        }
        match self.messages.recv() {
            Ok(Message::End) => Ok(left_out),
            _ => Err(BuildError::Stopped),
        }
    }

    fn large(&mut self, table: &mut Table<'_>, record: &LargeRecord) -> Result<(), BuildError> {
        let mut open = table.open(&self.file, record)?;
        loop {
            match self.messages.recv() {
                Ok(Message::Piece(bytes)) => open.more(&mut self.file, &bytes)?,
                Ok(Message::Close) => break,
                _ => return Err(BuildError::Stopped),
            }
        }
        table.close(&mut self.file, record, open)
    }
}

/// A table being built.
struct Table<'p> {
    shape: &'p TableShape,
    plan: &'p Plan,
    tree: OpenTree,
    count: u64,
}

enum OpenTree {
    Table(TableTree),
    /// And the key that came last.
    Index(IndexTree, Option<(Prefix, Vec<u8>)>),
}

impl<'p> Table<'p> {
    fn new(file: &PageFile, shape: &'p TableShape, plan: &'p Plan) -> Self {
        Self {
            shape,
            plan,
            tree: match shape.tree {
                Tree::Table => OpenTree::Table(TableTree::new(file)),
                Tree::Index => OpenTree::Index(IndexTree::new(file), None),
            },
            count: 0,
        }
    }

    fn doubt(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Doubt {
            table: self.shape.name.clone(),
            reason: reason.into(),
        }
    }

    fn refused(&self, refused: Refused) -> BuildError {
        match refused {
            Refused::Io(error) => BuildError::Io(error),
            Refused::Order => self.out_of_order(),
        }
    }

    fn out_of_order(&self) -> BuildError {
        self.doubt(format!("record {} is not in its order", self.count + 1))
    }

    fn record(&mut self, file: &mut PageFile, rowid: i64, record: &[u8]) -> Result<(), BuildError> {
        self.ensure_key_order(record)?;
        let pushed = match &mut self.tree {
            OpenTree::Table(tree) => tree.push(file, rowid, record),
            OpenTree::Index(tree, _) => tree.push(file, record).map_err(Refused::Io),
        };
        pushed.map_err(|refused| self.refused(refused))?;
        self.count += 1;
        Ok(())
    }

    /// Keys of a WITHOUT ROWID table must come in their order, none twice.
    fn ensure_key_order(&mut self, record: &[u8]) -> Result<(), BuildError> {
        let OpenTree::Index(_, last) = &mut self.tree else {
            return Ok(());
        };
        let order = &self.shape.key;
        let now = prefix(values(record), order);
        let follows = match last {
            None => true,
            Some((before, its)) => match before.bytes.cmp(&now.bytes) {
                std::cmp::Ordering::Equal if before.is_cut || now.is_cut => {
                    compare(its, record, order, self.plan.encoding).is_lt()
                }
                found => found.is_lt(),
            },
        };
        if !follows {
            return Err(self.out_of_order());
        }
        let (_, its) = last.get_or_insert_with(|| (now, Vec::new()));
        its.clear();
        its.extend_from_slice(record);
        if let Some((before, _)) = last {
            *before = now;
        }
        Ok(())
    }

    fn open(&mut self, file: &PageFile, record: &LargeRecord) -> Result<OpenCell, BuildError> {
        let in_key = |at: &usize| *at < self.shape.key.len();
        if record.large.iter().any(in_key) {
            return Err(self.doubt("a large value stands in its primary key"));
        }
        self.ensure_key_order(&record.small)?;
        match &self.tree {
            OpenTree::Table(tree) => tree
                .open(file, record.rowid, record.bytes)
                .map_err(|refused| self.refused(refused)),
            OpenTree::Index(tree, _) => Ok(tree.open(file, record.bytes)),
        }
    }

    fn close(
        &mut self,
        file: &mut PageFile,
        record: &LargeRecord,
        open: OpenCell,
    ) -> Result<(), BuildError> {
        let pushed = match &mut self.tree {
            OpenTree::Table(tree) => tree.push_open(file, record.rowid, open),
            OpenTree::Index(tree, _) => tree.push_open(file, open).map_err(Refused::Io),
        };
        pushed.map_err(|refused| self.refused(refused))?;
        self.count += 1;
        Ok(())
    }

    /// Closes the table's tree.
    fn end(self, file: &mut PageFile) -> io::Result<()> {
        match self.tree {
            OpenTree::Table(tree) => tree.finish(file, self.shape.root),
            OpenTree::Index(tree, _) => tree.finish(file, self.shape.root),
        }
    }
}
