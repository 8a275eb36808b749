//! A total shared out among three causes.

/// The Shapley value of three switches: what each adds to the worth, averaged over the six
/// orders in which they could be thrown. `worth[s]` is the worth with the switches of `s`
/// on, bit 0 for the first: `worth[0]` with none, `worth[7]` with all. The three parts sum to
/// `worth[7] - worth[0]`, in the unit of the worth; a part may be negative.
///
/// Source: Shapley, "A value for n-person games" (1953).
pub fn shapley3(worth: &[f64; 8]) -> [f64; 3] {
    [0, 1, 2].map(|switch| {
        let on = 1 << switch;
        let [one, other] = [1 << ((switch + 1) % 3), 1 << ((switch + 2) % 3)];
        let adds = |to: usize| worth[to | on] - worth[to];
        (2.0 * adds(0) + adds(one) + adds(other) + 2.0 * adds(one | other)) / 6.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Goal: the glove game's known value. Method: one left glove (first), two right ones;
    /// a pair is worth 1: 2/3, 1/6, 1/6.
    #[test]
    fn glove_game() {
        let worth = [0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        let parts = shapley3(&worth);
        for (part, known) in parts.into_iter().zip([2.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0]) {
            assert!((part - known).abs() < 1e-15, "{parts:?}");
        }
    }

    proptest! {
        #![proptest_config(crate::seeded::cases(256))]
        /// Goal: Shapley's axioms: parts sum to the total; a switch that does nothing gets
        /// nothing; who is exchangeable gets the same; the six orders' mean.
        #[test]
        fn axioms(worth in prop::array::uniform8(-1e3..1e3_f64)) {
            let parts = shapley3(&worth);
            prop_assert!((parts.iter().sum::<f64>() - (worth[7] - worth[0])).abs() < 1e-9);

            let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
            let mut mean = [0.0; 3];
            for order in orders {
                let mut on = 0;
                for switch in order {
                    mean[switch] += (worth[on | 1 << switch] - worth[on]) / 6.0;
                    on |= 1 << switch;
                }
            }
            for (part, mean) in parts.into_iter().zip(mean) {
                prop_assert!((part - mean).abs() < 1e-9);
            }

            let idle = [0, 1, 2, 3, 0, 1, 2, 3].map(|at: usize| worth[at]);
            prop_assert!(shapley3(&idle)[2].abs() < 1e-9);
            let alike = [0, 1, 1, 3, 4, 5, 5, 7].map(|at: usize| worth[at]);
            prop_assert!((shapley3(&alike)[0] - shapley3(&alike)[1]).abs() < 1e-9);
        }
    }
}
