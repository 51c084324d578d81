//! Zstandard with bounds: the plain length is known beforehand and never exceeded.

use std::cell::RefCell;

use zstd::zstd_safe::{DCtx, ResetDirective, get_error_name};

/// Windows up to 8 MiB are accepted, whatever a frame asks for.
pub const WINDOW_LOG_MAX: u32 = 23;
/// The smallest window that zstd knows.
const WINDOW_LOG_MIN: u32 = 10;

/// Compressed bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZstdError {
    /// Not a zstd frame, or a damaged one.
    #[error("compressed data does not decode: {0}")]
    Damaged(String),
    /// It decodes to another length than was said.
    #[error("compressed data decodes to {actual} bytes, not {expected}")]
    Length {
        /// Length that was said.
        expected: usize,
        /// Length found.
        actual: usize,
    },
}

/// First bytes of every frame.
pub const FRAME_BEGIN: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// Length of the frame that begins here, and of its plain text, as its head and those of its blocks say;
/// `None` if none begins here, or if it does not say so.
pub fn frame_lengths(bytes: &[u8]) -> Option<(usize, u64)> {
    if !bytes.starts_with(&FRAME_BEGIN) {
        return None;
    }
    let plain = zstd::zstd_safe::get_frame_content_size(bytes).ok()??;
    let stored = zstd::zstd_safe::find_frame_compressed_size(bytes).ok()?;
    (stored <= bytes.len()).then_some((stored, plain))
}

/// Compresses into one frame. Levels 1 to 22.
pub fn compress(plain: &[u8], level: i32) -> Result<Vec<u8>, ZstdError> {
    zstd::bulk::compress(plain, level).map_err(|e| ZstdError::Damaged(e.to_string()))
}

/// Blocks shorter than this are not worth statistics of their own.
const BLOCK_BYTES_MIN: usize = 256;

/// A compressor whose working memory serves many frames. It begins blocks where it is told to.
///
/// A zstd block has one table of literals for all its bytes. Where content of another kind begins,
/// a block of its own saves more than its few bytes of head.
pub struct Compressor {
    encoder: zstd::stream::raw::Encoder<'static>,
    out: Vec<u8>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compressor")
    }
}

impl Compressor {
    /// A compressor at this level (1 to 22).
    pub fn new(level: i32) -> Result<Self, ZstdError> {
        let encoder = zstd::stream::raw::Encoder::new(level)
            .map_err(|e| ZstdError::Damaged(e.to_string()))?;
        Ok(Self {
            encoder,
            out: Vec::new(),
        })
    }

    /// Compresses into one frame. `seams` are rising offsets into `plain`.
    pub fn compress(&mut self, plain: &[u8], seams: &[usize]) -> Result<Vec<u8>, ZstdError> {
        self.try_compress(plain, seams)
            .map_err(|e| ZstdError::Damaged(e.to_string()))?;
        Ok(self.out.clone())
    }

    fn try_compress(&mut self, plain: &[u8], seams: &[usize]) -> std::io::Result<()> {
        use zstd::stream::raw::{InBuffer, Operation, OutBuffer};
        self.encoder.reinit()?;
        self.encoder
            .set_pledged_src_size(Some(plain.len() as u64))?;
        // Each flush may add a block's head; an end that is too near is no error, but a longer way.
        let blocks = plain.len() / BLOCK_BYTES_MIN + 1;
        let most = zstd::zstd_safe::compress_bound(plain.len()) + blocks * 8;
        self.out.clear();
        self.out.resize(most, 0);
        let mut out = OutBuffer::around(&mut self.out[..]);
        let mut begin = 0;
        for &end in seams.iter().chain([&plain.len()]) {
            let last = end == plain.len();
            let block = plain.get(begin..end).unwrap_or_default();
            if block.len() < BLOCK_BYTES_MIN && !last {
                continue;
            }
            let mut block = InBuffer::around(block);
            while block.pos() < block.src.len() {
                self.encoder.run(&mut block, &mut out)?;
            }
            begin = end;
            if last {
                break;
            }
            while self.encoder.flush(&mut out)? > 0 {}
        }
        while self.encoder.finish(&mut out, true)? > 0 {}
        let length = out.pos();
        self.out.truncate(length);
        Ok(())
    }
}

/// A decompressor whose working memory serves many frames.
#[derive(Default)]
pub struct Decompressor(zstd::bulk::Decompressor<'static>);

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decompressor")
    }
}

impl Decompressor {
    /// Decompresses one frame that must give exactly `plain_bytes` bytes.
    ///
    /// The caller has checked `plain_bytes` against its limit: so much is allocated.
    pub fn exact(&mut self, frame: &[u8], plain_bytes: usize) -> Result<Vec<u8>, ZstdError> {
        let damaged = |e: std::io::Error| ZstdError::Damaged(e.to_string());
        self.0.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;
        let plain = self.0.decompress(frame, plain_bytes).map_err(damaged)?;
        if plain.len() == plain_bytes {
            Ok(plain)
        } else {
            Err(ZstdError::Length {
                expected: plain_bytes,
                actual: plain.len(),
            })
        }
    }
}

thread_local! {
    // One a thread: making them takes longer than a small frame.
    static DECOMPRESSOR: RefCell<Decompressor> = RefCell::default();
    static CONTEXT: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// Decompresses one frame that must give exactly `plain_bytes` bytes; see [`Decompressor::exact`].
pub fn decompress_exact(frame: &[u8], plain_bytes: usize) -> Result<Vec<u8>, ZstdError> {
    DECOMPRESSOR.with_borrow_mut(|one| one.exact(frame, plain_bytes))
}

/// Compresses into one frame that can be read only with the same `prefix`: what `plain` shares
/// with it costs next to nothing.
pub fn compress_after(prefix: &[u8], plain: &[u8], level: i32) -> Result<Vec<u8>, ZstdError> {
    use std::io::Write;
    let damaged = |e: std::io::Error| ZstdError::Damaged(e.to_string());
    let reach = (prefix.len() + plain.len()).max(1 << WINDOW_LOG_MIN);
    let window_log =
        (usize::BITS - (reach - 1).leading_zeros()).clamp(WINDOW_LOG_MIN, WINDOW_LOG_MAX);
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), level, prefix)
        .map_err(damaged)?;
    encoder.window_log(window_log).map_err(damaged)?;
    encoder
        .set_pledged_src_size(Some(plain.len() as u64))
        .map_err(damaged)?;
    encoder.include_checksum(false).map_err(damaged)?;
    encoder.write_all(plain).map_err(damaged)?;
    encoder.finish().map_err(damaged)
}

/// Decompresses one frame made by [`compress_after`] with the same `prefix`, refusing more than
/// `bytes_max` bytes and anything behind the frame.
pub fn decompress_after(prefix: &[u8], frame: &[u8], bytes_max: u64) -> Result<Vec<u8>, ZstdError> {
    let decoder = zstd::stream::read::Decoder::with_ref_prefix(frame, prefix)
        .map_err(|e| ZstdError::Damaged(e.to_string()))?;
    read_bounded(decoder, bytes_max)
}

/// Decompresses one frame of unknown plain length, refusing more than `bytes_max` bytes.
pub fn decompress_bounded(frame: &[u8], bytes_max: u64) -> Result<Vec<u8>, ZstdError> {
    CONTEXT.with_borrow_mut(|context| {
        // The last one may have ended in the middle.
        context
            .reset(ResetDirective::SessionOnly)
            .map_err(|code| ZstdError::Damaged(get_error_name(code).to_owned()))?;
        let decoder = zstd::stream::read::Decoder::with_context(frame, context);
        read_bounded(decoder, bytes_max)
    })
}

fn read_bounded(
    decoder: zstd::stream::read::Decoder<'_, &[u8]>,
    bytes_max: u64,
) -> Result<Vec<u8>, ZstdError> {
    use std::io::Read;
    let damaged = |e: std::io::Error| ZstdError::Damaged(e.to_string());
    let mut decoder = decoder.single_frame();
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;
    let mut plain = Vec::new();
    decoder
        .by_ref()
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut plain)
        .map_err(damaged)?;
    if plain.len() as u64 > bytes_max {
        return Err(ZstdError::Damaged(format!(
            "it holds more than {bytes_max} bytes"
        )));
    }
    // Nothing may hide behind the frame.
    if !decoder.finish().is_empty() {
        return Err(ZstdError::Damaged("bytes follow its end".to_owned()));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_damaged_leaves_nothing_for_the_next_one() {
        let plain: Vec<u8> = (0..5000_u32).flat_map(u32::to_le_bytes).collect();
        let frame = compress(&plain, 3).unwrap();
        for cut in 1..frame.len() {
            assert!(decompress_bounded(&frame[..cut], 1 << 20).is_err());
            assert!(decompress_exact(&frame[..cut], plain.len()).is_err());
            assert!(decompress_bounded(&frame, 1 << 20).unwrap() == plain);
            assert!(decompress_exact(&frame, plain.len()).unwrap() == plain);
        }
    }

    #[test]
    fn a_bomb_is_refused_without_unpacking_it() {
        let bomb = compress(&vec![0; 1 << 20], 3).unwrap();
        assert!(decompress_exact(&bomb, 1000).is_err());
        assert!(decompress_bounded(&bomb, 1000).is_err());
        assert_eq!(decompress_bounded(&bomb, 1 << 20).unwrap().len(), 1 << 20);
    }

    #[test]
    fn what_a_prefix_holds_costs_next_to_nothing() {
        let old: Vec<u8> = (0..60_000_u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        let mut new = old.clone();
        new.splice(100_000..100_010, *b"another text");
        let patch = compress_after(&old, &new, 3).unwrap();
        assert!(patch.len() < 100, "{}", patch.len());
        assert_eq!(decompress_after(&old, &patch, 1 << 20).unwrap(), new);
        assert!(decompress_after(&old, &patch, 1000).is_err());
    }

    #[test]
    fn bytes_behind_the_frame_are_refused() {
        let mut frame = compress(b"abc", 3).unwrap();
        frame.push(0);
        assert!(decompress_bounded(&frame, 100).is_err());
    }
}
