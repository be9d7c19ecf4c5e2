//! Tests of `install` and `uninstall` as they are typed, on a root that has just enough of one.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;

/// A root with systemd, and programs for it in `from`; gone when dropped.
struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Self {
        let name = format!("ettan-install-{name}-{}", std::process::id());
        let root = Self(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&root.0);
        for folder in ["etc", "sbin", "bin", "usr/bin", "from"] {
            fs::create_dir_all(root.0.join(folder)).unwrap();
        }
        let program = elf::elf(elf::X86_64).bytes();
        for path in ["bin/sh", "from/ettan-init", "from/ettan"] {
            fs::write(root.0.join(path), &program).unwrap();
        }
        symlink("/lib/systemd/systemd", root.0.join("sbin/init")).unwrap();
        root
    }

    fn done(&self, verb: fn(&Wish, &Screen) -> Result<(), String>) -> Result<(), String> {
        let from = Some(self.0.join("from"));
        let wish = Wish { root: self.0.clone(), from, dry_run: false };
        verb(&wish, &Screen::new(false))
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.0.join(format!("etc/units/{name}.toml"))
    }

    fn link(&self, path: &str) -> PathBuf {
        fs::read_link(self.0.join(path)).unwrap_or_default()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_somebody_switched_off_stays_off_when_ettan_is_installed_again() {
    let root = Root::new("again");
    fs::create_dir_all(root.0.join("etc/units")).unwrap();
    symlink("/dev/null", root.unit("clock")).unwrap();
    root.done(onto).unwrap();
    assert_eq!(root.link("etc/units/clock.toml"), Path::new("/dev/null"), "before Ettan came");
    assert_eq!(root.link("etc/units/seed.toml"), Path::new("/usr/lib/units/seed.toml"));

    fs::remove_file(root.unit("seed")).unwrap();
    fs::remove_file(root.unit("swap")).unwrap();
    symlink("/dev/null", root.unit("swap")).unwrap();
    fs::remove_file(root.0.join("usr/lib/units/root.toml")).unwrap();
    for _ in 0..2 {
        root.done(onto).unwrap();
        assert!(root.unit("seed").symlink_metadata().is_err());
        assert_eq!(root.link("etc/units/swap.toml"), Path::new("/dev/null"));
    }
    assert!(root.0.join("usr/lib/units/root.toml").is_file(), "this is a file of Ettan's own");
    root.done(off).unwrap();
    assert_eq!(root.link("etc/units/swap.toml"), Path::new("/dev/null"));
    assert_eq!(root.link("sbin/init"), Path::new("/lib/systemd/systemd"));
}

#[test]
fn an_init_of_a_package_is_not_lost_to_what_an_earlier_ettan_left() {
    let root = Root::new("stale");
    let (init, old) = (root.0.join("sbin/init"), root.0.join("sbin/init.before-ettan"));
    root.done(onto).unwrap();
    fs::remove_file(&init).unwrap();
    fs::write(&init, "of a package").unwrap();
    // It stays, and so does what was before Ettan.
    root.done(off).unwrap();
    assert_eq!(fs::read_to_string(&init).unwrap(), "of a package");
    assert_eq!(fs::read_link(&old).unwrap(), Path::new("/lib/systemd/systemd"));

    let why = root.done(onto).unwrap_err();
    assert!(why.contains("only one of the two can be: rm "), "{why}");
    assert!(!root.0.join("sbin/ettan-init").exists(), "nothing was changed");
    fs::remove_file(&old).unwrap();
    root.done(onto).unwrap();
    assert_eq!(fs::read_to_string(&old).unwrap(), "of a package");
    root.done(off).unwrap();
    assert_eq!(fs::read_to_string(&init).unwrap(), "of a package");
}

#[test]
fn without_the_old_init_ettan_stays() {
    let root = Root::new("lost");
    root.done(onto).unwrap();
    fs::remove_file(root.0.join("sbin/init.before-ettan")).unwrap();
    let why = root.done(off).unwrap_err();
    assert!(why.contains("nothing was changed"), "{why}");
    assert_eq!(root.link("sbin/init"), Path::new("ettan-init"));
    assert!(root.0.join("sbin/ettan-init").is_file() && root.unit("root").is_symlink());
}
