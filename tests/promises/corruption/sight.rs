//! What the store's code can see of an altered object: two cases that look the same are judged once. What costs
//! little is checked in every case: that the object is found out, and that parity gives its bytes back.

use larder::codec::hash::StoreHash;
use larder::codec::zstd::decompress_exact;
use larder::format::blob::Encoding;
use larder::format::footer::{BasePrefix, Footer, TRAILER_BYTES, Trailer};
use larder::format::frame::{self, ObjectKind};
use larder::format::name;
use larder::format::pack::read_item;
use larder::format::protocol::{GcFinal, GcRecord, Record};
use larder::store::{Rebuilt, StoreError};

use super::every_kind::{Bench, EveryKind};
use super::harm::Change;
use super::kinds::Kind;
use crate::shelf::footer_of;

/// A pack as it was: its footer, the plain texts of its frames, and its blobs in them.
pub struct Known {
    footer: Footer,
    /// Of each frame: where it begins and ends, and its blobs.
    frames: Vec<(usize, usize, Vec<Entry>)>,
}

type Parts = (Encoding, Vec<BasePrefix>, u32, Vec<u8>);
/// Where a blob lies in its frame, and what is there.
type Entry = (usize, Parts);

fn parts(frame: &[u8], offset: usize) -> Result<Parts, String> {
    let (item, _) = read_item(frame, offset).map_err(|error| error.to_string())?;
    let encoded = item.encoded.to_vec();
    Ok((
        item.encoding,
        item.bases.to_vec(),
        item.canonical_bytes,
        encoded,
    ))
}

impl Known {
    pub fn new(pack: &[u8]) -> Self {
        let footer = footer_of(pack);
        let frame = |(number, frame): (usize, &larder::format::footer::FrameEntry)| {
            let begin = usize::try_from(frame.offset).unwrap();
            let end = begin + frame.stored_bytes as usize;
            let plain = decompress_exact(&pack[begin..end], frame.plain_bytes as usize).unwrap();
            let blobs = footer
                .blobs
                .iter()
                .filter(|blob| blob.frame as usize == number);
            let entry = |offset: u32| (offset as usize, parts(&plain, offset as usize).unwrap());
            (begin, end, blobs.map(|blob| entry(blob.offset)).collect())
        };
        let frames = footer.frames.iter().enumerate().map(frame).collect();
        Self { footer, frames }
    }

    fn sight(&self, pack: &[u8], change: &Change) -> String {
        let footer = read_footer(pack);
        let at = match (&footer, change) {
            (Err(error), _) => return format!("footer: {error}"),
            // The name is not that of the content: looked at each time.
            (Ok(_), Change::Swapped(with) | Change::Instead(with)) => return with.clone(),
            (Ok(footer), Change::Set(at, _)) => {
                assert!(
                    *footer == self.footer,
                    "another footer with the same digest"
                );
                *at
            }
            (Ok(_), _) => return "a footer all the same".to_owned(),
        };
        let hit = |(begin, end, _): &&(usize, usize, Vec<Entry>)| (*begin..*end).contains(&at);
        let Some((begin, end, entries)) = self.frames.iter().find(hit) else {
            return "head".to_owned();
        };
        let number = self
            .footer
            .frames
            .iter()
            .position(|f| f.offset == *begin as u64)
            .unwrap();
        let plain_bytes = self.footer.frames[number].plain_bytes as usize;
        let plain = match decompress_exact(&pack[*begin..*end], plain_bytes) {
            Ok(plain) => plain,
            Err(error) => return format!("frame {number}: {error}"),
        };
        let mut sight = format!("frame {number}:");
        for (offset, good) in entries {
            match parts(&plain, *offset) {
                Ok(found) if found == *good => {}
                Ok(found) if found.0 == good.0 && found.1 == good.1 && found.2 == good.2 => {
                    sight += &format!(" blob at {offset};");
                }
                Ok(_) => sight += &format!(" head of the blob at {offset};"),
                Err(error) => sight += &format!(" blob at {offset}: {error};"),
            }
        }
        sight
    }
}

fn read_footer(pack: &[u8]) -> Result<Footer, String> {
    let text = |error: larder::format::FormatError| error.to_string();
    let at = pack.len().checked_sub(TRAILER_BYTES).ok_or("too short")?;
    let trailer = Trailer::decode(&pack[at..]).map_err(text)?;
    let begin = at
        .checked_sub(trailer.stored_bytes as usize)
        .ok_or("longer than its pack")?;
    let bytes = pack.len() as u64;
    Footer::decode(StoreHash::unkeyed(), &trailer, &pack[begin..at], bytes).map_err(text)
}

/// Messages without their numbers.
fn plain(text: &str) -> String {
    let digit = |c: char| if c.is_ascii_digit() { '#' } else { c };
    text.chars().map(digit).collect()
}

fn error_of<T>(found: Result<T, StoreError>, good: &str) -> String {
    found.map_or_else(|error| error.to_string(), |_| good.to_owned())
}

/// Checks what costs little, and tells how the object looks.
pub fn look(
    of: &EveryKind,
    known: Option<&Known>,
    bench: &Bench,
    object: &str,
    change: &Change,
    now: Option<&[u8]>,
    what: &str,
) -> String {
    let (store, kind) = (&bench.store, Kind::of(object, &of.objects[object]));
    let Some(now) = now else {
        return "deleted".to_owned();
    };
    let text = match kind {
        Kind::Config => error_of(bench.sandbox.try_open(bench.frozen.clone()), "opens"),
        Kind::Manifest | Kind::Abort => {
            let id = name::parse_snapshot(object).unwrap();
            match store.manifest(&id) {
                Err(error) => {
                    assert!(error.to_string().contains(id.as_str()), "{what}: {error}");
                    error.to_string()
                }
                Ok(found) => format!("reads, {}", found.is_some()),
            }
        }
        Kind::Pack => {
            let id = name::parse_pack(object).unwrap();
            let damage = store.pack_damage(&id, now.len() as u64).unwrap();
            assert!(damage.is_some(), "{what}: not found out");
            if of.redundant {
                rebuilt(of, bench, object, change, what);
            }
            known.unwrap().sight(now, change)
        }
        Kind::Writer | Kind::Forgotten | Kind::ForgottenFinal | Kind::Pin => {
            let damaged = store.damaged_records().unwrap();
            let names: Vec<&str> = damaged.iter().map(|(name, _)| name.as_str()).collect();
            let swapped = matches!(change, Change::Swapped(_));
            assert!(swapped || names == [object], "{what}: {names:?}");
            damaged.iter().map(|(_, cause)| cause.to_string()).collect()
        }
        Kind::Gc => of_clean_up::<GcRecord>(ObjectKind::Gc, object, now, what),
        Kind::GcFinal => of_clean_up::<GcFinal>(ObjectKind::GcFinal, object, now, what),
        Kind::Redundancy => error_of(store.redundancy(), "reads"),
        Kind::Parity => {
            let id = name::parse_parity(object).unwrap();
            let damage = store.parity_damage(&id);
            assert!(!matches!(damage, Ok(None)), "{what}: not found out");
            damage.map_or_else(|e| e.to_string(), |d| format!("{d:?}"))
        }
        Kind::Second => {
            let first = name::parse_second(object).unwrap();
            format!("{:?}", store.compare_second(first).unwrap())
        }
        Kind::DamagedMark | Kind::Ballast => String::new(),
    };
    plain(&text)
}

/// What is wrong with what stands there: it does not decode, or says another name.
fn of_clean_up<T: serde::de::DeserializeOwned + Record>(
    kind: ObjectKind,
    object: &str,
    now: &[u8],
    what: &str,
) -> String {
    match frame::decode::<T>(StoreHash::unkeyed(), kind, now, "a record") {
        Ok(found) => {
            assert!(!found.is_of(object), "{what}: not found out");
            "another's".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// One damaged byte costs one shard: the pack comes back as it was.
fn rebuilt(of: &EveryKind, bench: &Bench, object: &str, change: &Change, what: &str) {
    let id = name::parse_pack(object).unwrap();
    let good = &of.objects[object];
    match bench.store.rebuild(&id).unwrap() {
        Rebuilt::FromParity { bytes, .. } | Rebuilt::FromSecond(bytes) => {
            assert!(bytes == *good, "{what}: rebuilt wrong");
        }
        Rebuilt::Lost { bad, spare } => {
            assert!(
                !matches!(change, Change::Set(..) | Change::Longer(_)),
                "{what}: lost"
            );
            assert!(bad > spare, "{what}: {bad} of {spare}");
        }
        other => panic!("{what}: {other:?}"),
    }
}
