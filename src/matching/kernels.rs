//! The loops in which a query spends its time, in as many widths as processors have.
//!
//! Each loop is written once. The compiler makes a plain version of it, and others for
//! wider registers, and the widest that the processor has is chosen when the engine is
//! made. Only the lookup of many levels at once has an instruction of its own in each
//! width. All compute the same, and the tests compare them.

/// Lanes of a kernel: what one call looks at.
pub(super) const LANES: usize = 64;
/// Skills that the kernels tell apart.
pub(super) const SKILLS: usize = 128;

/// A value per lane.
pub(super) type Bytes = [u8; LANES];

/// Which registers the kernels use: only what the processor was seen to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels(Width);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// What every processor has.
    Plain,
    /// 256 bits (x86-64 with AVX2).
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512 bits (x86-64 with AVX-512 and its byte permutations).
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernels {
    /// Without any wide register.
    pub const PLAIN: Self = Self(Width::Plain);

    /// The widest that this processor has.
    pub fn widest() -> Self {
        Self::available().pop().unwrap_or(Self::PLAIN)
    }

    /// All that this processor has, the narrowest first.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "other processors have the plain kernels alone")]
        let mut kernels = vec![Self::PLAIN];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                kernels.push(Self(Width::Avx2));
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vbmi")
            {
                kernels.push(Self(Width::Avx512));
            }
        }
        kernels
    }

    /// Bounds for [`LANES`] requirement lists; returns a bit for each that may accept.
    #[inline]
    pub(super) fn screen(self, screen: Screen<'_>, levels: &Levels, bounds: &mut Bounds) -> u64 {
        match self.0 {
            Width::Plain => run_screen(screen, levels, bounds, lookup),
            // SAFETY: only `available` makes this value, and has seen that the processor
            // has the features.
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => unsafe { wide::screen_avx2(screen, levels, bounds) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => unsafe { wide::screen_avx512(screen, levels, bounds) },
        }
    }

    /// Bounds for [`LANES`] workers under one requirement list, as `screen` for many
    /// lists and one worker.
    #[inline]
    pub(super) fn call(
        self,
        columns: &[Column<'_>],
        base: u16,
        least: u16,
        bounds: &mut Bounds,
    ) -> u64 {
        match self.0 {
            Width::Plain => run_call(columns, base, least, bounds),
            // SAFETY: as in `screen`.
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => unsafe { wide::call_avx2(columns, base, least, bounds) },
            // SAFETY: as in `screen`.
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => unsafe { wide::call_avx512(columns, base, least, bounds) },
        }
    }

    /// A bit for each of the first [`LANES`] bars (cutoffs, needs) that `bid` beats.
    #[inline]
    pub(super) fn beaten<T: Copy + Ord>(self, bars: &[T], bid: T) -> u64 {
        match self.0 {
            Width::Plain => run_beaten(bars, bid),
            // SAFETY: as in `screen`.
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => unsafe { wide::beaten_avx2(bars, bid) },
            // SAFETY: as in `screen`.
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => unsafe { wide::beaten_avx512(bars, bid) },
        }
    }
}

/// The lanes whose bits are set, in their order.
#[inline(always)]
pub(super) fn lanes(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = (bits != 0).then_some(bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        lane
    })
}

/// Tells the processor that an element will be read soon.
#[inline(always)]
pub(super) fn prefetch<T>(slice: &[T], at: usize) {
    if let Some(element) = slice.get(at) {
        prefetch_line(std::ptr::from_ref(element).cast());
    }
}

/// The same for all of a slice.
#[inline(always)]
pub(super) fn prefetch_all<T>(slice: &[T]) {
    let start = slice.as_ptr().cast::<i8>();
    (0..size_of_val(slice)).step_by(64).for_each(|line| prefetch_line(start.wrapping_add(line)));
}

#[inline(always)]
fn prefetch_line(at: *const i8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing, wherever it points.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// A worker's levels by skill.
#[repr(align(64))]
#[derive(Clone)]
pub(super) struct Levels(pub [u8; SKILLS]);

impl Default for Levels {
    fn default() -> Self {
        Self([0; SKILLS])
    }
}

/// One requirement of each of [`LANES`] lists.
#[repr(align(64))]
#[derive(Clone)]
pub(super) struct Slot {
    /// Which skill.
    pub skill: Bytes,
    /// No level above it counts.
    pub desired: Bytes,
    /// What a level is worth.
    pub worth: [u16; LANES],
}

/// [`LANES`] requirement lists.
#[derive(Clone, Copy)]
pub(super) struct Screen<'s> {
    pub slots: &'s [Slot],
    /// Of the first of them: a level below it refuses.
    pub minima: &'s [Bytes],
    /// What a list is worth without any level, and what it must be worth.
    pub base: &'s [u16; LANES],
    pub least: &'s [u16; LANES],
    /// What else it must be worth, shifted; 0 asks for nothing.
    pub bars: &'s [u16; LANES],
    /// What a list's vacancy is worth to the worker beside the fit, in the same units.
    pub pays: &'s [u16; LANES],
    pub shift: Shift,
}

/// How bars are shifted for a worker.
#[derive(Clone, Copy)]
pub(super) struct Shift {
    /// What she has over her fit.
    pub allowed: u16,
    /// What is taken off it, at least.
    pub lost: u16,
    /// What fit and pay must come to for her.
    pub wanted: u16,
}

impl Shift {
    /// Not at all.
    pub const NONE: Self = Self { allowed: 0, lost: 0, wanted: 0 };
}

/// One requirement, and the levels of [`LANES`] workers in its skill.
#[derive(Clone, Copy)]
pub(super) struct Column<'c> {
    pub levels: &'c Bytes,
    /// As in [`Slot`].
    pub desired: u8,
    pub minimum: u8,
    pub worth: u16,
}

impl Column<'_> {
    /// Asks for nothing.
    pub const BLANK: Self = Self { levels: &[0; LANES], desired: 0, minimum: 0, worth: 0 };
}

/// The worth of each list for a worker, or of a list for each worker.
#[repr(align(64))]
#[derive(Clone)]
pub(super) struct Bounds(pub [u16; LANES]);

#[inline(always)]
fn run_screen(
    screen: Screen<'_>,
    levels: &Levels,
    bounds: &mut Bounds,
    lookup: impl Fn(&Levels, &Bytes) -> Bytes,
) -> u64 {
    let mut sums = *screen.base;
    let mut refused = [0_u8; LANES];
    for (at, slot) in screen.slots.iter().enumerate() {
        let found = lookup(levels, &slot.skill);
        for lane in 0..LANES {
            let counted = u16::from(found[lane].min(slot.desired[lane]));
            sums[lane] = sums[lane].wrapping_add(counted.wrapping_mul(slot.worth[lane]));
        }
        if let Some(minimum) = screen.minima.get(at) {
            for lane in 0..LANES {
                refused[lane] |= u8::from(found[lane] < minimum[lane]);
            }
        }
    }
    bounds.0 = sums;
    let mut needs = *screen.least;
    for (need, bar) in needs.iter_mut().zip(screen.bars) {
        let raised = bar.saturating_add(screen.shift.lost).saturating_sub(screen.shift.allowed);
        *need = (*need).max(if *bar == 0 { 0 } else { raised });
    }
    let mut passed = 0;
    for lane in 0..LANES {
        let worth = sums[lane].saturating_add(screen.pays[lane]);
        let enough = sums[lane] >= needs[lane] && worth >= screen.shift.wanted;
        passed |= u64::from(refused[lane] == 0 && enough) << lane;
    }
    passed
}

#[inline(always)]
fn run_call(columns: &[Column], base: u16, least: u16, bounds: &mut Bounds) -> u64 {
    let mut sums = [base; LANES];
    let mut refused = [0_u8; LANES];
    for column in columns {
        for lane in 0..LANES {
            let level = column.levels[lane];
            let counted = u16::from(level.min(column.desired));
            sums[lane] = sums[lane].wrapping_add(counted.wrapping_mul(column.worth));
            refused[lane] |= u8::from(level < column.minimum);
        }
    }
    bounds.0 = sums;
    let mut passed = 0;
    for lane in 0..LANES {
        let passes = refused[lane] == 0 && sums[lane] >= least;
        passed |= u64::from(passes) << lane;
    }
    passed
}

#[inline(always)]
fn run_beaten<T: Copy + Ord>(bars: &[T], bid: T) -> u64 {
    let mut mask = 0;
    for (at, bars) in bars.chunks(8).take(LANES / 8).enumerate() {
        let mut bits = 0_u64;
        for (bit, bar) in bars.iter().enumerate() {
            bits |= u64::from(bid > *bar) << bit;
        }
        mask |= bits << (8 * at);
    }
    mask
}

/// The level of each lane's skill.
#[inline(always)]
fn lookup(levels: &Levels, skills: &Bytes) -> Bytes {
    std::array::from_fn(|lane| levels.0[usize::from(skills[lane]) % SKILLS])
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{Bounds, Bytes, Column, LANES, Levels, Screen, run_beaten, run_call, run_screen};
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx2")]
    pub(super) fn screen_avx2(screen: Screen<'_>, levels: &Levels, bounds: &mut Bounds) -> u64 {
        run_screen(screen, levels, bounds, |levels, skills| lookup_avx2(levels, skills))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    pub(super) fn screen_avx512(screen: Screen<'_>, levels: &Levels, bounds: &mut Bounds) -> u64 {
        run_screen(screen, levels, bounds, |levels, skills| lookup_avx512(levels, skills))
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn call_avx2(columns: &[Column], base: u16, least: u16, to: &mut Bounds) -> u64 {
        run_call(columns, base, least, to)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn call_avx512(columns: &[Column], base: u16, least: u16, to: &mut Bounds) -> u64 {
        run_call(columns, base, least, to)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn beaten_avx2<T: Copy + Ord>(bars: &[T], bid: T) -> u64 {
        run_beaten(bars, bid)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn beaten_avx512<T: Copy + Ord>(bars: &[T], bid: T) -> u64 {
        run_beaten(bars, bid)
    }

    /// Sixteen levels at a time: a skill is looked up in the sixteen that share its
    /// high bits, and is zero in the others.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn lookup_avx2(levels: &Levels, skills: &Bytes) -> Bytes {
        let mut found = [0; LANES];
        for half in 0..2 {
            // SAFETY: 32 bytes from the start or the middle of 64.
            let ids = unsafe { _mm256_loadu_si256(skills.as_ptr().add(32 * half).cast()) };
            let mut all = _mm256_setzero_si256();
            for part in 0..8 {
                // SAFETY: 16 bytes from the `part`th sixteenth of 128.
                let table = unsafe { _mm_loadu_si128(levels.0.as_ptr().add(16 * part).cast()) };
                let table = _mm256_broadcastsi128_si256(table);
                let high = _mm256_set1_epi8((part << 4) as i8);
                // Other parts' skills get the top bit, which the shuffle answers with zero.
                let low = _mm256_adds_epu8(_mm256_xor_si256(ids, high), _mm256_set1_epi8(0x70));
                all = _mm256_or_si256(all, _mm256_shuffle_epi8(table, low));
            }
            // SAFETY: 32 bytes to the start or the middle of 64.
            unsafe { _mm256_storeu_si256(found.as_mut_ptr().add(32 * half).cast(), all) };
        }
        found
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    fn lookup_avx512(levels: &Levels, skills: &Bytes) -> Bytes {
        let mut found = [0; LANES];
        // SAFETY: two times 64 bytes of 128, and 64 of 64.
        unsafe {
            let low = _mm512_loadu_si512(levels.0.as_ptr().cast());
            let high = _mm512_loadu_si512(levels.0.as_ptr().add(64).cast());
            let ids = _mm512_loadu_si512(skills.as_ptr().cast());
            let all = _mm512_permutex2var_epi8(low, ids, high);
            _mm512_storeu_si512(found.as_mut_ptr().cast(), all);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::Key;
    use super::*;

    /// Goal: all widths compute what the plain loops do, and read no memory but what they
    /// are given. Method: screens, columns and cutoffs of noise, near the borders as often
    /// as not; `GALE_SEED` gives other noise, `scripts/sanitize` runs it under a sanitizer.
    #[test]
    fn all_widths_agree() {
        let seed = std::env::var("GALE_SEED").ok().and_then(|seed| seed.parse().ok());
        let mut state: u64 = seed.unwrap_or(1);
        let mut noise = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            (state >> 33) % below
        };
        for _ in 0..20_000 {
            let levels = Levels(std::array::from_fn(|_| noise(101) as u8));
            let slots: Vec<Slot> = (0..noise(7))
                .map(|_| Slot {
                    skill: std::array::from_fn(|_| noise(SKILLS as u64) as u8),
                    desired: std::array::from_fn(|_| noise(101) as u8),
                    worth: std::array::from_fn(|_| noise(200) as u16),
                })
                .collect();
            let minima: Vec<Bytes> = (0..noise(slots.len() as u64 + 1))
                .map(|_| std::array::from_fn(|_| noise(30) as u8))
                .collect();
            let base: [u16; LANES] = std::array::from_fn(|_| noise(3) as u16);
            let least = std::array::from_fn(|_| noise(20_000) as u16);
            let bars = std::array::from_fn(|_| (noise(2) * noise(1 << 16)) as u16);
            let pays = std::array::from_fn(|_| noise(1 << 16) as u16);
            let shift = Shift {
                allowed: noise(20_000) as u16,
                lost: noise(20_000) as u16,
                wanted: (noise(2) * noise(1 << 16)) as u16,
            };
            for ahead in [0, 63, 64, usize::MAX] {
                prefetch(&base, ahead);
            }
            prefetch_all(&base[..base.len().min(noise(65) as usize)]);
            let screen = Screen {
                slots: &slots,
                minima: &minima,
                base: &base,
                least: &least,
                bars: &bars,
                pays: &pays,
                shift,
            };
            let cutoffs: Vec<Key> =
                (0..noise(70)).map(|_| Key::new(noise(4) as i64, noise(4) as u32)).collect();
            let key = Key::new(noise(4) as i64, noise(4) as u32);
            let columns: Vec<Column> = slots
                .iter()
                .map(|slot| Column {
                    levels: &slot.skill,
                    desired: slot.desired[0],
                    minimum: noise(30) as u8,
                    worth: slot.worth[0],
                })
                .collect();
            let run = |kernels: Kernels| {
                let (mut bounds, mut called) = (Bounds([0; LANES]), Bounds([0; LANES]));
                let passed = kernels.screen(screen, &levels, &mut bounds);
                let reached = kernels.call(&columns, base[0], least[0], &mut called);
                (passed, bounds.0, kernels.beaten(&cutoffs, key), reached, called.0)
            };
            let plain = run(Kernels::PLAIN);
            for (lane, cutoff) in cutoffs.iter().take(LANES).enumerate() {
                assert_eq!(plain.2 >> lane & 1 == 1, key > *cutoff);
            }
            for kernels in Kernels::available() {
                assert_eq!(run(kernels), plain, "{kernels:?}");
            }
        }
    }
}
