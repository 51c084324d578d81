//! Rules of the protocol that a test may break, one at a time, to prove that it would notice.
//!
//! Each stands where it is obeyed, as `rules.hold(Rule::…)`; without the feature `testkit` that is
//! true, and costs nothing. The names are those of the mutants of the protocol's model.

/// One rule, named by what goes wrong without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// W1: a writer has a record.
    WriterRecord,
    /// W3: a delta counts as known only if its bases do.
    UsableWithBases,
    /// W3: no subtree is skipped while a clean-up is at work.
    SkipUncondemned,
    /// W3: damage of a base is damage of what stands on it.
    DamageSpreads,
    /// W4: packs are named uniquely.
    UniqueNames,
    /// W4: what is stored anew is whole.
    HealWhole,
    /// W4: a base is usable.
    UsableBase,
    /// W6: a commit creates.
    CommitCreates,
    /// F2: a verdict is registered before a manifest is deleted.
    DeleteRegistered,
    /// F3: an undo is registered.
    UndoRegistered,
    /// F3: what a clean-up has won is not undone.
    UndoBeforeDelete,
    /// G0: another clean-up's abort stays.
    AbortStays,
    /// G1, G6: forgotten manifests are roots.
    ForgottenAreRoots,
    /// G2: copies that are kept can be had.
    KeepFixpoint,
    /// G2, G6: bases are kept.
    MarkBases,
    /// G2, G6: a blob that was met as a base is visited again as content.
    ContentWins,
    /// G2, G6: all copies are kept of what cannot be had.
    KeepBroken,
    /// G2, G6: copies in packs that others have condemned are followed.
    ForeignPacks,
    /// G2: a pack of kept copies is published before others are condemned.
    RepackPublished,
    /// G3: a clean-up backs off beside another.
    BackOff,
    /// G4: writers are listed after the record is there.
    WritersAfterRecord,
    /// G5: writers are waited for, or fenced.
    WaitOrFence,
    /// G6: manifests are marked a second time.
    SecondMark,
    /// G6: what is kept of D is what bases and content need, not what lies nowhere else.
    RescueByHomes,
    /// G7: the list is sealed.
    Seal,
    /// G9: the record goes after the packs.
    RecordLast,
}

/// The rules as they are obeyed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    #[cfg(feature = "testkit")]
    broken: Option<Rule>,
    #[cfg(feature = "testkit")]
    otherwise: bool,
}

impl Rules {
    /// All rules but one.
    #[cfg(feature = "testkit")]
    pub fn without(rule: Rule) -> Self {
        Self {
            broken: Some(rule),
            otherwise: false,
        }
    }

    /// Of several copies that are as good others are taken: what the rules leave open.
    #[cfg(feature = "testkit")]
    #[must_use]
    pub fn choosing_otherwise(self) -> Self {
        Self {
            otherwise: true,
            ..self
        }
    }

    /// True if they are.
    pub(super) fn choose_otherwise(self) -> bool {
        #[cfg(feature = "testkit")]
        return self.otherwise;
        #[cfg(not(feature = "testkit"))]
        false
    }

    /// True if the rule is to be obeyed: always, but for a test that breaks it.
    #[cfg_attr(
        not(feature = "testkit"),
        expect(clippy::unused_self, reason = "nothing is broken outside tests")
    )]
    pub(super) fn hold(self, rule: Rule) -> bool {
        #[cfg(feature = "testkit")]
        return self.broken != Some(rule);
        #[cfg(not(feature = "testkit"))]
        {
            let _ = rule;
            true
        }
    }
}
