//! Sizes of packets and times between them (Tranalyzer's basicStats), as running estimates in single precision.

/// Mean and variance by which each new value moves them by its difference over the number of values so far. The
/// variance is not that of textbooks: it takes the difference from the mean before the value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Running {
    mean: f32,
    variance: f32,
}

impl Running {
    /// `number` includes this value.
    fn add(&mut self, value: f32, number: u64) {
        let number = number as f32;
        let difference = value - self.mean;
        self.mean += difference / number;
        self.variance += (difference * difference - self.variance) / number;
    }
}

/// Sizes of packets in octets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sizes {
    running: Running,
}

impl Sizes {
    pub(super) fn count(&mut self, octets: u32, number: u64) {
        if number == 1 {
            self.running.mean = octets as f32;
        }
        self.running.add(octets as f32, number);
    }

    /// Standard deviation in octets.
    #[must_use]
    pub fn deviation(&self) -> f32 {
        self.running.variance.sqrt()
    }
}

/// Times between packets in seconds; the first packet counts as 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Arrivals {
    /// The shortest; negative if the clock ran back.
    pub min: f32,
    /// The longest.
    pub max: f32,
    running: Running,
}

impl Arrivals {
    pub(super) fn count(&mut self, gap: f32, number: u64) {
        self.min = self.min.min(gap);
        self.max = self.max.max(gap);
        self.running.add(gap, number);
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> f32 {
        self.running.mean
    }

    /// The standard deviation.
    #[must_use]
    pub fn deviation(&self) -> f32 {
        self.running.variance.sqrt()
    }
}
