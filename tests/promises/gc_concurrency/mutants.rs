//! Broken rules: each, alone, must lose a snapshot in some order of steps. The list is that of the
//! protocol's model, with the actors that can show it.

use larder::store::rules::Rule;

use super::actors::Sin;

/// How a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// In larder's code.
    Rule(Rule),
    /// By a writer.
    Sin(Sin),
}

/// A broken rule, and who shows it.
pub struct Mutant {
    pub name: &'static str,
    pub scene: &'static str,
    pub writers: usize,
    pub prunes: usize,
    pub broken: Broken,
    /// Writers store deltas, publish blobs alone, take what they know unasked.
    pub deltas: bool,
    pub alone: bool,
    pub follows: bool,
    /// So many of the clean-ups copy partly dead packs.
    pub repacks: usize,
    /// An order of steps that shows it, where random ones rarely do: as `random::play_script`. Actors are
    /// writers, clean-ups, then those who delete.
    pub script: &'static [(usize, &'static str)],
    /// The variant that the script is for: 0 as it is, 1 with the manifests gone at the start (or the
    /// second writer following the first), 2 the same among processes that all live.
    pub way: usize,
    /// A clean-up that takes another one of several good copies.
    pub chooses_otherwise: Option<usize>,
}

const fn mutant(name: &'static str, scene: &'static str, rule: Rule) -> Mutant {
    Mutant {
        name,
        scene,
        writers: 1,
        prunes: 1,
        broken: Broken::Rule(rule),
        deltas: false,
        alone: false,
        follows: false,
        repacks: 0,
        script: &[],
        way: 0,
        chooses_otherwise: None,
    }
}

const fn scripted(mutant: Mutant, way: usize, script: &'static [(usize, &'static str)]) -> Mutant {
    Mutant {
        script,
        way,
        ..mutant
    }
}

const fn with(mutant: Mutant, writers: usize, prunes: usize) -> Mutant {
    Mutant {
        writers,
        prunes,
        ..mutant
    }
}

pub const MUTANTS: [Mutant; 28] = [
    mutant("no-writer-record", "base", Rule::WriterRecord),
    mutant("no-second-mark", "base", Rule::SecondMark),
    mutant("commit-overwrites", "base", Rule::CommitCreates),
    scripted(
        mutant("content-named-packs", "delta", Rule::UniqueNames),
        1,
        &[
            (0, "creates snapshots/"),
            (1, "creates gc/"),
            (1, "lists snapshots/"),
            (0, "creates snapshots/"),
            (1, "deletes packs/"),
            (0, ""),
            (1, ""),
        ],
    ),
    mutant("no-wait-no-fence", "base", Rule::WaitOrFence),
    scripted(
        with(mutant("no-seal", "base", Rule::Seal), 1, 2),
        1,
        &[
            (1, "deletes packs/"),
            (2, "lists forgotten/"),
            (0, ""),
            (1, ""),
        ],
    ),
    scripted(
        mutant("record-removed-early", "base", Rule::RecordLast),
        1,
        &[(1, "deletes packs/"), (0, ""), (1, "")],
    ),
    scripted(
        with(
            mutant("abort-removed-early", "base", Rule::AbortStays),
            1,
            2,
        ),
        1,
        // Before it seals.
        &[
            (1, "creates gc/"),
            (1, "creates gc/"),
            (2, "lists forgotten/"),
            (0, ""),
            (1, ""),
        ],
    ),
    scripted(
        mutant("writers-listed-early", "base", Rule::WritersAfterRecord),
        1,
        &[
            (1, "creates gc/"),
            (0, "creates snapshots/"),
            (1, "deletes packs/"),
            (0, ""),
            (1, ""),
        ],
    ),
    mutant("usable-ignores-bases", "base", Rule::UsableWithBases),
    mutant("keep-without-fixpoint", "twin", Rule::KeepFixpoint),
    Mutant {
        broken: Broken::Sin(Sin::TrustsNodes),
        ..mutant("node-proves-children", "node", Rule::Seal)
    },
    mutant("bases-not-marked", "base", Rule::MarkBases),
    mutant("base-colour-wins", "node", Rule::ContentWins),
    Mutant {
        deltas: true,
        ..mutant("heal-as-delta", "heal", Rule::HealWhole)
    },
    with(
        mutant("damage-stays-local", "heal", Rule::DamageSpreads),
        2,
        1,
    ),
    mutant("broken-not-kept", "heal", Rule::KeepBroken),
    mutant("rescue-by-presence", "base", Rule::RescueByHomes),
    Mutant {
        repacks: 1,
        ..scripted(
            with(
                mutant("foreign-packs-ignored", "base", Rule::ForeignPacks),
                1,
                2,
            ),
            0,
            &[
                (0, "creates snapshots/"),
                (3, ""),
                // It has seen no other record.
                (2, "creates gc/"),
                (1, "reads writers/"),
                (0, ""),
                (1, "lists gc/"),
                (2, "lists gc/"),
                (1, ""),
            ],
        )
    },
    Mutant {
        chooses_otherwise: Some(2),
        ..scripted(
            with(mutant("no-back-off", "twin", Rule::BackOff), 1, 2),
            0,
            &[
                (0, "creates snapshots/"),
                (2, "lists forgotten/"),
                (3, ""),
                (1, "creates gc/"),
                (4, ""),
                (2, "creates gc/"),
                (0, ""),
                // Both have their records, then look a second time.
                (1, "lists snapshots/"),
                (1, "lists gc/"),
                (2, "lists snapshots/"),
                (2, "lists gc/"),
                (1, "creates gc/"),
                (2, "creates gc/"),
                (1, ""),
                (2, ""),
            ],
        )
    },
    Mutant {
        deltas: true,
        ..mutant("base-by-presence", "delta", Rule::UsableBase)
    },
    mutant("undo-unregistered", "undo", Rule::UndoRegistered),
    mutant("delete-unregistered", "undo", Rule::DeleteRegistered),
    mutant("undo-after-delete", "undo", Rule::UndoBeforeDelete),
    mutant("forgotten-not-root", "undo", Rule::ForgottenAreRoots),
    Mutant {
        broken: Broken::Sin(Sin::SkipsByOldList),
        ..mutant("skip-by-old-list", "base", Rule::Seal)
    },
    Mutant {
        follows: true,
        ..scripted(
            with(
                mutant("skip-while-condemned", "base", Rule::SkipUncondemned),
                2,
                1,
            ),
            1,
            &[
                (0, "creates snapshots/"),
                (3, ""),
                (4, ""),
                (2, "creates gc/"),
                (2, "reads writers/"),
                (0, ""),
                (2, "lists snapshots/"),
                (1, "creates snapshots/"),
                (5, ""),
                (2, "deletes packs/"),
                (1, ""),
                (2, ""),
            ],
        )
    },
    Mutant {
        repacks: 1,
        ..mutant("repack-unpublished", "base", Rule::RepackPublished)
    },
];
