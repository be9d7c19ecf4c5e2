//! A root file system in a folder of its own, gone when dropped.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part of it")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ettan_core::{Catalog, Unit};
use ettan_table::{Launch, Table};
use ettan_unit::{Diagnostic, Loaded, Severity, load, reload};

pub struct Root(PathBuf);

static COUNT: AtomicU32 = AtomicU32::new(0);

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    broken line\n\
    hex:x:0x0:0::/:/bin/sh\n\
    telldus:x:101:102:Telldus:/var/lib/telldus:/bin/false\n\
    0day:x:105:105::/:/bin/sh\n\
    nohome:x:106:106\n";
const GROUP: &str = "root:x:0:\nplugdev:x:46:telldus,other\ndialout:x:20:other,telldus\n\
    telldus:x:102:\nneg:x:-1:telldus\n";

impl Root {
    /// With /etc/units, /run/units, /usr/lib/units, passwd and group, and nothing else.
    pub fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ettan-unit-{}-{number}", std::process::id());
        let root = Self(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&root.0);
        for directory in ["/etc/units", "/run/units", "/usr/lib/units"] {
            fs::create_dir_all(root.at(directory)).unwrap();
            root.mode(directory, 0o755);
        }
        root.write("/etc/passwd", PASSWD);
        root.write("/etc/group", GROUP);
        root
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
        self.mode(path, 0o644);
    }

    /// A unit in /etc/units.
    pub fn unit(&self, name: &str, content: impl AsRef<[u8]>) {
        self.write(&format!("/etc/units/{name}.toml"), content);
    }

    pub fn link(&self, path: &str, target: &str) {
        let _ = fs::remove_file(self.at(path));
        symlink(target, self.at(path)).unwrap();
    }

    pub fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn load(&self) -> World {
        World(load(&self.0))
    }

    /// As a reload does while `former` is in force.
    pub fn load_after(&self, former: &World) -> World {
        World(reload(&self.0, former.table()))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What was loaded, with short ways to ask.
pub struct World(pub Loaded);

impl World {
    pub fn table(&self) -> Table<'_> {
        Table::read(&self.0.table).expect("a table")
    }

    pub fn names(&self) -> Vec<String> {
        let table = self.table();
        (0..table.len()).filter_map(|index| table.name(index).map(str::to_string)).collect()
    }

    pub fn unit(&self, name: &str) -> Unit {
        let index = self.table().index_of(name).unwrap_or_else(|| panic!("{name}: {self}"));
        self.table().unit(index).expect("a unit")
    }

    pub fn launch(&self, name: &str) -> Launch<'_> {
        let index = self.table().index_of(name).unwrap_or_else(|| panic!("{name}: {self}"));
        self.table().launch(index).expect("a launch")
    }

    /// Needs as text: `After web`, `Requires !ghost`, `After ?network`.
    pub fn needs(&self, name: &str) -> Vec<String> {
        let table = self.table();
        let index = table.index_of(name).unwrap_or_else(|| panic!("{name}: {self}"));
        let needs = (0..).map_while(|nth| table.need(index, nth));
        let text = |need: ettan_core::Need<'_>| match need.on {
            ettan_core::On::Unit(other) => {
                format!("{:?} {}", need.kind, table.name(other.into()).unwrap_or("?"))
            }
            ettan_core::On::Condition(name) => format!("{:?} ?{name}", need.kind),
            ettan_core::On::Missing(name) => format!("{:?} !{name}", need.kind),
        };
        needs.map(text).collect()
    }

    pub fn argv(&self, name: &str) -> Vec<String> {
        texts(self.launch(name).argv)
    }

    pub fn environment(&self, name: &str) -> Vec<String> {
        texts(self.launch(name).envp)
    }

    pub fn errors(&self) -> Vec<&Diagnostic> {
        self.0.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect()
    }

    /// No word but of the units that are there.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.0.diagnostics.is_empty(), "{self}");
    }

    /// Some diagnostic's whole text contains `text`.
    #[track_caller]
    pub fn assert_says(&self, text: &str) {
        let said = self.0.diagnostics.iter().any(|d| d.to_string().contains(text));
        assert!(said, "expected: {text}\ngot:\n{self}");
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.diagnostics.iter().try_for_each(|diagnostic| writeln!(f, "{diagnostic}"))
    }
}

fn texts<'a>(list: impl Iterator<Item = &'a std::ffi::CStr>) -> Vec<String> {
    list.map(|text| text.to_string_lossy().into_owned()).collect()
}

/// A service that does nothing special.
pub const PLAIN: &str = "[service]\nexec-start = \"/bin/true\"\n";

/// `keys` in [service] below a harmless command.
pub fn service(keys: &str) -> String {
    format!("{PLAIN}{keys}\n")
}

/// `keys` in [unit] above a harmless service.
pub fn unit(keys: &str) -> String {
    format!("[unit]\n{keys}\n{PLAIN}")
}
