//! The least value of a function that has no derivatives, in a unit cube.
//!
//! A tenth of the evaluations look around (the start and points of Halton's sequence, which
//! fills the cube evenly); the rest go downhill from the best of them by the simplex of Nelder
//! and Mead (1965), which starts again from its best point, large, whenever it has shrunk.

/// Edge of a new simplex.
const EDGE: f64 = 0.35;
/// A simplex smaller than this has found what it can; smaller steps would follow the noise.
const SHRUNK: f64 = 0.05;
/// Of so many evaluations one looks around.
const AROUND_ONE_IN: u32 = 10;
/// Bases of Halton's sequence.
const BASES: [u32; 8] = [2, 3, 5, 7, 11, 13, 17, 19];

/// The best point seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found<const N: usize> {
    /// Where.
    pub point: [f64; N],
    /// How low.
    pub value: f64,
    /// Evaluations made.
    pub evaluations: u32,
}

struct Search<'f, const N: usize, F> {
    function: &'f mut F,
    left: u32,
    best: Found<N>,
}

/// A point with its value.
type Corner<const N: usize> = ([f64; N], f64);

/// Looks for the least value of `function` with so many evaluations, from `start` on.
///
/// # Errors
/// The first of `function`.
pub fn minimise<const N: usize, E>(
    start: [f64; N],
    evaluations: u32,
    mut function: impl FnMut(&[f64; N]) -> Result<f64, E>,
) -> Result<Found<N>, E> {
    const { assert!(N > 0 && N <= BASES.len(), "Halton's sequence has a base for each dimension") };
    let best = Found { point: start, value: f64::INFINITY, evaluations: 0 };
    let mut search = Search { function: &mut function, left: evaluations.max(1), best };
    search.at(start)?;
    for number in 1..evaluations / AROUND_ONE_IN {
        search.at(std::array::from_fn(|k| halton(number, BASES[k])))?;
    }
    while search.left > 0 {
        search.descend()?;
    }
    Ok(search.best)
}

impl<const N: usize, F: FnMut(&[f64; N]) -> Result<f64, E>, E> Search<'_, N, F> {
    /// The value at a point of the cube, or at the nearest one in it; infinite when no
    /// evaluation is left, so that nothing is ever taken for better then.
    fn at(&mut self, point: [f64; N]) -> Result<Corner<N>, E> {
        let point = point.map(|x| x.clamp(0.0, 1.0));
        if self.left == 0 {
            return Ok((point, f64::INFINITY));
        }
        self.left -= 1;
        let value = (self.function)(&point)?;
        self.best.evaluations += 1;
        if value < self.best.value {
            (self.best.point, self.best.value) = (point, value);
        }
        Ok((point, value))
    }

    /// One simplex, from the best point until it has shrunk or nothing is left.
    fn descend(&mut self) -> Result<(), E> {
        let (origin, value) = (self.best.point, self.best.value);
        let mut corners: Vec<Corner<N>> = vec![(origin, value)];
        for k in 0..N {
            let mut point = origin;
            // Inwards, where the cube is wider.
            point[k] += if origin[k] < 0.5 { EDGE } else { -EDGE };
            corners.push(self.at(point)?);
        }
        while self.left > 0 && size(&corners) > SHRUNK {
            corners.sort_by(|a, b| a.1.total_cmp(&b.1));
            self.step(&mut corners)?;
        }
        Ok(())
    }

    /// Replaces the worst corner by a better one, or draws all towards the best.
    fn step(&mut self, corners: &mut [Corner<N>]) -> Result<(), E> {
        let worst = corners[N];
        let centre: [f64; N] =
            std::array::from_fn(|k| corners[..N].iter().map(|(x, _)| x[k]).sum::<f64>() / N as f64);
        let along = |t: f64| std::array::from_fn(|k| centre[k] + t * (worst.0[k] - centre[k]));
        let reflected = self.at(along(-1.0))?;
        if reflected.1 < corners[0].1 {
            let further = self.at(along(-2.0))?;
            corners[N] = if further.1 < reflected.1 { further } else { reflected };
            return Ok(());
        }
        if reflected.1 < corners[N - 1].1 {
            corners[N] = reflected;
            return Ok(());
        }
        let nearer = self.at(along(if reflected.1 < worst.1 { -0.5 } else { 0.5 }))?;
        if nearer.1 < reflected.1.min(worst.1) {
            corners[N] = nearer;
            return Ok(());
        }
        let best = corners[0].0;
        for corner in &mut corners[1..] {
            let halfway = std::array::from_fn(|k| (best[k] + corner.0[k]) / 2.0);
            *corner = self.at(halfway)?;
        }
        Ok(())
    }
}

/// The longest edge from the first corner, by its longest coordinate.
fn size<const N: usize>(corners: &[Corner<N>]) -> f64 {
    let first = corners[0].0;
    let edges =
        corners[1..].iter().flat_map(|(x, _)| x.iter().zip(first).map(|(a, b)| (a - b).abs()));
    edges.fold(0.0, f64::max)
}

/// The radical inverse: the digits of `number` in `base`, behind the point and backwards.
fn halton(mut number: u32, base: u32) -> f64 {
    let (mut value, mut unit) = (0.0, 1.0 / f64::from(base));
    while number > 0 {
        value += f64::from(number % base) * unit;
        number /= base;
        unit /= f64::from(base);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// Goal: the least value is found, inside the cube and at its edge, and no more evaluations
    /// are made than were granted. Method: a narrow valley, and a slope.
    #[test]
    fn the_least_value_is_found() {
        let mut count = 0;
        let found = minimise([0.5; 3], 400, |x: &[f64; 3]| {
            count += 1;
            assert!(x.iter().all(|x| (0.0..=1.0).contains(x)));
            let [a, b, c] = *x;
            Ok::<_, Infallible>((a - 0.3).powi(2) + 20.0 * (b - a).powi(2) + (c - 0.9).powi(2))
        })
        .unwrap();
        assert_eq!((found.evaluations, count), (400, 400));
        assert!(found.value < 1e-3, "{found:?}");
        let slope =
            minimise([0.5; 2], 100, |x: &[f64; 2]| Ok::<_, Infallible>(x[0] - x[1])).unwrap();
        assert!(slope.value < -0.97, "{slope:?}");
    }

    /// Goal: one evaluation is the start, and an error of the function comes out.
    #[test]
    fn little_is_possible_too() {
        let found = minimise([0.25], 1, |x: &[f64; 1]| Ok::<_, Infallible>(x[0])).unwrap();
        assert_eq!(found, Found { point: [0.25], value: 0.25, evaluations: 1 });
        assert_eq!(minimise([0.5], 9, |_: &[f64; 1]| Err("no")), Err("no"));
    }

    /// Goal: Halton's points are the published ones.
    #[test]
    fn halton_by_hand() {
        let points: Vec<_> = (1..5).map(|i| halton(i, 2)).collect();
        assert_eq!(points, [0.5, 0.25, 0.75, 0.125]);
        assert!((halton(5, 3) - 7.0 / 9.0).abs() < 1e-15);
    }
}
