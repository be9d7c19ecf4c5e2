//! Lists the vendor units for `ettan install`, which carries them.

use std::fmt::Write;
use std::path::Path;

fn main() {
    let top = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where this is");
    let units = Path::new(&top).join("../../units/system");
    println!("cargo::rerun-if-changed={}", units.display());
    let entries = std::fs::read_dir(&units).expect("units/system is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let mut list = String::from("[\n");
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "toml")) {
        let name = path.file_name().expect("a name");
        let _ = writeln!(list, "    ({name:?}, include_str!({path:?})),");
    }
    list.push(']');
    let out = std::env::var("OUT_DIR").expect("cargo says where to");
    std::fs::write(Path::new(&out).join("vendor.rs"), list).expect("it can be written");
}
