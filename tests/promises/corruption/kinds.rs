//! The kinds of objects, how messages call them, and what may happen to an object unseen: the list of what
//! is harmless by definition, with reasons. docs/testing.md has the same list.

use larder::format::name;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Config,
    Manifest,
    Abort,
    Pack,
    Writer,
    Gc,
    GcFinal,
    Forgotten,
    ForgottenFinal,
    Pin,
    DamagedMark,
    Redundancy,
    Parity,
    Second,
    Ballast,
}

impl Kind {
    pub const ALL: [Self; 15] = [
        Self::Config,
        Self::Manifest,
        Self::Abort,
        Self::Pack,
        Self::Writer,
        Self::Gc,
        Self::GcFinal,
        Self::Forgotten,
        Self::ForgottenFinal,
        Self::Pin,
        Self::DamagedMark,
        Self::Redundancy,
        Self::Parity,
        Self::Second,
        Self::Ballast,
    ];

    /// What an object of this name is; a snapshot's name does not tell a manifest from an abort marker.
    pub fn of(object: &str, bytes: &[u8]) -> Self {
        let under = |prefix| object.starts_with(prefix);
        let is_final = object.ends_with(name::GC_FINAL_ENDING);
        match object {
            name::CONFIG => Self::Config,
            name::REDUNDANCY => Self::Redundancy,
            name::BALLAST => Self::Ballast,
            _ if under(name::SNAPSHOTS) && bytes.get(14) == Some(&b'A') => Self::Abort,
            _ if under(name::SNAPSHOTS) => Self::Manifest,
            _ if under(name::PACKS) => Self::Pack,
            _ if under(name::WRITERS) => Self::Writer,
            _ if under(name::GC) && is_final => Self::GcFinal,
            _ if under(name::GC) => Self::Gc,
            _ if under(name::FORGOTTEN) && is_final => Self::ForgottenFinal,
            _ if under(name::FORGOTTEN) => Self::Forgotten,
            _ if under(name::PINS) => Self::Pin,
            _ if under(name::DAMAGED) => Self::DamagedMark,
            _ if under(name::PARITY) => Self::Parity,
            _ => {
                assert!(under(name::SECOND), "{object}");
                Self::Second
            }
        }
    }

    /// Its name in docs/testing.md.
    pub fn title(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Manifest => "manifest",
            Self::Abort => "abort marker",
            Self::Pack => "pack",
            Self::Writer => "record of a writer",
            Self::Gc => "record of a clean-up",
            Self::GcFinal => "verdict on a clean-up",
            Self::Forgotten => "mark of a forgotten snapshot",
            Self::ForgottenFinal => "verdict on such a mark",
            Self::Pin => "pin",
            Self::DamagedMark => "mark of a damaged pack",
            Self::Redundancy => "`redundancy`",
            Self::Parity => "parity",
            Self::Second => "second copy",
            Self::Ballast => "ballast",
        }
    }

    /// Bytes at its ends of which every bit is changed.
    pub fn ends(self, bytes: usize) -> (usize, usize) {
        match self {
            Self::Pack => (32, 96),
            Self::Parity => (128, 128),
            // Beside copies of packs there are those of small objects.
            Self::Second if bytes > 4096 => (32, 48),
            _ => (48, 0),
        }
    }
}

/// How messages call an object.
pub fn called(object: &str) -> String {
    if let Some(first) = object.strip_prefix(name::SECOND) {
        return format!("second copy of {}", called(first));
    }
    if let Some(pack) = name::parse_parity(object) {
        return format!("parity of {}", called(&name::pack(&pack)));
    }
    if let Some(pack) = object.strip_prefix(name::PACKS) {
        return format!("pack {pack}");
    }
    match object.strip_prefix(name::SNAPSHOTS) {
        Some(snapshot) => format!("snapshot {snapshot}"),
        None => object.to_owned(),
    }
}

/// What happens to objects, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Other bytes, or more, or fewer.
    Bytes,
    /// It is gone.
    Deleted,
    /// An object of its kind stands in its place, of this store or of another one.
    Exchanged,
}

impl Harm {
    /// Its name in docs/testing.md.
    pub fn title(self) -> &'static str {
        match self {
            Self::Bytes => "any other bytes",
            Self::Deleted => "deleted",
            Self::Exchanged => "another one in its place",
        }
    }
}

/// What validation need not tell, and why.
pub const HARMLESS: [(Kind, Harm, &str); 19] = [
    (Kind::Ballast, Harm::Bytes, "nobody reads it"),
    (Kind::Ballast, Harm::Deleted, "a prune puts another one"),
    (Kind::Ballast, Harm::Exchanged, "nobody reads it"),
    (
        Kind::DamagedMark,
        Harm::Bytes,
        "its name says all that it says",
    ),
    (
        Kind::DamagedMark,
        Harm::Deleted,
        "the pack itself says what it is",
    ),
    (
        Kind::DamagedMark,
        Harm::Exchanged,
        "its name says all that it says",
    ),
    (
        Kind::Config,
        Harm::Exchanged,
        "without a second copy nothing tells one store's config from another's; packs and manifests do not depend on it",
    ),
    (
        Kind::Manifest,
        Harm::Deleted,
        "a snapshot that is gone is no longer there: that is all there is to see",
    ),
    (
        Kind::Abort,
        Harm::Deleted,
        "as after its 90 days: only a writer that sleeps so long needs it",
    ),
    (
        Kind::Writer,
        Harm::Deleted,
        "as at the end of a backup: only a prune that runs beside it needs it",
    ),
    (
        Kind::Gc,
        Harm::Deleted,
        "as at the end of a prune: only a backup that runs beside it needs it",
    ),
    (
        Kind::GcFinal,
        Harm::Deleted,
        "as after its 90 days: only a prune that sleeps so long needs it",
    ),
    (
        Kind::Forgotten,
        Harm::Deleted,
        "the snapshot counts as not forgotten",
    ),
    (
        Kind::ForgottenFinal,
        Harm::Deleted,
        "the snapshot counts as forgotten, and is deleted after its time, as if that had not been taken back",
    ),
    (Kind::Pin, Harm::Deleted, "the snapshot is not pinned"),
    (
        Kind::Redundancy,
        Harm::Deleted,
        "backups go on with the default",
    ),
    (
        Kind::Redundancy,
        Harm::Exchanged,
        "backups go on as another store's do",
    ),
    (Kind::Parity, Harm::Deleted, "only parity is less"),
    (Kind::Second, Harm::Deleted, "only a copy is gone"),
];

/// Why it need not be told of; `None`: it must be.
pub fn harmless(kind: Kind, harm: Harm) -> Option<&'static str> {
    let found = HARMLESS.iter().find(|(k, h, _)| (*k, *h) == (kind, harm));
    found.map(|(_, _, why)| *why)
}
