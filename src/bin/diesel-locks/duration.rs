//! Durations, as people write and read them.

use std::time::Duration;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// `90s`, `30m`, `12h`, `7d`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(*unit));
    let seconds = unit.and_then(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(*unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    let duration = seconds.map(Duration::from_secs);
    duration.ok_or_else(|| "expected a whole number and a unit: 90s, 30m, 12h, 7d".to_owned())
}

/// The two largest units, or seconds with a tenth below a minute: `2d 3h`, `5m 12s`, `4.2s`.
pub fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let Some(place) = UNITS
        .iter()
        .position(|(_, unit)| seconds >= *unit && *unit > 1)
    else {
        return format!("{}.{}s", seconds, duration.subsec_millis() / 100);
    };
    let ((unit, size), (next, part)) = (UNITS[place], UNITS[place + 1]);
    format!("{}{unit} {}{next}", seconds / size, seconds % size / part)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse, short};

    #[test]
    fn a_whole_number_with_a_unit_is_read() {
        assert_eq!(parse("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse("7d").unwrap(), Duration::from_secs(7 * 86_400));
        for bad in [
            "",
            "7",
            "d",
            "-1d",
            "1.5h",
            "1w",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_duration_has_two_units() {
        let shown = |millis| short(Duration::from_millis(millis));
        assert_eq!(shown(0), "0.0s");
        assert_eq!(shown(4_270), "4.2s");
        assert_eq!(shown(312_000), "5m 12s");
        assert_eq!(shown(2 * 86_400_000 + 3 * 3_600_000), "2d 3h");
    }
}
