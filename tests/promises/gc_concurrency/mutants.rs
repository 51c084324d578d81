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
    pub repacks: bool,
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
        repacks: false,
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
    mutant("content-named-packs", "delta", Rule::UniqueNames),
    mutant("no-wait-no-fence", "base", Rule::WaitOrFence),
    with(mutant("no-seal", "base", Rule::Seal), 1, 2),
    mutant("record-removed-early", "base", Rule::RecordLast),
    with(
        mutant("abort-removed-early", "base", Rule::AbortStays),
        1,
        2,
    ),
    mutant("writers-listed-early", "base", Rule::WritersAfterRecord),
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
    with(
        mutant("foreign-packs-ignored", "base", Rule::ForeignPacks),
        1,
        2,
    ),
    with(mutant("no-back-off", "twin", Rule::BackOff), 1, 2),
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
        ..with(
            mutant("skip-while-condemned", "base", Rule::SkipUncondemned),
            2,
            1,
        )
    },
    Mutant {
        repacks: true,
        ..mutant("repack-unpublished", "base", Rule::RepackPublished)
    },
];
