//! On which file system a database lies: over a network, locks may be promises that nobody keeps.

use std::path::Path;

/// What is known of a file system that is not a plain local one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Distrusted {
    /// Its name, for a person.
    pub name: &'static str,
    /// WAL mode cannot work there: the programs have no memory in common.
    pub refuses_wal: bool,
}

/// File systems by the number that `statfs` gives (statfs(2), linux/magic.h).
const DISTRUSTED: [(u32, &str, bool); 9] = [
    (0x6969, "NFS", true),
    (0x517b, "SMB", true),
    (0xff53_4d42, "CIFS", true),
    (0xfe53_4d42, "SMB", true),
    (0x5346_414f, "AFS", true),
    (0x6b41_4653, "AFS", true),
    (0x0102_1997, "9p", false),
    (0x00c3_6400, "Ceph", false),
    // sshfs, but also ntfs-3g and others that are local.
    (0x6573_5546, "FUSE", false),
];

/// `None`: nothing speaks against its locks.
fn classify(magic: u32) -> Option<Distrusted> {
    let found = DISTRUSTED.iter().find(|(number, ..)| *number == magic);
    found.map(|&(_, name, refuses_wal)| Distrusted { name, refuses_wal })
}

/// The file system of a file. One that cannot be asked is taken for a local one.
pub(super) fn of(path: &Path) -> Option<Distrusted> {
    let facts = rustix::fs::statfs(path).ok()?;
    // The type of the number differs between machines; it never has more than 32 bits.
    let magic = u32::try_from(i128::from(facts.f_type) & 0xffff_ffff).ok()?;
    classify(magic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_over_a_network_are_told_from_local_ones() {
        let told = |magic| classify(magic).map(|d| (d.name, d.refuses_wal));
        assert_eq!(told(0x6969), Some(("NFS", true)));
        assert_eq!(told(0xff53_4d42), Some(("CIFS", true)));
        assert_eq!(told(0x6573_5546), Some(("FUSE", false)));
        assert_eq!(told(0x0102_1997), Some(("9p", false)));
        // ext4, xfs, btrfs, zfs, tmpfs, overlayfs, f2fs.
        for local in [
            0xef53,
            0x5846_5342,
            0x9123_683e,
            0x2fc1_2fc1,
            0x0102_1994,
            0x794c_7630,
            0xf2f5_2010,
        ] {
            assert_eq!(told(local), None, "{local:x}");
        }
    }
}
