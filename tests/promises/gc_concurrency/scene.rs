//! The stores that the step machine begins with, in the words of the protocol's model: a pack is
//! written as what it holds, `pB[L<K,N]` has L as a delta on K, and N whole. K, L and C are leaves, M and N
//! nodes above K and L; N and L are newer than M and K.

use std::collections::BTreeMap;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::format::blob::{BlobKind, BlobSource, Encoding, Patch};
use larder::format::config::FormatMark;
use larder::format::delta;
use larder::format::frame::{self, ObjectKind};
use larder::format::leaf::{Leaf, LeafBuilder};
use larder::format::manifest::{Entity, Manifest, RootRef};
use larder::format::name;
use larder::format::node::{Child, Node, Span};
use larder::model::id::{BlobId, PackId, SnapshotId};
use larder::model::row::RowRef;
use larder::model::value::ValueRef;
use std::sync::Arc;

use crate::forged_pack::{ForgedItem, ForgedPack};
use crate::sandbox::{Sandbox, snapshots};
use crate::workshop::sql;

/// A blob of the model; `S` is the schema that all manifests share.
pub type Letter = char;

/// What is at the start, and who is at work.
pub struct Scene {
    pub name: &'static str,
    pub packs: &'static str,
    /// Name and root of manifests; those in lower case may be forgotten.
    pub manifests: &'static [(&'static str, Letter)],
    /// The root that each writer wants.
    pub wants: &'static str,
    /// A pack that is listed as damaged, whose copies are so.
    pub rotten: Option<&'static str>,
    /// The manifest that is forgotten and had back.
    pub forgets: &'static [&'static str],
    pub undo: bool,
}

pub static SCENES: [Scene; 6] = [
    Scene {
        name: "base",
        packs: "pA[K] pB[L<K,N,C]",
        manifests: &[("old", 'N'), ("keep", 'C')],
        wants: "NN",
        rotten: None,
        forgets: &["old", "keep"],
        undo: false,
    },
    Scene {
        name: "delta",
        packs: "pA[K,C]",
        manifests: &[("old", 'K'), ("keep", 'C')],
        wants: "LN",
        rotten: None,
        forgets: &["old", "keep"],
        undo: false,
    },
    Scene {
        name: "twin",
        packs: "p1[K<L] p2[L<K] p3[L] p4[K]",
        manifests: &[("a", 'L'), ("b", 'K')],
        wants: "LK",
        rotten: None,
        forgets: &["a", "b"],
        undo: false,
    },
    Scene {
        name: "node",
        packs: "pM[M] pK[K] pB[N<M,L]",
        manifests: &[("a", 'N'), ("b", 'M')],
        wants: "MN",
        rotten: None,
        forgets: &["a", "b"],
        undo: false,
    },
    Scene {
        name: "heal",
        packs: "pA[K] pB[L<K,N]",
        manifests: &[("a", 'N')],
        wants: "KN",
        rotten: Some("pA"),
        forgets: &["a"],
        undo: false,
    },
    Scene {
        name: "undo",
        packs: "pA[K] pB[L<K,N,C]",
        manifests: &[("old", 'N'), ("keep", 'C')],
        wants: "NN",
        rotten: None,
        forgets: &["old"],
        undo: true,
    },
];

pub fn scene(name: &str) -> &'static Scene {
    SCENES.iter().find(|scene| scene.name == name).unwrap()
}

/// The blobs of the model in their canonical forms.
pub struct Blobs {
    pub canonical: BTreeMap<Letter, Vec<u8>>,
    letters: BTreeMap<BlobId, Letter>,
    template: Manifest,
}

pub fn kind(letter: Letter) -> BlobKind {
    match letter {
        'S' => BlobKind::Schema,
        'M' | 'N' => BlobKind::Node,
        _ => BlobKind::Leaf,
    }
}

/// The blob, and what is below it.
pub fn closure(root: Letter) -> Vec<Letter> {
    match root {
        'M' => vec!['M', 'K'],
        'N' => vec!['N', 'L'],
        leaf => vec![leaf],
    }
}

/// The only blob that may be the base of a blob.
pub fn other(letter: Letter) -> Option<Letter> {
    match letter {
        'K' => Some('L'),
        'L' => Some('K'),
        'M' => Some('N'),
        'N' => Some('M'),
        _ => None,
    }
}

const ROWS: usize = 40;

fn leaf(letter: Letter) -> Vec<u8> {
    let mut builder = LeafBuilder::new(1);
    for row in 0..ROWS {
        let text = match row {
            7 => format!("row of {letter}"),
            _ => format!("row {row} {}", row * 7919 % 1009),
        };
        builder.push(RowRef {
            rowid: Some(row as i64),
            values: &[ValueRef::Text(text.as_bytes())],
        });
    }
    let mut canonical = Vec::new();
    builder.finish(&mut canonical);
    canonical
}

fn node(child: &[u8]) -> Vec<u8> {
    let child = Child {
        id: StoreHash::unkeyed().blob_id(BlobKind::Leaf as u8, child),
        rows: ROWS as u64,
        bytes: child.len() as u64,
        has_refs: false,
        span: Span::Rowids {
            first: 0,
            last: ROWS as i64 - 1,
        },
    };
    let children = vec![child];
    Node { level: 1, children }.encode()
}

impl Blobs {
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        let database = sandbox.path("a.db");
        sql(&database, "CREATE TABLE t(x)");
        let mut store = sandbox.create(Arc::new(MemoryBackend::new()));
        sandbox.backup(&mut store, &database);
        let template = store.manifest(&snapshots(&store)[0]).unwrap().unwrap();
        let schema = store
            .reader()
            .unwrap()
            .get(BlobKind::Schema, &template.schema);
        let mut canonical = BTreeMap::from([('S', schema.unwrap())]);
        for letter in ['K', 'L', 'C'] {
            canonical.insert(letter, leaf(letter));
        }
        canonical.insert('M', node(&canonical[&'K']));
        canonical.insert('N', node(&canonical[&'L']));
        let id = |(letter, bytes): (&Letter, &Vec<u8>)| {
            let kind = kind(*letter) as u8;
            (StoreHash::unkeyed().blob_id(kind, bytes), *letter)
        };
        Self {
            letters: canonical.iter().map(id).collect(),
            canonical,
            template,
        }
    }

    pub fn id(&self, letter: Letter) -> BlobId {
        StoreHash::unkeyed().blob_id(kind(letter) as u8, &self.canonical[&letter])
    }

    pub fn letter(&self, id: &BlobId) -> Letter {
        self.letters[id]
    }

    /// The letter whose id begins so.
    pub fn beginning_with(&self, prefix: &[u8]) -> Letter {
        let mut found = self
            .letters
            .iter()
            .filter(|(id, _)| id.0.starts_with(prefix));
        *found.next().unwrap().1
    }

    /// The delta of a blob on another.
    pub fn patch(&self, letter: Letter, base: Letter) -> Patch {
        let (result, on) = (&self.canonical[&letter], &self.canonical[&base]);
        let delta = match kind(letter) {
            BlobKind::Node => {
                let nodes = [on, result].map(|bytes| Node::decode(bytes).unwrap());
                delta::encode_node(&nodes[0], &nodes[1]).unwrap()
            }
            _ => {
                let leaves = [on, result].map(|bytes| Leaf::parse(bytes.clone()).unwrap());
                let kept = delta::Kept {
                    base: 0,
                    result: 0,
                    rows: ROWS,
                };
                delta::encode_leaf(&[&leaves[0]], &leaves[1], &[kept], &[Some(0)])
            }
        };
        Patch {
            bases: vec![on.clone()],
            delta,
        }
    }

    /// A manifest whose only table has this root.
    pub fn manifest(&self, id: &SnapshotId, root: Letter) -> Manifest {
        let table = self.template.entities[0].clone();
        let level = u8::from(kind(root) == BlobKind::Node);
        let first_rowid = (level == 0).then_some(0);
        let leaf = *closure(root).last().unwrap();
        let entity = Entity {
            records: ROWS as u64,
            bytes: self.canonical[&leaf].len() as u64,
            root: Some(RootRef {
                id: self.id(root),
                level,
                first_rowid,
                has_refs: false,
            }),
            ..table
        };
        Manifest {
            id: id.clone(),
            format: FormatMark::CURRENT,
            name: id.to_string(),
            entities: vec![entity],
            ..self.template.clone()
        }
    }

    /// Root of a manifest that this made; the one without records has none.
    pub fn root(&self, manifest: &Manifest) -> Option<Letter> {
        manifest.entities[0].root.map(|root| self.letter(&root.id))
    }

    /// `L<K,N`: items of a pack.
    fn put_pack(&self, backend: &dyn Backend, random: u8, items: &str) -> PackId {
        let items = items.split(',').map(|item| {
            let mut letters = item.chars();
            let letter = letters.next().unwrap();
            let base = letters.nth(1);
            let canonical = &self.canonical[&letter];
            let plain = ForgedItem::plain(kind(letter), canonical);
            let Some(base) = base else {
                return plain;
            };
            let mut prefix = [0; 16];
            prefix.copy_from_slice(&self.id(base).0[..16]);
            ForgedItem {
                encoding: Encoding::Delta,
                base: Some(prefix),
                encoded: self.patch(letter, base).delta,
                ..plain
            }
        });
        ForgedPack::of(random, items).put(backend)
    }
}

/// A scene's store as it is at the start.
pub struct Start {
    pub objects: Vec<(String, Arc<[u8]>)>,
    pub manifests: BTreeMap<SnapshotId, String>,
    pub rotten: Option<PackId>,
}

/// The id of a scene's manifest.
pub fn manifest_id(name: &str) -> SnapshotId {
    SnapshotId::new(1_795_464_000, [name.as_bytes()[0]; 16])
}

pub fn start(scene: &Scene, blobs: &Blobs) -> Start {
    let sandbox = Sandbox::new();
    let backend = Arc::new(MemoryBackend::new());
    sandbox.create(backend.clone());
    let mut rotten = None;
    for (n, pack) in scene.packs.split(' ').chain(["pS[S]"]).enumerate() {
        let (label, items) = pack.trim_end_matches(']').split_once('[').unwrap();
        let id = blobs.put_pack(&*backend, n as u8 + 1, items);
        if scene.rotten == Some(label) {
            backend
                .put_new(&format!("{}{id}", name::DAMAGED), b"")
                .unwrap();
            rotten = Some(id);
        }
    }
    let mut manifests = BTreeMap::new();
    let mut put = |label: &str, manifest: Manifest| {
        let kind = ObjectKind::Manifest;
        let bytes = frame::encode(StoreHash::unkeyed(), kind, &manifest).unwrap();
        backend
            .put_new(&name::snapshot(&manifest.id), &bytes)
            .unwrap();
        manifests.insert(manifest.id, label.to_owned());
    };
    for (label, root) in scene.manifests {
        put(label, blobs.manifest(&manifest_id(label), *root));
    }
    // It keeps the schema, which is not what this is about.
    let schema_only = Manifest {
        id: manifest_id("schema"),
        ..blobs.template.clone()
    };
    put("schema", schema_only);
    let objects = backend.list("").unwrap().into_iter().map(|object| {
        let bytes = backend.get(&object.name, u64::MAX).unwrap();
        (object.name, bytes.into())
    });
    Start {
        objects: objects.collect(),
        manifests,
        rotten,
    }
}
