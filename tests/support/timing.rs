//! Whether two kinds of answers can be told apart by how long they take: Welch's t-test over
//! measurements that were made in random turns, as dudect does it.

/// The t that two kinds of answers must stay below. By chance alone it is passed once in 150,000 times.
pub const T_MAX: f64 = 4.5;

/// How many crops are tried beside all measurements.
const CROPS: u32 = 10;

/// How long one answer of each of two kinds took, in any unit, in the order of measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// Which of the two kinds it is.
    pub second: bool,
    /// How long it took.
    pub time: f64,
}

/// The largest absolute t over all measurements and over those below some quantiles.
///
/// Slow outliers come from the machine and hide what is looked for, so the slowest are cropped: one half
/// of what is left at each step. What is cropped is the same for both kinds.
#[must_use]
pub fn largest_t(measurements: &[Measurement]) -> f64 {
    let mut times: Vec<f64> = measurements.iter().map(|one| one.time).collect();
    times.sort_by(f64::total_cmp);
    let crops = (1..=CROPS).filter_map(|crop| {
        let kept = 1.0 - 0.5_f64.powf(f64::from(crop) / 2.0);
        times.get((times.len() as f64 * kept) as usize).copied()
    });
    crops
        .chain([f64::INFINITY])
        .map(|bound| {
            let kept = |second: bool| {
                measurements
                    .iter()
                    .filter(move |one| one.second == second && one.time <= bound)
                    .map(|one| one.time)
                    .collect::<Vec<_>>()
            };
            welch_t(&kept(false), &kept(true)).abs()
        })
        .fold(0.0, f64::max)
}

/// Welch's t of the difference of two means; zero when there is too little to say.
#[must_use]
pub fn welch_t(first: &[f64], second: &[f64]) -> f64 {
    if first.len() < 2 || second.len() < 2 {
        return 0.0;
    }
    let (first_mean, first_variance) = moments(first);
    let (second_mean, second_variance) = moments(second);
    let difference = first_mean - second_mean;
    let error =
        (first_variance / first.len() as f64 + second_variance / second.len() as f64).sqrt();
    if difference == 0.0 {
        0.0
    } else {
        difference / error
    }
}

/// Mean and unbiased variance.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (count - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Times around 1000 with a spread of 100, every hundredth ten times as long; those of the second
    /// kind take `more`.
    fn measured(count: u64, more: f64) -> Vec<Measurement> {
        let mut turns = Random::new(7);
        (0..count)
            .map(|_| {
                let second = turns.number_below(2) == 1;
                let slow = if turns.number_below(100) == 0 {
                    10.0
                } else {
                    1.0
                };
                let time = (950 + turns.number_below(101)) as f64 * slow;
                Measurement {
                    second,
                    time: if second { time + more } else { time },
                }
            })
            .collect()
    }

    #[test]
    fn computes_the_t_of_a_known_example() {
        // Means 3 and 4, variances 2.5 and 2.5 over 5 each: t = -1 / sqrt(1).
        let t = welch_t(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 3.0, 4.0, 5.0, 6.0]);
        assert!((t + 1.0).abs() < 1e-12, "{t}");
        assert!(welch_t(&[1.0], &[2.0, 3.0]).abs() < f64::EPSILON);
    }

    #[test]
    fn finds_no_difference_where_there_is_none() {
        let t = largest_t(&measured(4_000, 0.0));
        assert!(t < T_MAX, "{t}");
    }

    #[test]
    fn finds_a_difference_that_outliers_hide() {
        let measurements = measured(4_000, 12.0);
        let all = |second| {
            let of = measurements.iter().filter(move |one| one.second == second);
            of.map(|one| one.time).collect::<Vec<_>>()
        };
        let uncropped = welch_t(&all(false), &all(true)).abs();
        assert!(uncropped < T_MAX, "{uncropped}");
        let t = largest_t(&measurements);
        assert!(t > T_MAX, "{t}");
    }
}
