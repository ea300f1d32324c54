//! The shipped migrations, as they are in this crate's folder `migrations`.

/// One migration for an engine: its two files, and the name of its folder, by which Diesel knows the migration.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub(crate) folder: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

/// The shipped step for this engine, from this folder.
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
    /// The date in the folder's name: `2026-11-20-084137`.
    pub(crate) fn stamp(&self) -> &'static str {
        self.folder.split('_').next().unwrap_or_default()
    }

    /// The title in the folder's name: `diesel_locks_create`.
    pub(crate) fn title(&self) -> &'static str {
        self.folder.split_once('_').map_or("", |(_, title)| title)
    }

    /// The version that Diesel reads from the folder's name: `20261120084137`.
    pub(crate) fn version(&self) -> String {
        self.stamp().replace('-', "")
    }

    /// The version as a number.
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
