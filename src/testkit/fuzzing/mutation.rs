//! A store put out of order, step by step as an input says: damage that digests find, and lies under
//! digests and names that are right.

use std::collections::{BTreeMap, BTreeSet};

use super::input::Input;
use super::objects::{object_of, text_of};
use super::packs::{footer_of, stored_footer};
use super::scene::{Objects, Scene};
use crate::codec::hash::{StoreHash, pack_id};
use crate::codec::zstd;
use crate::format::blob::{BlobKind, Encoding};
use crate::format::footer::{BlobEntry, Footer, FrameEntry, TRAILER_BYTES, Trailer};
use crate::format::frame::ObjectKind;
use crate::format::name;
use crate::format::pack::{self, Item, PACK_HEAD_BYTES};
use crate::model::id::{BlobId, SnapshotId};

/// Steps of one input.
const STEPS_MAX: usize = 16;

/// A store that was put out of order.
pub(super) struct Altered {
    /// Its objects.
    pub(super) objects: Objects,
    /// Snapshots whose manifest says something else than what was backed up, under a right digest.
    pub(super) lies: BTreeSet<SnapshotId>,
}

impl Altered {
    /// What the input makes of the store.
    pub(super) fn of(scene: &Scene, mut input: Input<'_>) -> Self {
        let mut altered = Self {
            objects: scene.objects.clone(),
            lies: BTreeSet::new(),
        };
        for _ in 0..STEPS_MAX {
            if input.is_empty() || altered.objects.is_empty() {
                break;
            }
            // What cannot be done with this object is not done.
            let _done = altered.step(scene, &mut input);
        }
        let objects = altered.objects.iter();
        let lies = objects.filter_map(|(name, bytes)| {
            let said = text_of(bytes);
            let honest = scene.objects.get(name).and_then(|bytes| text_of(bytes));
            name::parse_snapshot(name).filter(|_| said.is_some() && said != honest)
        });
        altered.lies = lies.collect();
        altered
    }

    fn step(&mut self, scene: &Scene, input: &mut Input<'_>) -> Option<()> {
        let how = input.u8() % 14;
        let names: Vec<String> = self.objects.keys().cloned().collect();
        let name = input.choose(&names).clone();
        let bytes = self.objects.get(&name)?.clone();
        match how {
            0 => {
                let at = input.place(bytes.len());
                *self.objects.get_mut(&name)?.get_mut(at)? ^= input.u8().max(1);
            }
            1 => {
                let length = input.place(bytes.len() + 1);
                self.objects.get_mut(&name)?.truncate(length);
            }
            2 => drop(self.objects.remove(&name)),
            3 => self.exchange(&name, input.choose(&names)),
            4 => {
                let other = self.objects.get(input.choose(&names))?.clone();
                self.objects.insert(name, other);
            }
            5 => drop(self.objects.insert(name, input.spliced(&bytes))),
            6 => self.lie(name, &bytes, input)?,
            7 => self.renamed_pack(&name, input.spliced(&bytes))?,
            8 => self.footer(&name, &bytes, input)?,
            9 => self.frame(&name, &bytes, input)?,
            10 | 11 => self.forge(scene, input)?,
            12 => self.record(&names, input),
            _ => self.stranger(bytes, input),
        }
        Some(())
    }

    fn exchange(&mut self, a: &String, b: &String) {
        let of_b = self.objects.remove(b);
        let of_a = self.objects.remove(a).or_else(|| of_b.clone());
        self.objects.extend(of_a.map(|bytes| (b.clone(), bytes)));
        if a != b {
            self.objects.extend(of_b.map(|bytes| (a.clone(), bytes)));
        }
    }

    /// Another text in an object, under a digest that is right.
    fn lie(&mut self, name: String, bytes: &[u8], input: &mut Input<'_>) -> Option<()> {
        let (kind, text) = text_of(bytes)?;
        self.objects
            .insert(name, object_of(kind, &input.spliced(&text)));
        Some(())
    }

    /// A pack of other bytes, under the name that these have.
    fn renamed_pack(&mut self, name: &str, bytes: Vec<u8>) -> Option<()> {
        name::parse_pack(name)?;
        self.objects.remove(name);
        self.objects.insert(name::pack(&pack_id(&bytes)), bytes);
        Some(())
    }

    /// A pack with another footer, whose digest and lengths are right.
    fn footer(&mut self, name: &str, bytes: &[u8], input: &mut Input<'_>) -> Option<()> {
        let before = bytes.len().checked_sub(TRAILER_BYTES)?;
        let trailer = Trailer::decode(&bytes[before..]).ok()?;
        let at = before.checked_sub(trailer.stored_bytes as usize)?;
        let plain = zstd::decompress_exact(&bytes[at..before], trailer.plain_bytes as usize);
        let stored = stored_footer(&input.spliced(&plain.ok()?));
        self.renamed_pack(name, [&bytes[..at], &stored].concat())
    }

    /// A pack with other plain text in one of its frames; its footer knows the lengths.
    fn frame(&mut self, name: &str, bytes: &[u8], input: &mut Input<'_>) -> Option<()> {
        let mut footer = footer_of(bytes)?.ok()?;
        let changed = input.place(footer.frames.len());
        let mut out = bytes.get(..PACK_HEAD_BYTES)?.to_vec();
        for (at, frame) in footer.frames.iter_mut().enumerate() {
            let begin = usize::try_from(frame.offset).ok()?;
            let stored = bytes.get(begin..begin + frame.stored_bytes as usize)?;
            frame.offset = out.len() as u64;
            if at == changed {
                let plain = zstd::decompress_exact(stored, frame.plain_bytes as usize).ok()?;
                let plain = input.spliced(&plain);
                let stored = zstd::compress(&plain, 1).ok()?;
                frame.stored_bytes = u32::try_from(stored.len()).ok()?;
                frame.plain_bytes = u32::try_from(plain.len()).ok()?;
                out.extend_from_slice(&stored);
            } else {
                out.extend_from_slice(stored);
            }
        }
        out.extend_from_slice(&footer.encode(StoreHash::unkeyed()).ok()?);
        self.renamed_pack(name, out)
    }

    /// A blob of another content, and all that stands above it, up to a new snapshot: every id and digest
    /// is right.
    fn forge(&mut self, scene: &Scene, input: &mut Input<'_>) -> Option<()> {
        let at = input.place(scene.blobs.len());
        let (kind, id, canonical) = &scene.blobs[at];
        let mut canonical = canonical.clone();
        for _ in 0..=input.u8() % 4 {
            canonical = input.spliced(&canonical);
        }
        let forged = Forged::of(scene, *kind, *id, canonical);
        let pack = forged.pack(input.u8());
        self.objects.insert(name::pack(&pack_id(&pack)), pack);
        let (snapshot, _) = input.choose(&scene.snapshots);
        let (_, text) = text_of(scene.objects.get(&name::snapshot(snapshot))?)?;
        let mut text = String::from_utf8(text).ok()?;
        for (old, new) in &forged.ids {
            text = text.replace(&old.to_string(), &new.to_string());
        }
        let lie = SnapshotId::new(1_800_000_000, [input.u8(); 16]);
        text = text.replace(snapshot.as_str(), lie.as_str());
        let mut text = text.into_bytes();
        if input.u8() % 2 == 1 {
            text = input.spliced(&text);
        }
        let object = object_of(ObjectKind::Manifest, &text);
        self.objects.insert(name::snapshot(&lie), object);
        Some(())
    }

    /// Records of writers and clean-ups, and marks: of packs and snapshots that are there.
    fn record(&mut self, names: &[String], input: &mut Input<'_>) {
        let packs = names.iter().filter_map(|name| name::parse_pack(name));
        let mut packs: Vec<String> = packs.map(|id| id.to_string()).collect();
        let wanted = input.u8();
        let mut bit = 0;
        packs.retain(|_| {
            bit = (bit + 1) % 8;
            wanted & (1 << bit) != 0
        });
        let digits = format!("{:032x}", input.u8());
        let listed = serde_json::json!(packs);
        let (name, kind, text) = match input.u8() % 5 {
            0 => {
                let text = serde_json::json!({
                    "clean_up": digits, "condemned": listed, "host": "", "started": ""
                });
                (format!("gc/{digits}"), ObjectKind::Gc, text)
            }
            1 => {
                let text = serde_json::json!({
                    "verdict": "sealed", "clean_up": digits, "dead": listed, "time": ""
                });
                (format!("gc/{digits}.final"), ObjectKind::GcFinal, text)
            }
            2 => {
                let text = serde_json::json!({
                    "verdict": "abort", "clean_up": digits, "time": ""
                });
                (format!("gc/{digits}.final"), ObjectKind::GcFinal, text)
            }
            3 => {
                let damaged = packs.first().map_or(digits.as_str(), String::as_str);
                let name = format!("{}{damaged}", name::DAMAGED);
                (name, ObjectKind::Gc, serde_json::Value::Null)
            }
            _ => {
                let mut ids = names.iter().filter_map(|name| name::parse_snapshot(name));
                let Some(id) = ids.next_back() else { return };
                let fenced = "2026-11-23T20:15:30.000Z";
                let text = serde_json::json!({ "snapshot": id, "fenced": fenced });
                // A snapshot that was fenced is none, whatever was said of it.
                (name::snapshot(&id), ObjectKind::Abort, text)
            }
        };
        let text = text.to_string().into_bytes();
        let text = match input.u8() % 4 {
            0 => input.spliced(&text),
            _ => text,
        };
        self.objects.insert(name, object_of(kind, &text));
    }

    /// An object under a name that nobody gave.
    fn stranger(&mut self, bytes: Vec<u8>, input: &mut Input<'_>) {
        let folders = [
            "",
            "snapshots/",
            "packs/",
            "packs/00/",
            "gc/",
            "writers/",
            "keys/",
            "x/",
        ];
        let folder = *input.choose(&folders);
        let named: String = input
            .short()
            .iter()
            .map(|byte| char::from(b"0123456789abcdef"[usize::from(byte % 16)]))
            .collect();
        let name = format!("{folder}{named}");
        if crate::backend::is_object_name(&name) {
            self.objects.entry(name).or_insert(bytes);
        }
    }
}

/// A blob of another content, and the blobs that name it, changed to name it still.
struct Forged {
    ids: BTreeMap<BlobId, BlobId>,
    blobs: Vec<(BlobKind, BlobId, Vec<u8>)>,
}

impl Forged {
    fn of(scene: &Scene, kind: BlobKind, id: BlobId, canonical: Vec<u8>) -> Self {
        let mut forged = Self {
            ids: BTreeMap::new(),
            blobs: Vec::new(),
        };
        let mut open = vec![(kind, id, canonical)];
        while let Some((kind, old, canonical)) = open.pop() {
            let new = StoreHash::unkeyed().blob_id(kind as u8, &canonical);
            forged.ids.insert(old, new);
            forged.blobs.push((kind, new, canonical));
            // Chunks name nothing.
            let above = scene.blobs.iter().filter(|b| b.0 != BlobKind::Chunk);
            for (kind, id, above) in above {
                let names_it = above.windows(32).any(|window| window == old.0);
                if names_it && !forged.ids.contains_key(id) {
                    let mut above = above.clone();
                    let at = above.windows(32).position(|window| window == old.0);
                    if let Some(at) = at {
                        above[at..at + 32].copy_from_slice(&new.0);
                    }
                    open.push((*kind, *id, above));
                }
            }
        }
        forged
    }

    /// A pack of them, one frame a blob.
    fn pack(&self, random: u8) -> Vec<u8> {
        let mut bytes = pack::encode_head([random; 16]).to_vec();
        let mut footer = Footer::default();
        for (kind, id, canonical) in &self.blobs {
            let mut plain = Vec::new();
            let canonical_bytes = u32::try_from(canonical.len()).unwrap();
            let item = Item {
                kind: *kind,
                encoding: Encoding::Plain,
                bases: &[],
                canonical_bytes,
                encoded: canonical,
            };
            pack::append_item(item, &mut plain);
            let stored = zstd::compress(&plain, 1).unwrap();
            footer.blobs.push(BlobEntry {
                id: *id,
                kind: *kind,
                encoding: Encoding::Plain,
                depth: 0,
                bases: Vec::new(),
                canonical_bytes,
                encoded_bytes: canonical_bytes,
                frame: u32::try_from(footer.frames.len()).unwrap(),
                offset: 0,
            });
            footer.frames.push(FrameEntry {
                offset: bytes.len() as u64,
                stored_bytes: u32::try_from(stored.len()).unwrap(),
                plain_bytes: u32::try_from(plain.len()).unwrap(),
            });
            bytes.extend_from_slice(&stored);
        }
        bytes.extend_from_slice(&footer.encode(StoreHash::unkeyed()).unwrap());
        bytes
    }
}
