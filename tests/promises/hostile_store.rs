//! A store made by somebody who means harm: every object is well formed under its right name, and
//! lies. Restoring refuses by a typed error or leaves out what it names; nothing is written outside
//! the target, nothing panics, and no length that is only said takes memory.

use std::fs;
use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::codec::zstd;
use larder::error::{Error, StoreError};
use larder::format::blob::{BlobKind, BlobSource, Encoding};
use larder::format::footer::TRAILER_MAGIC;
use larder::format::frame::{self, ObjectKind};
use larder::format::manifest::{Entity, Manifest, RestoreMark};
use larder::format::node::{Child, Node, Span};
use larder::format::{limits, name, pack, schema};
use larder::model::id::{BlobId, PackId, SnapshotId};
use larder::model::schema::{ObjectKind as SchemaKind, Schema, SchemaObject};
use larder::model::text::TextEncoding;
use larder::ops::export::{self, ExportForm, ExportOptions};
use larder::progress::NoProgress;

use crate::forged_pack::{ForgedItem, ForgedPack, put_bytes};
use crate::sandbox::{Sandbox, snapshots};
use crate::workshop::sql;

/// The bytes of a database.
#[derive(PartialEq)]
struct Content(Vec<u8>);

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a database of {} bytes", self.0.len())
    }
}

/// A store with one honest snapshot, from which lies are made.
struct Scene {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    manifest: Manifest,
    schema: Schema,
    packs: u8,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let database = sandbox.path("a.db");
        sql(
            &database,
            "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT); INSERT INTO a VALUES(1,'one'),(2,'two');
             CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO b VALUES('x', 1);
             CREATE INDEX i ON a(x); CREATE VIEW w AS SELECT x FROM a;
             CREATE TRIGGER g AFTER INSERT ON a BEGIN DELETE FROM b; END;",
        );
        let backend = Arc::new(MemoryBackend::new());
        let mut store = sandbox.create(backend.clone());
        let id = sandbox.backup(&mut store, &database);
        fs::remove_file(&database).unwrap();
        let manifest = store.manifest(&id).unwrap().unwrap();
        let reader = store.reader().unwrap();
        let canonical = reader.get(BlobKind::Schema, &manifest.schema).unwrap();
        let schema = schema::decode(&canonical).unwrap();
        Self {
            sandbox,
            backend,
            manifest,
            schema,
            packs: 0,
        }
    }

    fn put_pack(&mut self, items: impl IntoIterator<Item = ForgedItem>) -> PackId {
        self.packs += 1;
        ForgedPack::of(self.packs, items).put(&*self.backend)
    }

    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> BlobId {
        let item = ForgedItem::plain(kind, canonical);
        let id = item.id;
        self.put_pack([item]);
        id
    }

    /// Puts the manifest under a new id, and tries everything with it that reads snapshots. Gives
    /// what restoring said.
    fn try_all(&self, mut manifest: Manifest, what: &str) -> Result<Content, Error> {
        let sandbox = &self.sandbox;
        manifest.id = SnapshotId::new(1_800_000_000, [9; 16]);
        let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Manifest, &manifest).unwrap();
        self.backend
            .put(&name::snapshot(&manifest.id), &bytes)
            .unwrap();
        let mut store = sandbox.open(self.backend.clone());
        let honest = snapshots_but(&store, &manifest.id);
        let validated = sandbox.try_validate(&store);
        let restored = sandbox.try_restore(&mut store, &manifest.id).map(Content);
        assert_eq!(left_in(sandbox), [""; 0], "{what}");
        if let Ok(read) = store.manifest(&manifest.id) {
            let destination = sandbox.path("export");
            let options = ExportOptions {
                form: ExportForm::Folder,
                entities: Vec::new(),
            };
            let read = read.unwrap();
            let _any = export::run(&store, &read, &destination, &options, &mut NoProgress);
            let _none = fs::remove_dir_all(&destination);
            assert_eq!(left_in(sandbox), [""; 0], "{what}: export");
        }
        // Whatever is said of the lie, the honest snapshot is not touched by it.
        for id in honest {
            sandbox.restore(&mut store, &id);
        }
        if let Ok(validated) = validated {
            let whole = validated.damage.is_empty() && validated.snapshots.iter().all(|s| s.good);
            assert!(
                !whole || restored.is_ok() || is_of_schema(&restored),
                "{what}: not found"
            );
        }
        restored
    }

    fn try_schema(&mut self, schema: &Schema, what: &str) -> Result<Content, Error> {
        let canonical = schema::encode(schema).unwrap();
        let mut manifest = self.manifest.clone();
        manifest.schema = self.put(BlobKind::Schema, &canonical);
        self.try_all(manifest, what)
    }

    /// The honest schema with another text for one object.
    fn with_sql(&self, object: &str, sql: &str) -> Schema {
        let mut schema = self.schema.clone();
        let found = schema.objects.iter_mut().find(|o| o.name == object);
        found.unwrap().sql = Some(sql.to_owned());
        schema
    }
}

/// Validation reads records, not what SQL texts would do.
fn is_of_schema(restored: &Result<Content, Error>) -> bool {
    matches!(restored, Err(Error::Target(_)))
}

fn snapshots_but(store: &larder::ops::open::Store, lie: &SnapshotId) -> Vec<SnapshotId> {
    let ids = store.snapshot_names().unwrap().ids;
    ids.into_iter().filter(|id| id != lie).collect()
}

/// What lies in the sandbox's folder, beside nothing at all.
fn left_in(sandbox: &Sandbox) -> Vec<String> {
    let entries = fs::read_dir(sandbox.dir.path()).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    entries
        .map(name)
        .map(|n| n.into_string().unwrap())
        .collect()
}

fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::Store(StoreError::Damaged { .. } | StoreError::Blob(_)) | Error::NotWhole(_)
    )
}

#[test]
fn a_schema_text_that_does_more_than_create_its_object_is_refused() {
    let outside = std::env::temp_dir().join(format!("larder-hostile-{}", std::process::id()));
    let aside = outside.display();
    let texts = [
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT); DROP TABLE b".to_owned(),
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT); CREATE TABLE more(z)".to_owned(),
        format!("ATTACH '{aside}' AS other"),
        format!("CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT); ATTACH '{aside}' AS other"),
        format!("VACUUM INTO '{aside}'"),
        "PRAGMA writable_schema=1".to_owned(),
        "DROP TABLE b".to_owned(),
        "CREATE TABLE zz(id INTEGER PRIMARY KEY, x TEXT)".to_owned(),
        "CREATE TEMP TABLE a(id INTEGER PRIMARY KEY, x TEXT)".to_owned(),
        "CREATE TABLE other.a(id INTEGER PRIMARY KEY, x TEXT)".to_owned(),
        "CREATE TABLE a AS SELECT 1 AS id, 'x' AS x".to_owned(),
        "CREATE TABLE IF NOT EXISTS a(id INTEGER PRIMARY KEY, x TEXT)".to_owned(),
        "CREATE VIRTUAL TABLE a USING fts5(x)".to_owned(),
        "CREATE VIEW a AS SELECT 1".to_owned(),
        "CREATE TABLE a(id INTEGER PRIMARY KEY)".to_owned(),
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT, y TEXT DEFAULT (load_extension('x')))"
            .to_owned(),
        "CREATE".to_owned(),
        String::new(),
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT)\0".to_owned(),
        "/**/CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT)".to_owned(),
    ];
    for text in texts {
        let mut scene = Scene::new();
        let schema = scene.with_sql("a", &text);
        let error = scene.try_schema(&schema, &text).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Target(_) | Error::Store(_) | Error::NotWhole(_)
            ),
            "{text}: {error}"
        );
        assert!(!outside.exists(), "{text}");
    }
}

/// Indexes, views and triggers that cannot be made are left out, with a warning; never more.
#[test]
fn a_hostile_index_view_or_trigger_is_left_out_or_refused() {
    for (object, text) in [
        ("i", "CREATE INDEX i ON a(x); DROP TABLE b"),
        ("i", "CREATE INDEX i ON a(load_extension(x))"),
        ("i", "CREATE UNIQUE INDEX j ON b(v)"),
        ("w", "CREATE TEMP VIEW w AS SELECT 1"),
        ("w", "CREATE TABLE w(x)"),
        ("w", "DELETE FROM a"),
        (
            "g",
            "CREATE TRIGGER g AFTER INSERT ON a BEGIN DELETE FROM b; END; DELETE FROM b",
        ),
        (
            "g",
            "CREATE TEMP TRIGGER g AFTER INSERT ON a BEGIN DELETE FROM b; END",
        ),
    ] {
        let mut scene = Scene::new();
        let schema = scene.with_sql(object, text);
        if let Ok(Content(bytes)) = scene.try_schema(&schema, text) {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), bytes).unwrap();
            let db = rusqlite::Connection::open(file.path()).unwrap();
            let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!(count("SELECT count(*) FROM a"), 2, "{text}");
            assert_eq!(count("SELECT count(*) FROM b"), 1, "{text}");
            let named = format!("SELECT count(*) FROM sqlite_schema WHERE name = '{object}'");
            assert_eq!(count(&named), 0, "{text}");
        }
    }
}

/// A trigger of the snapshot must not run while its rows are restored.
#[test]
fn triggers_do_not_run_during_a_restore() {
    let scene = Scene::new();
    scene.try_all(scene.manifest.clone(), "honest").unwrap();
}

#[test]
fn a_schema_that_does_not_describe_its_tables_is_refused() {
    type Lie = fn(&mut Schema);
    let lies: [(&str, Lie); 8] = [
        ("a column less", |s| drop(s.tables[0].columns.pop())),
        ("a column more", |s| {
            let column = s.tables[0].columns[1].clone();
            s.tables[0].columns.push(column);
        }),
        ("a key beyond the columns", |s| {
            s.tables[1].primary_key[0].column = 99
        }),
        ("without its table", |s| drop(s.tables.remove(0))),
        ("without its objects", |s| s.objects.clear()),
        ("an object twice", |s| {
            let object = s.objects[0].clone();
            s.objects.insert(0, object);
        }),
        ("another column's name", |s| {
            s.tables[0].columns[1].name = "y\" = 1; --".to_owned()
        }),
        ("a name with a NUL", |s| {
            s.tables[0].name = "a\0b".to_owned()
        }),
    ];
    for (what, lie) in lies {
        let mut scene = Scene::new();
        let mut schema = scene.schema.clone();
        lie(&mut schema);
        let error = scene.try_schema(&schema, what).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Target(_) | Error::Store(_) | Error::NotWhole(_)
            ),
            "{what}: {error}"
        );
    }
}

#[test]
fn a_manifest_that_lies_is_refused() {
    type Lie = fn(&mut Manifest);
    let of = |lie: Lie| lie;
    let lies = [
        ("records", of(|m| m.entities[0].records += 1)),
        ("no records", of(|m| m.entities[0].records = 0)),
        ("all the records", of(|m| m.entities[0].records = u64::MAX)),
        (
            "all the records, twice",
            of(|m| m.entities.iter_mut().for_each(|e| e.records = u64::MAX)),
        ),
        ("bytes", of(|m| m.entities[0].bytes = 1)),
        ("the level", of(|m| root(m).level = 1)),
        ("a level beyond all", of(|m| root(m).level = 255)),
        (
            "the largest level",
            of(|m| root(m).level = limits::TREE_LEVELS_MAX),
        ),
        ("has_refs", of(|m| root(m).has_refs = true)),
        (
            "the first rowid",
            of(|m| root(m).first_rowid = Some(i64::MAX)),
        ),
        ("no first rowid", of(|m| root(m).first_rowid = None)),
        (
            "another table's tree",
            of(|m| m.entities[0].root = m.entities[1].root),
        ),
        (
            "a tree that is nowhere",
            of(|m| root(m).id = BlobId([1; 32])),
        ),
        ("the schema as a tree", of(|m| root(m).id = m.schema)),
        (
            "a schema that is nowhere",
            of(|m| m.schema = BlobId([2; 32])),
        ),
        ("a page size", of(|m| m.settings.page_size = 77)),
        (
            "an encoding",
            of(|m| m.settings.encoding = TextEncoding::Utf16be),
        ),
        ("a vacuum mode", of(|m| m.settings.auto_vacuum = 99)),
        ("two kinds of restore", of(|m| mark(m, true, true))),
        ("no kind of restore", of(|m| mark(m, false, false))),
    ];
    let scene = Scene::new();
    let honest = scene.try_all(scene.manifest.clone(), "honest").unwrap();
    let mut refused = 0;
    for (what, lie) in lies {
        let scene = Scene::new();
        let mut manifest = scene.manifest.clone();
        lie(&mut manifest);
        match scene.try_all(manifest, what) {
            // What is not believed may be said: the records are those of the trees.
            Ok(restored) => assert!(restored == honest, "{what}"),
            Err(Error::Target(_) | Error::Store(_) | Error::NotWhole(_)) => refused += 1,
            Err(error) => panic!("{what}: {error}"),
        }
    }
    assert!(refused > 16, "{refused}");
}

/// Marks it as the outcome of a restore, of an undo, or of both.
fn mark(manifest: &mut Manifest, restored: bool, undone: bool) {
    let before = SnapshotId::new(1_795_464_930, [9; 16]);
    manifest.restore = Some(RestoreMark {
        of: restored.then(|| before.clone()),
        undoes: undone.then(|| before.clone()),
        before,
        changed: vec!["a".to_owned()],
    });
}

fn root(manifest: &mut Manifest) -> &mut larder::format::manifest::RootRef {
    manifest.entities[0].root.as_mut().unwrap()
}

#[test]
fn names_that_lead_out_of_the_target_are_not_followed() {
    let names = [
        "../x",
        "/tmp/larder-x",
        "..",
        ".",
        "a/b",
        "a\\b",
        "a\nb",
        "CON",
        "",
    ];
    for name in names {
        for twist in [true, false] {
            let scene = Scene::new();
            let mut manifest = scene.manifest.clone();
            let entity: &mut Entity = &mut manifest.entities[0];
            if twist {
                entity.entity = name.to_owned();
            } else {
                entity.file = format!("{name}.json");
                manifest.name = name.to_owned();
            }
            let _any = scene.try_all(manifest, name);
            assert!(
                !scene.sandbox.dir.path().with_file_name("x").exists(),
                "{name}"
            );
            assert!(
                !scene.sandbox.dir.path().with_file_name("x.json").exists(),
                "{name}"
            );
        }
    }
}

/// A leaf is what its id says, and yet nothing that this table can have.
#[test]
fn leaves_that_do_not_fit_are_damage() {
    // rows, columns, has-rowids, then whatever.
    let leaf = |rows: u32, columns: u16, rowids: u8, rest: &[u8]| {
        let mut leaf = rows.to_le_bytes().to_vec();
        leaf.extend_from_slice(&columns.to_le_bytes());
        leaf.push(rowids);
        leaf.extend_from_slice(rest);
        leaf
    };
    let offsets = [0, 1_u64].map(u64::to_le_bytes).concat();
    let two_nulls = |columns: u16| {
        leaf(
            2,
            columns,
            1,
            &[&offsets[..], &vec![0; 2 * columns as usize]].concat(),
        )
    };
    let cases = [
        ("no column", two_nulls(0)),
        ("a column too many", two_nulls(2)),
        ("without rowids", leaf(2, 1, 0, &[0, 0])),
        ("absurdly many rows", leaf(u32::MAX, 1, 1, &[])),
        ("absurdly many columns", leaf(2, u16::MAX, 1, &offsets)),
        ("no rows", leaf(0, 1, 1, &[])),
        ("nothing", Vec::new()),
        (
            "an absurd text",
            leaf(2, 1, 1, &[&offsets[..], &[3, 3], &[0xff; 8]].concat()),
        ),
        (
            "an absurd spilled value",
            leaf(2, 1, 1, &[&offsets[..], &[6, 0], &[0xff; 41]].concat()),
        ),
        (
            "a class that is none",
            leaf(2, 1, 1, &[&offsets[..], &[99, 99]].concat()),
        ),
    ];
    for (what, canonical) in cases {
        let mut scene = Scene::new();
        let mut manifest = scene.manifest.clone();
        root(&mut manifest).id = scene.put(BlobKind::Leaf, &canonical);
        manifest.entities[0].bytes = canonical.len() as u64;
        let error = scene.try_all(manifest, what).unwrap_err();
        assert!(is_damage(&error), "{what}: {error}");
    }
}

#[test]
fn encoded_leaves_with_absurd_lengths_are_damage_and_take_no_memory() {
    let id = BlobId([3; 32]);
    for (what, canonical_bytes, encoded) in [
        (
            "all rows",
            limits::BLOB_BYTES_MAX as u32,
            [[0xff; 4].to_vec(), vec![1, 0, 0]].concat(),
        ),
        (
            "all columns",
            limits::BLOB_BYTES_MAX as u32,
            vec![2, 0, 0, 0, 0xff, 0xff, 0],
        ),
        (
            "constant columns",
            limits::BLOB_BYTES_MAX as u32,
            [vec![0, 0, 1, 0, 0xff, 0x7f, 0], vec![0; 32767]].concat(),
        ),
        ("longer than said", 4, vec![1, 0, 0, 0, 1, 0, 0, 0]),
        ("nothing", 100, Vec::new()),
    ] {
        let mut scene = Scene::new();
        let mut manifest = scene.manifest.clone();
        scene.put_pack([ForgedItem {
            id,
            kind: BlobKind::Leaf,
            encoding: Encoding::Columns,
            base: None,
            canonical_bytes,
            encoded,
        }]);
        root(&mut manifest).id = id;
        let error = scene.try_all(manifest, what).unwrap_err();
        assert!(is_damage(&error), "{what}: {error}");
    }
}

/// A chain of nodes with one child each, as deep as allowed and one deeper.
#[test]
fn deep_chains_of_nodes_end_at_the_limit() {
    for levels in [1, limits::TREE_LEVELS_MAX, limits::TREE_LEVELS_MAX + 1, 200] {
        let mut scene = Scene::new();
        let mut manifest = scene.manifest.clone();
        let entity = manifest.entities[0].clone();
        let mut id = entity.root.unwrap().id;
        for level in 1..=levels {
            let child = Child {
                id,
                rows: entity.records,
                bytes: entity.bytes,
                has_refs: false,
                span: Span::Rowids { first: 1, last: 2 },
            };
            let node = Node {
                level,
                children: vec![child],
            };
            id = scene.put(BlobKind::Node, &node.encode());
        }
        root(&mut manifest).id = id;
        root(&mut manifest).level = levels;
        let restored = scene.try_all(manifest, &format!("{levels} levels"));
        assert_eq!(
            restored.is_ok(),
            levels <= limits::TREE_LEVELS_MAX,
            "{levels}"
        );
    }
}

/// What restoring the snapshot of a lie about its root node says.
fn restored_with_node(node: &[u8]) -> Result<Content, Error> {
    let mut scene = Scene::new();
    let mut manifest = scene.manifest.clone();
    root(&mut manifest).id = scene.put(BlobKind::Node, node);
    root(&mut manifest).level = 1;
    scene.try_all(manifest, "a node")
}

#[test]
fn nodes_that_lie_are_damage() {
    let honest = Scene::new();
    let entity = &honest.manifest.entities[0];
    let child = |rows, bytes| Child {
        id: entity.root.unwrap().id,
        rows,
        bytes,
        has_refs: false,
        span: Span::Rowids { first: 1, last: 2 },
    };
    let encoded = |level, children| Node { level, children }.encode();
    let good = child(entity.records, entity.bytes);
    for (what, node) in [
        ("of itself", encoded(2, vec![good.clone()])),
        (
            "twice the child",
            encoded(1, vec![good.clone(), good.clone()]),
        ),
        (
            "counts that overflow",
            encoded(1, vec![child(u64::MAX, 1), child(3, entity.bytes - 1)]),
        ),
        ("no children", encoded(1, Vec::new())),
        ("absurdly many children", [&[1, 0][..], &[0xff; 4]].concat()),
        ("level 0", encoded(0, vec![good])),
        ("nothing", Vec::new()),
    ] {
        let error = restored_with_node(&node).unwrap_err();
        assert!(is_damage(&error), "{what}: {error}");
    }
}

/// The bytes of a pack with this footer, as stored.
fn pack_with_footer(stored: &[u8], stored_bytes: u32, plain_bytes: u32) -> Vec<u8> {
    let mut bytes = pack::encode_head([77; 16]).to_vec();
    bytes.extend_from_slice(stored);
    bytes.extend_from_slice(&stored_bytes.to_le_bytes());
    bytes.extend_from_slice(&plain_bytes.to_le_bytes());
    bytes.extend_from_slice(&StoreHash::unkeyed().footer_digest(stored));
    bytes.extend_from_slice(&TRAILER_MAGIC);
    bytes
}

#[test]
fn footers_with_absurd_lengths_are_damage_of_their_pack() {
    let counts = |frames: u32, blobs: u32| [frames.to_le_bytes(), blobs.to_le_bytes()].concat();
    let all = zstd::compress(&counts(u32::MAX, u32::MAX), 3).unwrap();
    let frames = zstd::compress(&counts(u32::MAX, 0), 3).unwrap();
    let bomb = zstd::compress(&vec![0; 100 << 20], 3).unwrap();
    let length = |bytes: &[u8]| bytes.len() as u32;
    let cases = [
        ("all counts", pack_with_footer(&all, length(&all), 8)),
        ("all frames", pack_with_footer(&frames, length(&frames), 8)),
        ("longer than the pack", pack_with_footer(&all, 1 << 20, 8)),
        (
            "an absurd stored length",
            pack_with_footer(&all, u32::MAX, 8),
        ),
        (
            "an absurd plain length",
            pack_with_footer(&all, length(&all), u32::MAX),
        ),
        ("a bomb", pack_with_footer(&bomb, length(&bomb), 1000)),
        (
            "a bomb within the limit",
            pack_with_footer(&bomb, length(&bomb), 64 << 20),
        ),
        ("no footer", pack_with_footer(&[], 0, 0)),
        ("a head alone", pack::encode_head([78; 16]).to_vec()),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in cases {
        let scene = Scene::new();
        let pack = put_bytes(&*scene.backend, &bytes);
        let mut store = scene.sandbox.open(scene.backend.clone());
        let damage = scene.sandbox.try_validate(&store).unwrap().damage;
        assert_eq!(damage.len(), 1, "{what}: {damage:?}");
        assert!(
            damage[0].object.contains(&pack.to_string()),
            "{what}: {damage:?}"
        );
        // The rest of the store is as usable as before.
        let id = snapshots(&store).remove(0);
        scene.sandbox.restore(&mut store, &id);
    }
}

#[test]
fn a_frame_that_is_a_bomb_is_damage() {
    for said in [1000_u32, 64 << 20] {
        let mut scene = Scene::new();
        let mut manifest = scene.manifest.clone();
        let mut forged = ForgedPack::of(50, [ForgedItem::plain(BlobKind::Leaf, b"bomb")]);
        forged.bytes.truncate(32);
        let bomb = zstd::compress(&vec![0; 100 << 20], 3).unwrap();
        forged.bytes.extend_from_slice(&bomb);
        forged.footer.frames[0].stored_bytes = bomb.len() as u32;
        forged.footer.frames[0].plain_bytes = said;
        forged.put(&*scene.backend);
        root(&mut manifest).id = StoreHash::unkeyed().blob_id(BlobKind::Leaf as u8, b"bomb");
        scene.packs += 1;
        let error = scene.try_all(manifest, "a bomb").unwrap_err();
        assert!(is_damage(&error), "{error}");
    }
}

#[test]
fn an_object_that_is_a_bomb_is_damage() {
    let scene = Scene::new();
    let bomb = zstd::compress(&vec![b' '; 100 << 20], 3).unwrap();
    let mut bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Manifest, &()).unwrap();
    bytes.truncate(16);
    let digest = StoreHash::unkeyed().object_digest(ObjectKind::Manifest as u8, 0, &bomb);
    bytes.extend_from_slice(&digest);
    bytes.extend_from_slice(&bomb);
    let id = SnapshotId::new(1_800_000_000, [9; 16]);
    scene.backend.put(&name::snapshot(&id), &bytes).unwrap();
    let store = scene.sandbox.open(scene.backend.clone());
    let damage = scene.sandbox.try_validate(&store).unwrap().damage;
    assert_eq!(damage.len(), 1);
    assert!(damage[0].object.contains(&id.to_string()), "{damage:?}");
}

#[test]
fn a_schema_blob_that_is_deep_or_no_schema_is_damage() {
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    for canonical in [&deep[..], b"", b"null", b"{\"objects\":1}", b"\xff\xfe"] {
        let mut scene = Scene::new();
        let mut manifest = scene.manifest.clone();
        manifest.schema = scene.put(BlobKind::Schema, canonical);
        let error = scene.try_all(manifest, "a schema").unwrap_err();
        assert!(is_damage(&error), "{error}");
    }
}

/// A schema of very many objects is only slow.
#[test]
fn a_schema_object_without_text_is_not_made() {
    let mut scene = Scene::new();
    let mut schema = scene.schema.clone();
    schema.objects.push(SchemaObject {
        kind: SchemaKind::Trigger,
        name: "untold".to_owned(),
        table: "a".to_owned(),
        sql: None,
    });
    let error = scene.try_schema(&schema, "no text").unwrap_err();
    assert!(matches!(error, Error::Target(_)), "{error}");
}
