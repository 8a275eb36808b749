//! Bodies that are written while they are sent: a piece of rows at a time, as fast as the
//! client reads. What is in memory is the table that the rows are cut from.

use axum::body::Body;
use bytes::Bytes;
use std::convert::Infallible;
use std::ops::Range;

/// Bytes after which a piece is sent.
const PIECE_BYTES: usize = 64 << 10;

/// A body of `head`, what `write` adds for each of `rows`, and `tail`.
pub fn rows(
    head: Vec<u8>,
    rows: Range<usize>,
    write: impl FnMut(usize, &mut Vec<u8>) + Send + 'static,
    tail: &'static [u8],
) -> Body {
    Body::from_stream(tokio_stream::iter(Pieces { next: Some(head), rows, write, tail }))
}

struct Pieces<W> {
    /// What the next piece begins with; `None` once the last is out.
    next: Option<Vec<u8>>,
    rows: Range<usize>,
    write: W,
    tail: &'static [u8],
}

impl<W: FnMut(usize, &mut Vec<u8>)> Iterator for Pieces<W> {
    type Item = Result<Bytes, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = self.next.take()?;
        while piece.len() < PIECE_BYTES {
            let Some(row) = self.rows.next() else {
                piece.extend_from_slice(self.tail);
                return Some(Ok(piece.into()));
            };
            (self.write)(row, &mut piece);
        }
        self.next = Some(Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8));
        Some(Ok(piece.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: pieces are of bounded size and together what was written, however much it is.
    #[test]
    fn pieces_are_bounded_and_complete() {
        for count in [0, 1, 10_000, 30_000] {
            let write = |row: usize, out: &mut Vec<u8>| {
                out.extend_from_slice(format!("row {row}\n").as_bytes());
            };
            let (next, tail) = (Some(b"head\n".to_vec()), &b"tail"[..]);
            let pieces = Pieces { next, rows: 0..count, write, tail };
            let pieces: Vec<_> = pieces.map(|piece| piece.unwrap()).collect();
            assert!(pieces.iter().all(|piece| piece.len() < PIECE_BYTES + 100));
            assert_eq!(pieces.len() > 1, count == 10_000 || count == 30_000);
            let rows: String = (0..count).map(|row| format!("row {row}\n")).collect();
            assert_eq!(pieces.concat(), format!("head\n{rows}tail").into_bytes());
        }
    }
}
