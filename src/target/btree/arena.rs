//! Records in memory, one behind the other, in pieces of one size: what grows never moves, and what is given
//! back fits what is asked for next, so that the allocator keeps no holes. Relies on nothing.

/// Bytes of a piece; a longer record has one of its own.
const PIECE_BYTES: usize = 1 << PIECE_BITS;
const PIECE_BITS: u32 = 18;

/// Places end before they need a 32nd bit.
const PIECES_MAX: usize = 1 << (31 - PIECE_BITS);

/// Where a record begins: 31 bits.
pub type Place = u32;

/// Records, each found by its place and its length.
#[derive(Debug, Default)]
pub struct Arena {
    pieces: Vec<Vec<u8>>,
    /// Pieces without records, for those to come.
    spare: Vec<Vec<u8>>,
    bytes: usize,
}

impl Arena {
    /// Bytes of all records.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of memory that wait for records.
    pub fn spare_bytes(&self) -> usize {
        self.spare.len() * PIECE_BYTES
    }

    /// Forgets all records, and keeps their memory for others.
    pub fn clear(&mut self) {
        self.bytes = 0;
        let pieces = self.pieces.drain(..);
        // Those of one long record are given back.
        let pieces = pieces.filter(|piece| piece.capacity() == PIECE_BYTES);
        self.spare.extend(pieces.map(|mut piece| {
            piece.clear();
            piece
        }));
    }

    /// Gives back memory that waits for records.
    pub fn trim(&mut self) {
        self.spare = Vec::new();
    }

    /// True if there is no place for a record of so many bytes.
    pub fn is_full(&self, bytes: usize) -> bool {
        self.pieces.len() == PIECES_MAX && !self.fits(bytes)
    }

    fn fits(&self, bytes: usize) -> bool {
        let has_room =
            |piece: &Vec<u8>| piece.len() < PIECE_BYTES && PIECE_BYTES - piece.len() >= bytes;
        self.pieces.last().is_some_and(has_room)
    }

    /// Appends a record of exactly so many bytes, which `write` appends to what it is given.
    pub fn push(&mut self, bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        if !self.fits(bytes) {
            let spare = self.spare.pop().filter(|_| bytes <= PIECE_BYTES);
            let piece = spare.unwrap_or_else(|| Vec::with_capacity(PIECE_BYTES.max(bytes)));
            self.pieces.push(piece);
        }
        let last = self.pieces.len() - 1;
        let piece = &mut self.pieces[last];
        let at = piece.len();
        write(piece);
        debug_assert_eq!(
            piece.len(),
            at + bytes,
            "a record has the length that was said"
        );
        self.bytes += bytes;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "fewer than PIECES_MAX, each of PIECE_BYTES"
        )]
        let place = ((last << PIECE_BITS) | at) as Place;
        place
    }

    /// The record of so many bytes at a place that [`Arena::push`] gave.
    pub fn get(&self, place: Place, bytes: u32) -> &[u8] {
        let place = place as usize;
        let at = place % PIECE_BYTES;
        &self.pieces[place >> PIECE_BITS][at..at + bytes as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_every_length_are_found_again() {
        let lengths = [
            0,
            1,
            PIECE_BYTES - 1,
            PIECE_BYTES,
            0,
            PIECE_BYTES + 1,
            3,
            0,
            PIECE_BYTES - 3,
            1,
        ];
        let mut arena = Arena::default();
        let record = |number: usize, bytes| vec![u8::try_from(number).unwrap(); bytes];
        let places: Vec<Place> = (0..30)
            .map(|number| {
                let bytes = lengths[number % lengths.len()];
                arena.push(bytes, |piece| piece.extend(record(number, bytes)))
            })
            .collect();
        for (number, place) in places.into_iter().enumerate() {
            let bytes = lengths[number % lengths.len()];
            let found = arena.get(place, u32::try_from(bytes).unwrap());
            assert_eq!(found, record(number, bytes), "record {number}");
        }
        assert_eq!(arena.bytes(), 3 * lengths.iter().sum::<usize>());
    }

    #[test]
    fn an_arena_is_full_before_a_place_needs_a_32nd_bit() {
        let mut arena = Arena {
            pieces: vec![Vec::new(); PIECES_MAX],
            ..Arena::default()
        };
        assert!(!arena.is_full(PIECE_BYTES - 5));
        let place = arena.push(5, |piece| piece.extend(b"abcde"));
        assert!(place < 1 << 31);
        assert_eq!(arena.get(place, 5), b"abcde");
        assert!(!arena.is_full(PIECE_BYTES - 5));
        assert!(arena.is_full(PIECE_BYTES - 4));
    }
}
