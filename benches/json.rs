//! The figures as JSON, for other programs.

use crate::figure::Figures;

pub fn text(figures: &Figures) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(figures)? + "\n")
}
