//! Objects but packs, and their names: frames of every kind, manifests, ids.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::input::Input;
use crate::backend::is_object_name;
use crate::codec::hash::StoreHash;
use crate::codec::zstd;
use crate::format::config::{self, Config};
use crate::format::frame::{self, ObjectKind};
use crate::format::manifest::Manifest;
use crate::format::name;
use crate::format::protocol::{
    AbortMarker, ForgetFinal, ForgetMark, GcFinal, GcRecord, Pin, WriterRecord,
};
use crate::model::file_name::{MANIFEST_FILE, NAME_BYTES_MAX, entity_file};
use crate::model::id::{BlobId, PackId, SnapshotId, StoreId};

pub(super) const KINDS: [ObjectKind; 9] = [
    ObjectKind::Config,
    ObjectKind::Manifest,
    ObjectKind::Abort,
    ObjectKind::Writer,
    ObjectKind::Gc,
    ObjectKind::GcFinal,
    ObjectKind::Forget,
    ObjectKind::ForgetFinal,
    ObjectKind::Pin,
];

/// An object whose digest is right, whatever its payload is.
pub(super) fn sealed(kind: ObjectKind, version: u8, payload: &[u8]) -> Vec<u8> {
    let digest = StoreHash::unkeyed().object_digest(kind as u8, version, payload);
    let magic = frame::FRAME_MAGIC.to_le_bytes();
    let content = frame::FRAME_CONTENT_BYTES.to_le_bytes();
    let marks = [kind as u8, version];
    let head = [&magic[..], &content, &frame::FRAME_MARK, &marks, &digest];
    [&head.concat(), payload].concat()
}

/// The text of an object that is whole.
pub(super) fn text_of(object: &[u8]) -> Option<(ObjectKind, Vec<u8>)> {
    let (kind, payload) = frame::open(StoreHash::unkeyed(), object).ok()?;
    Some((kind, zstd::decompress_bounded(payload, 1 << 20).ok()?))
}

/// An object of any text, with a digest that is right.
pub(super) fn object_of(kind: ObjectKind, text: &[u8]) -> Vec<u8> {
    let payload = zstd::compress(text, 1).unwrap();
    sealed(kind, config::FORMAT_VERSION_BYTE, &payload)
}

/// What is read can be written, and is read again as the same.
fn round<T>(object: &[u8], kind: ObjectKind) -> Option<T>
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let hash = StoreHash::unkeyed();
    let read: T = frame::decode(hash, kind, object, "an object").ok()?;
    let written = frame::encode(hash, kind, &read).unwrap();
    assert_eq!(frame::decode(hash, kind, &written, "an object"), Ok(read));
    frame::decode(hash, kind, object, "an object").ok()
}

/// Reads an object as each kind: at most one may fit.
fn read(object: &[u8]) {
    let mut fits = 0;
    let mut fit = |it: bool| fits += u8::from(it);
    let config = round::<Config>(object, ObjectKind::Config);
    if let Some(config) = &config {
        let _any = config.format.check(&config.features);
    }
    fit(config.is_some());
    let manifest = round::<Manifest>(object, ObjectKind::Manifest);
    manifest.iter().for_each(look_at);
    fit(manifest.is_some());
    fit(round::<AbortMarker>(object, ObjectKind::Abort).is_some());
    fit(round::<WriterRecord>(object, ObjectKind::Writer).is_some());
    fit(round::<GcRecord>(object, ObjectKind::Gc).is_some());
    fit(round::<GcFinal>(object, ObjectKind::GcFinal).is_some());
    fit(round::<ForgetMark>(object, ObjectKind::Forget).is_some());
    fit(round::<ForgetFinal>(object, ObjectKind::ForgetFinal).is_some());
    fit(round::<Pin>(object, ObjectKind::Pin).is_some());
    assert!(fits <= 1, "an object of two kinds");
}

/// What is asked of a manifest that passed its check.
fn look_at(manifest: &Manifest) {
    if manifest.check(&manifest.id).is_err() {
        return;
    }
    let _any = (manifest.records(), manifest.source_key());
    for entity in manifest.all_tables() {
        assert_eq!(entity.root.is_some(), entity.records > 0);
    }
    if let Some(first) = manifest.entities.first() {
        assert!(manifest.entity(&first.entity).is_some());
    }
}

/// An object as it stands there, a payload under a right digest, or a text under one.
pub fn frame(data: &[u8]) {
    let mut input = Input::new(data);
    let how = input.u8();
    let kind = KINDS[usize::from(how) % KINDS.len()];
    match usize::from(how) / KINDS.len() {
        0 => read(input.rest()),
        1 => read(&sealed(kind, 0, input.rest())),
        2 => read(&sealed(kind, input.u8(), input.rest())),
        _ => read(&object_of(kind, input.rest())),
    }
}

/// The text of a manifest.
pub fn manifest(data: &[u8]) {
    read(&object_of(ObjectKind::Manifest, data));
}

/// Names of objects and files, and the ids in them. An id has one text.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let text = text.as_ref();
    if let Some(id) = name::parse_pack(text) {
        assert_eq!(name::pack(&id), text);
        assert!(name::is_known(text) && is_object_name(text));
    }
    if let Some(id) = name::parse_snapshot(text) {
        assert_eq!(name::snapshot(&id), text);
        assert!(name::is_known(text) && is_object_name(text));
    }
    if let Ok(id) = text.parse::<SnapshotId>() {
        assert_eq!(id.to_string(), text);
        assert!(text.starts_with(id.short()) && text.starts_with(id.second()));
        assert!(name::is_known(&name::writer(&id)));
    }
    if let Ok(id) = text.parse::<BlobId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(id) = text.parse::<PackId>() {
        assert_eq!(name::parse_pack(&name::pack(&id)), Some(id));
    }
    if let Ok(id) = text.parse::<StoreId>() {
        assert_eq!(id.to_string(), text);
    }
    let mut input = Input::new(data);
    let seconds = i64::from(input.u32()) << (input.u8() % 32);
    let mut random = [0; 16];
    let taken = input.take(16);
    random[..taken.len()].copy_from_slice(taken);
    let id = SnapshotId::new(seconds, random);
    assert_eq!(id.to_string().parse(), Ok(id));
    let file = entity_file(text);
    assert!(file.is_ascii() && file.len() <= NAME_BYTES_MAX + ".json".len());
    assert!(!file.contains(['/', '\\', ':', '\0']) && !file.starts_with('.'));
    assert!(!file.eq_ignore_ascii_case(MANIFEST_FILE));
}
