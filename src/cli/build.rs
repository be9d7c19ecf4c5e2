//! Lists the vendor units and their scripts for `ettan install`, which carries them.

use std::fmt::Write;
use std::path::Path;

fn main() {
    let top = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where this is");
    let out = std::env::var("OUT_DIR").expect("cargo says where to");
    for (folder, list) in [("system", "vendor.rs"), ("lib", "scripts.rs")] {
        let files = list_of(&Path::new(&top).join("../../units").join(folder));
        std::fs::write(Path::new(&out).join(list), files).expect("it can be written");
    }
}

/// `[(name, text), …]` of the files in a folder.
fn list_of(folder: &Path) -> String {
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // What an editor leaves beside them is none.
    paths.retain(|path| {
        matches!(path.extension().and_then(|end| end.to_str()), None | Some("toml"))
    });
    paths.retain(|path| !path.to_string_lossy().ends_with('~'));
    paths.sort();
    let mut list = String::from("[\n");
    for path in paths {
        let name = path.file_name().expect("a name");
        let _ = writeln!(list, "    ({name:?}, include_str!({path:?})),");
    }
    list.push(']');
    list
}
