//! Rebuilds the application when a migration changes, because `embed_migrations!` reads the folder at compile time.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
