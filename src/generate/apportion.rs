//! Whole numbers from shares: largest remainder across metros, systematic sampling
//! across the occupations of a metro.

/// Shares `total` out in proportion to `weights` by largest remainder; equal
/// remainders go to the earlier entry. All zero if the weights are.
pub(super) fn largest_remainder(weights: &[u128], total: u64) -> Vec<u64> {
    let sum: u128 = weights.iter().sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let quota = |weight: u128| weight * u128::from(total);
    let mut shares: Vec<u64> = weights.iter().map(|w| (quota(*w) / sum) as u64).collect();
    let left = total - shares.iter().sum::<u64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(quota(weights[*i]) % sum), *i));
    for i in order.into_iter().take(left as usize) {
        shares[i] += 1;
    }
    shares
}

/// Shares `total` out in proportion to `weights` by systematic sampling: points at
/// equal steps along the weights laid end to end, the first at `start / 2^64` of a
/// step. Each entry gets its exact share rounded down or up, and the expected count
/// over all starts *is* the share. Largest remainder would give small entries nothing
/// in every metro alike, so that rare occupations would vanish from small markets.
pub(super) fn systematic(weights: &[u128], total: u64, start: u64) -> Vec<u64> {
    let sum: u128 = weights.iter().sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let offset = (sum * u128::from(start >> 32)) >> 32;
    let (mut reached, mut taken) = (0_u128, 0_u64);
    weights
        .iter()
        .map(|weight| {
            reached += weight;
            // Points k = 0, 1, ... with (offset + k * sum) / total below `reached`.
            let room = (reached * u128::from(total)).saturating_sub(offset);
            let before = room.div_ceil(sum) as u64;
            let count = before - taken;
            taken = before;
            count
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: largest remainder in a case done by hand, with a tie of three.
    #[test]
    fn largest_remainder_by_hand() {
        // Remainders .7 .6 .6 .2 .6 .3 and three left: the last .6 comes too late.
        assert_eq!(largest_remainder(&[47, 16, 16, 12, 6, 3], 10), [5, 2, 2, 1, 0, 0]);
        assert_eq!(largest_remainder(&[0, 0], 10), [0, 0]);
        assert_eq!(largest_remainder(&[1, 3], 0), [0, 0]);
    }

    /// Goal: systematic sampling gives every entry its share rounded down or up and
    /// loses nothing. Method: several totals and starts, the extreme starts too.
    #[test]
    fn systematic_keeps_shares_and_totals() {
        let weights = [5_u128, 0, 1, 1, 80, 3, 10];
        let sum: u128 = weights.iter().sum();
        for total in [0, 1, 7, 100, 12_345] {
            for start in [0, 1, u64::MAX / 3, u64::MAX] {
                let counts = systematic(&weights, total, start);
                assert_eq!(counts.iter().sum::<u64>(), total);
                for (weight, count) in weights.iter().zip(&counts) {
                    let share = weight * u128::from(total);
                    let (low, high) = ((share / sum) as u64, share.div_ceil(sum) as u64);
                    assert!((low..=high).contains(count), "{weight} of {total}: {count}");
                }
            }
        }
    }
}
