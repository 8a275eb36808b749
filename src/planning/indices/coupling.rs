//! Whether a city's industry, employment and population keep pace with each other.

use super::not_negative;
use crate::planning::figure::{Undefined, Value, finite, ratio};

/// The coupling-coordination degree of three subsystems, and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coupling {
    /// C = 3(U₁U₂U₃)^(1/3)/(U₁ + U₂ + U₃), 0..1: how evenly they have developed, whatever
    /// the level. [`ZeroDenominator`](Undefined::ZeroDenominator) if all are 0.
    pub coupling: Value,
    /// T = (U₁ + U₂ + U₃)/3, 0..1: how far they have developed.
    pub development: f64,
    /// D = √(CT), 0..1; 0 if one of them is 0.
    pub degree: f64,
}

/// The degree of three subsystem indices in 0..1, as Chinese planners use it for industry,
/// employment and population. An index of 0 makes the degree 0.
///
/// # Errors
/// [`OutOfRange`](Undefined::OutOfRange) outside 0..1.
pub fn coupling(subsystems: [f64; 3]) -> Result<Coupling, Undefined> {
    for index in subsystems {
        if not_negative(index)? > 1.0 {
            return Err(Undefined::OutOfRange);
        }
    }
    let [a, b, c] = subsystems;
    let (sum, root) = (a + b + c, libm::cbrt(a) * libm::cbrt(b) * libm::cbrt(c));
    // D² = CT, in which the sum cancels. Rounding may leave C a hair above 1.
    let coupling = ratio(3.0 * root, sum, Undefined::ZeroDenominator).map(|c| c.min(1.0));
    Ok(Coupling { coupling, development: sum / 3.0, degree: finite(libm::sqrt(root))? })
}

/// Where a degree stands among class borders in ascending order: the number of borders that
/// it reaches. The borders are conventions (one study takes 0.25, 0.5, 0.7 and 0.85).
pub fn class(degree: f64, borders: &[f64]) -> usize {
    borders.iter().filter(|border| degree >= **border).count()
}

#[cfg(test)]
mod tests {
    use super::super::assert_near;
    use super::*;
    use proptest::prelude::*;

    /// Goal: the three numbers by hand, for equal and for unequal subsystems.
    #[test]
    fn by_hand() {
        let even = coupling([0.49; 3]).unwrap();
        assert_near(even.coupling, 1.0, 1e-15);
        assert_near(Ok(even.degree), 0.7, 1e-15);
        let uneven = coupling([0.8, 0.1, 0.1]).unwrap();
        assert_near(uneven.coupling, 0.6, 1e-15);
        assert_near(Ok(uneven.development), 1.0 / 3.0, 1e-15);
        assert_near(Ok(uneven.degree), libm::sqrt(0.2), 1e-15);
    }

    /// Goal: a subsystem of 0 makes the degree 0, three make the coupling undefined, and
    /// outside 0..1 there is none.
    #[test]
    fn edges() {
        assert_eq!(coupling([0.0, 1.0, 1.0]).unwrap().degree, 0.0);
        assert_near(coupling([0.0, 1.0, 1.0]).unwrap().coupling, 0.0, 0.0);
        let none = coupling([0.0; 3]).unwrap();
        assert_eq!((none.coupling, none.degree), (Err(Undefined::ZeroDenominator), 0.0));
        assert_eq!(coupling([0.5, 1.1, 0.5]), Err(Undefined::OutOfRange));
        assert_eq!(coupling([0.5, f64::NAN, 0.5]), Err(Undefined::OutOfRange));
        let borders = [0.25, 0.5, 0.7, 0.85];
        assert_eq!(
            [0.0, 0.25, 0.6, 0.85, 1.0].map(|degree| class(degree, &borders)),
            [0, 1, 2, 4, 4]
        );
    }

    proptest! {
        #![proptest_config(crate::seeded::cases(256))]
        /// Goal: ranges, D = √(CT), symmetry, and no subsystem's growth lowers the degree.
        #[test]
        fn laws(a in 0.001..1.0_f64, b in 0.001..1.0_f64, c in 0.001..1.0_f64) {
            let found = coupling([a, b, c]).unwrap();
            let of = found.coupling.unwrap();
            prop_assert!((0.0..=1.0).contains(&of) && (0.0..=1.0).contains(&found.degree));
            prop_assert!((libm::sqrt(of * found.development) - found.degree).abs() < 1e-12);
            prop_assert!((coupling([c, a, b]).unwrap().degree - found.degree).abs() < 1e-12);
            let grown = coupling([(a * 1.1).min(1.0), b, c]).unwrap();
            prop_assert!(grown.degree >= found.degree - 1e-12);
        }
    }
}
