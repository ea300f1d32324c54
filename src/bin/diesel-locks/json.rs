//! Records as JSON, for other programs.

use std::time::Duration;

use diesel_locks::Lease;

use crate::record::{Record, utc};

pub fn array(records: &[Record], separator: &str) -> String {
    let objects: Vec<String> = records.iter().map(object).collect();
    format!("[{}]\n", objects.join(separator))
}

pub fn object(record: &Record) -> String {
    let left = record.time_left.map(|left| left.as_millis().to_string());
    fields(&[
        ("lock", text(&record.key)),
        ("group", nullable(record.group())),
        ("name", text(record.name())),
        ("held", record.is_held().to_string()),
        ("owner", text(&record.owner)),
        ("fence", record.fence.to_string()),
        ("acquired_at", text(&utc(record.acquired_at))),
        ("expires_at", text(&utc(record.expires_at))),
        ("time_left_ms", left.unwrap_or_else(|| "null".to_owned())),
        ("data", nullable(record.data.as_deref())),
    ])
}

pub fn lease(lease: &Lease, ttl: Duration) -> String {
    let lock = lease.lock();
    fields(&[
        ("lease", text(&lease.to_text())),
        ("lock", text(lock.key())),
        ("group", nullable(lock.group())),
        ("name", text(lock.name())),
        ("fence", lease.fence().to_string()),
        ("ttl_ms", ttl.as_millis().to_string()),
    ])
}

fn fields(fields: &[(&str, String)]) -> String {
    let fields = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\": {value}"));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

fn nullable(value: Option<&str>) -> String {
    value.map_or_else(|| "null".to_owned(), text)
}

fn text(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn special_characters_are_escaped() {
        assert_eq!(text("a\"b\\c\n\u{1f}é🔒"), r#""a\"b\\c\u000a\u001fé🔒""#);
    }
}
