//! A fuzzer's input, taken apart from its beginning. Where it ends, numbers are 0 and texts empty.

/// What is left of an input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let taken = self.take(N);
        out[..taken.len()].copy_from_slice(taken);
        out
    }

    /// So many bytes, or what there is.
    pub(super) fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes with their length, one byte, before them.
    pub(super) fn short(&mut self) -> &'a [u8] {
        let length = usize::from(self.u8());
        self.take(length)
    }

    /// Bytes with their length, two bytes, before them.
    pub(super) fn long(&mut self) -> &'a [u8] {
        let length = usize::from(self.u16());
        self.take(length)
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// One of several things; there must be one.
    pub(super) fn choose<'t, T>(&mut self, among: &'t [T]) -> &'t T {
        &among[usize::from(self.u8()) % among.len()]
    }

    /// A place among so many.
    pub(super) fn place(&mut self, count: usize) -> usize {
        self.u32() as usize % count.max(1)
    }

    /// Other bytes in place of some of `bytes`: where, how many, and what stands there then.
    pub(super) fn spliced(&mut self, bytes: &[u8]) -> Vec<u8> {
        let from = self.place(bytes.len() + 1);
        let removed = usize::from(self.u8()).min(bytes.len() - from);
        let mut out = bytes.to_vec();
        out.splice(from..from + removed, self.short().iter().copied());
        out
    }
}
