//! Bytes of a leaf being encoded, and its seams: where content of another kind begins.
//!
//! Seams are no part of the format. A compressor that begins a block at each gives every kind of
//! content its own statistics.

/// Bytes being written.
#[derive(Debug, Default)]
pub struct Output {
    /// What was written.
    pub bytes: Vec<u8>,
    /// Rising offsets into `bytes`.
    pub seams: Vec<usize>,
}

impl Output {
    /// Content of another kind begins here.
    pub fn seam(&mut self) {
        let here = self.bytes.len();
        if self.seams.last() != Some(&here) {
            self.seams.push(here);
        }
    }
}
