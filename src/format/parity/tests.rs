use super::*;
use crate::codec::hash::pack_id;
use proptest::prelude::*;

/// Bytes that look random and come again.
fn pack(count: usize) -> Vec<u8> {
    let mut out = vec![0; count];
    blake3::Hasher::new().finalize_xof().fill(&mut out);
    out
}

fn sidecar(bytes: &[u8], parity: u32) -> (PackId, Vec<u8>) {
    let id = pack_id(bytes);
    let made = encode(&id, bytes, parity).unwrap();
    (id, made)
}

/// What comes out; `None` if it cannot be had.
fn restored(id: &PackId, sidecar: &[u8], mut found: Vec<u8>) -> Option<Vec<u8>> {
    let done = Sidecar::decode(id, sidecar).ok()?.restore(&mut found);
    done.is_ok().then_some(found)
}

/// One way of damaging bytes.
#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Zero(prop::sample::Index, usize),
    Cut(usize),
    Grow(usize),
}

impl Harm {
    fn any(bytes_max: usize) -> impl Strategy<Value = Self> {
        prop_oneof![
            4 => (any::<prop::sample::Index>(), 1_u8..).prop_map(|(at, bits)| Self::Flip(at, bits)),
            3 => (any::<prop::sample::Index>(), 1..bytes_max).prop_map(|(at, n)| Self::Zero(at, n)),
            1 => (1..bytes_max).prop_map(Self::Cut),
            1 => (1..bytes_max).prop_map(Self::Grow),
        ]
    }

    fn on(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Flip(at, bits) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Zero(at, count) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                let end = (at + count).min(bytes.len());
                bytes[at..end].fill(0);
            }
            Self::Cut(count) => bytes.truncate(bytes.len().saturating_sub(*count)),
            Self::Grow(count) => bytes.extend(std::iter::repeat_n(7, *count)),
            Self::Flip(..) | Self::Zero(..) => {}
        }
    }
}

/// Shards that differ, counted without any check.
fn differing(good: &[u8], found: &[u8], shard: usize) -> usize {
    let of = |bytes: &[u8], at: usize| {
        let end = (at + shard).min(good.len());
        (0..end - at)
            .map(|i| bytes.get(at + i).copied().unwrap_or(0))
            .collect::<Vec<u8>>()
    };
    let starts = (0..good.len()).step_by(shard);
    starts.filter(|at| of(good, *at) != of(found, *at)).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever happens to the pack: identical bytes if as many shards are bad as there is parity, else
    /// exact counts.
    #[test]
    fn a_pack_comes_back_exactly_as_long_as_parity_is_enough(
        count in 1_usize..200_000, parity in 1_u32..24,
        harm in prop::collection::vec(Harm::any(40_000), 1..5),
    ) {
        let good = pack(count);
        let parity = parity.min(u32::try_from(count.div_ceil(4096)).unwrap());
        let (id, sidecar) = sidecar(&good, parity);
        let mut found = good.clone();
        harm.iter().for_each(|harm| harm.on(&mut found));
        let bad = differing(&good, &found, 4096);
        let done = Sidecar::decode(&id, &sidecar).unwrap().restore(&mut found);
        if bad <= parity as usize {
            let data = count.div_ceil(4096);
            prop_assert_eq!(done, Ok(Shards { data, bad, spare: parity as usize }));
            prop_assert!(found == good);
        } else {
            prop_assert_eq!(done, Err(ErasureError::TooMany { bad, spare: parity as usize }));
        }
    }

    /// Any one burst in a sidecar costs the parity shards it touches, and no more; and it is found.
    #[test]
    fn a_burst_in_a_sidecar_costs_only_the_parity_it_hits(
        at in any::<prop::sample::Index>(), length in 1_usize..60_000, cut in any::<bool>(),
    ) {
        let good = pack(300_000);
        let (id, whole) = sidecar(&good, 20);
        let mut damaged = whole.clone();
        let begin = at.index(damaged.len());
        let end = (begin + length).min(damaged.len());
        if cut { damaged.truncate(begin.max(PARITY_HEAD_BYTES + 95 * CHECK_BYTES)); }
        else { damaged[begin..end].iter_mut().for_each(|byte| *byte ^= 0xFF); }
        let side = Sidecar::decode(&id, &damaged).unwrap();
        prop_assert_eq!(side.damage().is_none(), damaged == whole);
        let parity_at = side.head().parity_at();
        let intact = |n: &usize| {
            let range = parity_at + 4096 * n..parity_at + 4096 * (n + 1);
            damaged.get(range.clone()) == whole.get(range)
        };
        let spare = (0..20).filter(intact).count();
        let mut found = good.clone();
        found[..spare * 4096].fill(0);
        if spare > 0 {
            prop_assert_eq!(restored(&id, &damaged, found.clone()), Some(good));
        }
        found[spare * 4096..(spare + 1) * 4096].fill(0);
        prop_assert_eq!(restored(&id, &damaged, found), None);
    }

    /// Any bytes: an error or a sidecar, never a panic; and a pack it makes whole has the right length.
    #[test]
    fn any_bytes_are_refused_or_read(
        harm in prop::collection::vec(Harm::any(9_000), 1..6), front in 0_usize..3_000,
    ) {
        let good = pack(50_000);
        let (id, mut bytes) = sidecar(&good, 3);
        harm.iter().for_each(|harm| harm.on(&mut bytes));
        bytes.drain(..front.min(bytes.len()));
        if let Ok(side) = Sidecar::decode(&id, &bytes) {
            let _ = side.damage();
            let mut found = good[..20_000].to_vec();
            let _ = side.restore(&mut found);
            prop_assert_eq!(found.len(), 50_000);
        }
    }
}

#[test]
fn every_flipped_byte_of_a_sidecar_is_found_and_harmless() {
    let good = pack(9_000);
    let (id, whole) = sidecar(&good, 2);
    assert_eq!(Sidecar::decode(&id, &whole).unwrap().damage(), None);
    let mut found = good.clone();
    found[5_000] ^= 1;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        assert!(
            Sidecar::decode(&id, &bytes).unwrap().damage().is_some(),
            "byte {at}"
        );
        // Coding takes its time.
        if at % 101 == 0 || at.min(whole.len() - at) < 8 {
            let came = restored(&id, &bytes, found.clone());
            assert!(came.as_ref() == Some(&good), "byte {at}");
        }
    }
    // Where a cut leaves the first head, checks and one shard.
    for cut in (PARITY_HEAD_BYTES + 5 * CHECK_BYTES + 4096..whole.len()).step_by(61) {
        let bytes = &whole[..cut];
        assert!(Sidecar::decode(&id, bytes).unwrap().damage().is_some());
        assert!(restored(&id, bytes, found.clone()).as_ref() == Some(&good));
        // The same from the front.
        let bytes = &whole[whole.len() - cut..];
        assert!(Sidecar::decode(&id, bytes).unwrap().damage().is_some());
        assert!(restored(&id, bytes, found.clone()).as_ref() == Some(&good));
    }
}

#[test]
fn a_sidecar_of_another_pack_is_refused() {
    let (_, bytes) = sidecar(&pack(9_000), 2);
    let refused = Sidecar::decode(&pack_id(b"other"), &bytes).err();
    let what = "a sidecar of another pack";
    assert_eq!(refused, Some(FormatError::Invalid { what }));
}

#[test]
fn shards_and_parity_keep_within_their_bounds() {
    const MIB: u64 = 1 << 20;
    assert_eq!(shard_bytes(1), 4096);
    assert_eq!(shard_bytes(128 * MIB), 4096);
    assert_eq!(shard_bytes(128 * MIB + 1), 8192);
    assert_eq!(shard_bytes(limits::PACK_BYTES_MAX), 8192);
    for pack_bytes in [1, 5_000, MIB, 16 * MIB, 17 * MIB + 5, 128 * MIB, 256 * MIB] {
        for percent in [1, 3, 10, 50, 100] {
            let head = ParityHead {
                pack: PackId([0; 32]),
                pack_bytes,
                parity_shards: parity_shards(pack_bytes, percent),
                checks_digest: [0; 32],
            };
            assert_eq!(ParityHead::decode(&head.encode()).as_ref(), Ok(&head));
            let bytes = head.sidecar_bytes() as u64;
            assert!(bytes <= limits::PARITY_BYTES_MAX);
            if pack_bytes >= PARITY_PACK_BYTES_MIN {
                assert!(
                    bytes * 100 <= pack_bytes * u64::from(percent),
                    "{pack_bytes} {percent}"
                );
            }
        }
    }
    assert_eq!(parity_shards(16 * MIB, PARITY_PERCENT), 106);
}
