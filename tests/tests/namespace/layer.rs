//! A folder that a machine has above its root: vendor units, scripts of theirs, programs of a test.

use ettan_tests::binaries::workspace;
use ettan_tests::units::idle;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A folder with all vendor units and another `getty@`, removed at the end.
pub(crate) struct Layer(pub(crate) PathBuf);

impl Layer {
    pub(crate) fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ettan-{test}-{}", std::process::id()));
        let units = folder.join("usr/lib/units");
        fs::create_dir_all(&units).expect("a folder");
        for entry in fs::read_dir(workspace().join("units/system")).expect("vendor units") {
            let entry = entry.expect("a vendor unit");
            fs::copy(entry.path(), units.join(entry.file_name())).expect("a copy");
        }
        fs::write(units.join("getty@.toml"), idle()).expect("a file");
        Self(folder)
    }

    /// A script of `units/lib`, and what they have in common.
    pub(crate) fn script(&self, name: &str) {
        for name in [name, "common"] {
            let script = workspace().join("units/lib").join(name);
            let text = fs::read_to_string(script).expect("a script");
            self.program(&format!("lib/ettan/{name}"), &text);
        }
    }

    /// A program below `usr`.
    pub(crate) fn program(&self, path: &str, script: &str) {
        let program = self.0.join("usr").join(path);
        let folder = program.parent().expect("a path of a file");
        fs::create_dir_all(folder).expect("a folder");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    }

    /// A modprobe that writes down what it is asked for, and modules of this kernel.
    pub(crate) fn modprobe(&self) {
        self.program("sbin/modprobe", "shift 2; printf '%s\\n' \"$@\" >>/tmp/asked");
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
        let modules = self.0.join("usr/lib/modules").join(release.trim_end());
        fs::create_dir_all(modules).expect("a folder");
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
