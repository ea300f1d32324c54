//! `embed_migrations!` reads the folder when the application is compiled.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
