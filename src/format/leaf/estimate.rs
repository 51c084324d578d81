//! What numbers would cost an entropy coder: how encoders choose, from samples.

use std::sync::LazyLock;

/// Most values that are looked at.
pub const SAMPLE: usize = 1024;
/// Below so many values an entropy coder has nothing to learn from: a byte is a byte.
const FEW: usize = 32;

/// c · log2(c) for every count of a sample.
static LOGS: LazyLock<[f32; SAMPLE + 1]> = LazyLock::new(|| {
    let mut logs = [0.0; SAMPLE + 1];
    let mut count = 0.0_f32;
    for log in &mut logs {
        *log = if count > 0.0 {
            count * count.log2()
        } else {
            0.0
        };
        count += 1.0;
    }
    logs
});

/// Every how manieth of so many values is in a sample.
pub fn stride(count: usize) -> usize {
    count.div_ceil(SAMPLE).max(1)
}

/// Bits that a byte needs, on average, by the order-0 entropy of a sample.
fn bits_a_byte(sample: impl Iterator<Item = u8>) -> f32 {
    let mut counts = [0_u16; 256];
    let mut total = 0_usize;
    for byte in sample.take(SAMPLE) {
        counts[usize::from(byte)] += 1;
        total += 1;
    }
    if total < FEW {
        return 8.0;
    }
    let logs = &*LOGS;
    let used: f32 = counts.iter().map(|count| logs[usize::from(*count)]).sum();
    let kinds = counts.iter().filter(|count| **count > 0).count();
    // A sample looks more even than what it is taken from (Miller and Madow's correction).
    let unseen = as_float(kinds - 1) * 0.72;
    ((logs[total] - used + unseen) / as_float(total)).min(8.0)
}

#[expect(clippy::cast_precision_loss, reason = "at most 65,536")]
fn as_float(count: usize) -> f32 {
    count as f32
}

/// Bits that planes of `count` numbers would need, of which these are a sample. `planes`: bits of
/// each plane.
pub fn planes(
    sample: impl Iterator<Item = u64> + Clone,
    planes: impl Iterator<Item = usize>,
    count: usize,
) -> f32 {
    let plane = |(plane, bits): (usize, usize)| {
        bits_a_byte(sample.clone().map(move |v| v.to_le_bytes()[plane])).min(as_float(bits))
    };
    planes.enumerate().map(plane).sum::<f32>() * as_float(count)
}
