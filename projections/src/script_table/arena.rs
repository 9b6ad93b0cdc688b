//! Values of one size in pieces of memory that never move and are filled to the last place.

/// How many values a piece has.
const PIECE_LEN: usize = 1 << PIECE_BITS;
const PIECE_BITS: u32 = 10;

/// Programs, each with a value, by their places. A place that was given up is used again.
#[derive(Debug)]
pub(super) struct Arena<P, V> {
    pieces: Vec<Vec<(P, V)>>,
    free: Vec<u32>,
}

impl<P, V> Default for Arena<P, V> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<P: Default, V> Arena<P, V> {
    /// How many places are in use.
    pub(super) fn len(&self) -> usize {
        let places = match self.pieces.split_last() {
            Some((last, full)) => full.len() * PIECE_LEN + last.len(),
            None => 0,
        };
        places - self.free.len()
    }

    pub(super) fn get(&self, place: u32) -> (&P, &V) {
        let (piece, inside) = split(place);
        let (program, value) = &self.pieces[piece][inside];
        (program, value)
    }

    pub(super) fn value_mut(&mut self, place: u32) -> &mut V {
        let (piece, inside) = split(place);
        &mut self.pieces[piece][inside].1
    }

    pub(super) fn insert(&mut self, program: P, value: V) -> u32 {
        if let Some(place) = self.free.pop() {
            let (piece, inside) = split(place);
            self.pieces[piece][inside] = (program, value);
            return place;
        }
        if self
            .pieces
            .last()
            .is_none_or(|last| last.len() == PIECE_LEN)
        {
            self.pieces.push(Vec::with_capacity(PIECE_LEN));
        }
        let piece = self.pieces.len() - 1;
        let last = &mut self.pieces[piece];
        last.push((program, value));
        u32::try_from(piece * PIECE_LEN + last.len() - 1)
            .expect("a table is full long before 2^32 places")
    }

    /// Overwrites the program, so that nothing of it stays in memory.
    pub(super) fn remove(&mut self, place: u32) {
        let (piece, inside) = split(place);
        self.pieces[piece][inside].0 = P::default();
        self.free.push(place);
    }

    /// Without what boxed programs point to.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pieces.len() * PIECE_LEN * size_of::<(P, V)>()
            + self.pieces.capacity() * size_of::<Vec<(P, V)>>()
            + self.free.capacity() * size_of::<u32>()
    }
}

const fn split(place: u32) -> (usize, usize) {
    let place = place as usize;
    (place >> PIECE_BITS, place & (PIECE_LEN - 1))
}
