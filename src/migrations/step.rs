//! The shipped migrations, as they lie in this crate's folder `migrations`.

/// One migration of a database: its folder's name, which is what Diesel knows it by, and its two files.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub(crate) folder: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

/// The shipped step of this engine and folder.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
macro_rules! step {
    ($engine:literal, $folder:literal) => {
        $crate::migrations::Step {
            folder: $folder,
            up: include_str!(concat!(
                "../../migrations/",
                $engine,
                "/",
                $folder,
                "/up.sql"
            )),
            down: include_str!(concat!(
                "../../migrations/",
                $engine,
                "/",
                $folder,
                "/down.sql"
            )),
        }
    };
}
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(crate) use step;

impl Step {
    /// When it was made, as it stands in the name: `2026-11-20-084137`.
    pub(crate) fn stamp(&self) -> &'static str {
        self.folder.split('_').next().unwrap_or_default()
    }

    /// What it does, as it stands in the name: `diesel_locks_create`.
    pub(crate) fn title(&self) -> &'static str {
        self.folder.split_once('_').map_or("", |(_, title)| title)
    }

    /// What Diesel makes of the name: `20261120084137`.
    pub(crate) fn version(&self) -> String {
        self.stamp().replace('-', "")
    }

    /// The same as a number.
    pub(crate) fn number(&self) -> i64 {
        self.version().parse().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn its_name_says_when_and_what() {
        let step = Step {
            folder: "2026-11-20-084137_diesel_locks_create",
            up: "",
            down: "",
        };
        assert_eq!(step.title(), "diesel_locks_create");
        assert_eq!(step.number(), 20_261_120_084_137);
    }
}
