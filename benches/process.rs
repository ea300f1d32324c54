//! The processor time and memory of this process, from the `/proc` of Linux.

use std::fs::read_to_string;
use std::time::Duration;

/// The processor time of all threads since the process started.
pub fn cpu() -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let stat = read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}

/// The resident memory, in bytes.
pub fn memory() -> f64 {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kilobytes
        .and_then(|text| text.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        * 1_024.0
}
