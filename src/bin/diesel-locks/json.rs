//! Records as JSON, for other programs.

use diesel_locks::Record;

use crate::record::utc;

pub fn array(records: &[Record]) -> String {
    let objects: Vec<String> = records.iter().map(object).collect();
    format!("[{}]\n", objects.join(",\n "))
}

pub fn object(record: &Record) -> String {
    let left = record.time_left.map(|left| left.as_millis().to_string());
    let fields = [
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
    ];
    let fields = fields.map(|(name, value)| format!("\"{name}\": {value}"));
    format!("{{{}}}", fields.join(", "))
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
