//! Durations, as people write and read them.

use std::time::Duration;

/// The units, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// `500ms`, `90s`, `30m`, `12h`, `7d`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let duration = millis(text).map(Duration::from_millis);
    duration
        .ok_or_else(|| "expected a whole number and a unit: 500ms, 90s, 30m, 12h, 7d".to_owned())
}

fn millis(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

/// The two largest units, or seconds with a tenth below a minute: `2d 3h`, `5m 12s`, `4.2s`.
pub fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let has = |(_, size): &(&str, u64)| seconds >= *size / 1_000;
    let Some(place) = UNITS[..3].iter().position(has) else {
        return format!("{}.{}s", seconds, duration.subsec_millis() / 100);
    };
    let ((unit, size), (next, part)) = (UNITS[place], UNITS[place + 1]);
    let millis = seconds * 1_000;
    format!("{}{unit} {}{next}", millis / size, millis % size / part)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse, short};

    #[test]
    fn a_whole_number_with_a_unit_is_read() {
        assert_eq!(parse("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(parse("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse("5m").unwrap(), Duration::from_secs(300));
        assert_eq!(parse("7d").unwrap(), Duration::from_secs(7 * 86_400));
        for bad in [
            "",
            "7",
            "d",
            "ms",
            "-1d",
            "1.5h",
            "1w",
            "1 s",
            "1é",
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
