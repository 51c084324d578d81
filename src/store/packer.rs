//! A thread that fills packs: blobs are encoded, compressed and verified while the scan goes on.
//!
//! Blobs go in, and finished packs come out, in one order; the queue is bounded. The backend and
//! the index stay with the writer's own thread, so what happens to a store is as determined as
//! without this one. An error comes out in place of the pack that it spoiled, and is the last.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::error::StoreError;
use super::pack_builder::{FinishedPack, PackBuilder};
use crate::env::{Env, random_16};
use crate::format::blob::BlobKind;
use crate::model::id::BlobId;

/// Blobs that wait at most. A chunk has up to 1 MiB, a leaf seldom over 0.5 MiB.
const QUEUE_BLOBS: usize = 4;

/// What the thread is asked to do.
enum Order {
    Push {
        kind: BlobKind,
        id: BlobId,
        canonical: Vec<u8>,
    },
    /// Close the pack being filled, full or not.
    Close,
}

/// What it answers.
enum Answer {
    Pack(FinishedPack),
    /// The order to close was carried out; all packs before it have been given.
    Closed,
}

type Answers = Result<Answer, StoreError>;

/// The writer's end of the thread. Dropped, it ends the thread and waits for it.
#[derive(Debug)]
pub struct Packer {
    /// `None` once it is being dropped.
    orders: Option<SyncSender<Order>>,
    answers: Receiver<Answers>,
    thread: Option<JoinHandle<()>>,
}

impl Packer {
    /// Starts the thread.
    pub fn start(builder: PackBuilder, env: Arc<dyn Env>) -> Result<Self, StoreError> {
        let (orders, to_do) = sync_channel(QUEUE_BLOBS);
        let (done, answers) = channel();
        let thread = Builder::new()
            .name("packs".to_owned())
            .spawn(move || work(builder, &*env, &to_do, &done))
            .map_err(StoreError::Thread)?;
        Ok(Self {
            orders: Some(orders),
            answers,
            thread: Some(thread),
        })
    }

    /// Hands over a blob; waits while the queue is full. Ask for [`Packer::finished`] next.
    pub fn push(&self, kind: BlobKind, id: BlobId, canonical: &[u8]) -> Result<(), StoreError> {
        self.order(Order::Push {
            kind,
            id,
            canonical: canonical.to_vec(),
        })
    }

    /// The next pack that is finished by now, if there is one.
    pub fn finished(&self) -> Result<Option<FinishedPack>, StoreError> {
        match self.answers.try_recv() {
            Ok(Ok(Answer::Pack(pack))) => Ok(Some(pack)),
            Ok(Err(error)) => Err(error),
            Ok(Ok(Answer::Closed)) | Err(_) => Ok(None),
        }
    }

    /// Has the pack being filled closed. [`Packer::next_before_close`] then gives what is left.
    pub fn close(&self) -> Result<(), StoreError> {
        self.order(Order::Close)
    }

    /// The next pack before the order to close was carried out; waits for it. `None`: that is all.
    pub fn next_before_close(&self) -> Result<Option<FinishedPack>, StoreError> {
        match self.answers.recv() {
            Ok(Ok(Answer::Pack(pack))) => Ok(Some(pack)),
            Ok(Ok(Answer::Closed)) => Ok(None),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ended()),
        }
    }

    fn order(&self, order: Order) -> Result<(), StoreError> {
        let sent = self.orders.as_ref().map(|orders| orders.send(order));
        match sent {
            Some(Ok(())) => Ok(()),
            // It ended: its last word is an error, behind the packs that were good.
            _ => Err(self
                .answers
                .iter()
                .find_map(Result::err)
                .unwrap_or_else(ended)),
        }
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself; its packs are not published.
            let _ = thread.join();
        }
    }
}

fn ended() -> StoreError {
    StoreError::Thread(std::io::Error::other("it ended early"))
}

/// The thread: until an error, or until the writer's end is dropped.
fn work(
    mut builder: PackBuilder,
    env: &dyn Env,
    orders: &Receiver<Order>,
    answers: &Sender<Answers>,
) {
    for order in orders {
        let done = carry_out(&mut builder, env, order, answers);
        if let Err(error) = done {
            // Nobody is left to hear it if this fails.
            let _ = answers.send(Err(error));
            return;
        }
    }
}

fn carry_out(
    builder: &mut PackBuilder,
    env: &dyn Env,
    order: Order,
    answers: &Sender<Answers>,
) -> Result<(), StoreError> {
    let closes = match order {
        Order::Push {
            kind,
            id,
            canonical,
        } => {
            builder.push(kind, id, &canonical, || random_16(env))?;
            false
        }
        Order::Close => true,
    };
    if (closes || builder.is_full())
        && let Some(pack) = builder.finish()?
    {
        let _ = answers.send(Ok(Answer::Pack(pack)));
    }
    if closes {
        let _ = answers.send(Ok(Answer::Closed));
    }
    Ok(())
}
