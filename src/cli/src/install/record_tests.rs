//! Tests of the list of what was done: a root is as it was after all is undone.

use super::*;

struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Self {
        let root =
            Self(std::env::temp_dir().join(format!("ettan-record-{name}-{}", std::process::id())));
        let _ = fs::remove_dir_all(&root.0);
        fs::create_dir_all(root.0.join("usr/sbin")).unwrap();
        fs::create_dir_all(root.0.join("var")).unwrap();
        symlink("usr/sbin", root.0.join("sbin")).unwrap();
        symlink("/lib/systemd/systemd", root.0.join("usr/sbin/init")).unwrap();
        fs::write(root.0.join("cmdline.txt"), "quiet").unwrap();
        root
    }

    fn read(&self) -> Record {
        Record::read(&self.0).unwrap()
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn all(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let link = fs::read_link(&path).unwrap_or_default();
        let text = fs::read_to_string(&path).unwrap_or_default();
        found.push(format!("{} {} {text}", path.display(), link.display()));
        if entry.file_type().unwrap().is_dir() {
            found.extend(all(&path));
        }
    }
    found.sort();
    found
}

/// Twice, as somebody does who is not sure.
fn done(root: &Root) {
    for _ in 0..2 {
        let mut record = root.read();
        record.put("/etc/units/web.toml", b"[service]", 0o644).unwrap();
        record.put("/cmdline.txt", b"panic=10", 0o644).unwrap();
        record.link("/sbin/init", "ettan-init").unwrap();
        assert_eq!(record.kept("/sbin/init").unwrap(), "init.before-ettan");
    }
}

#[test]
fn a_root_is_afterwards_as_it_was_before() {
    let root = Root::new("back");
    let before = all(&root.0);
    done(&root);
    assert_eq!(fs::read_link(root.0.join("usr/sbin/init")).unwrap(), Path::new("ettan-init"));
    assert_eq!(
        (root.text("cmdline.txt"), root.text("cmdline.txt.before-ettan")),
        ("panic=10".into(), "quiet".into())
    );
    let said = root.read().undo().unwrap();
    assert_eq!(said, ["/sbin/init: as it was before", "/cmdline.txt: as it was before"]);
    assert_eq!(all(&root.0), before);
    assert!(root.read().is_new());
}

#[test]
fn a_step_that_was_written_down_and_not_done_is_undone() {
    let root = Root::new("cut");
    let before = all(&root.0);
    // The power goes before the new file has its name.
    root.read().begin("/sbin/init", What::Link("ettan-init".into())).unwrap();
    root.read().begin("/etc/units/web.toml", What::File(0)).unwrap();
    assert!(root.0.join("usr/sbin/init.before-ettan").symlink_metadata().is_ok());
    assert_eq!(root.read().undo().unwrap(), [""; 0]);
    assert_eq!(all(&root.0), before);
}

#[test]
fn what_was_changed_since_stays() {
    let root = Root::new("changed");
    done(&root);
    fs::write(root.0.join("etc/units/web.toml"), "mine").unwrap();
    fs::write(root.0.join("cmdline.txt"), "mine").unwrap();
    fs::remove_file(root.0.join("usr/sbin/init")).unwrap();
    assert!(!root.read().may_change("/etc/units/web.toml"));
    let said = root.read().undo().unwrap();
    assert_eq!(
        said,
        [
            "/sbin/init: as it was before",
            "/cmdline.txt: was changed since, and stays; what was before it is cmdline.txt.before-ettan",
            "/etc/units/web.toml: was changed since, and stays",
        ]
    );
    assert_eq!(
        (root.text("etc/units/web.toml"), root.text("cmdline.txt")),
        ("mine".into(), "mine".into())
    );
}

#[test]
fn a_list_that_is_none_is_not_believed() {
    let root = Root::new("damaged");
    done(&root);
    for text in ["file zz /x\n", "link a\n", "file 00 x\n", "what - /x\n"] {
        fs::write(root.0.join("var/lib/ettan/installed"), text).unwrap();
        let why = Record::read(&root.0).unwrap_err();
        assert!(why.ends_with("/installed: is damaged"), "{why}");
    }
}

/// What `install` does again on a root that is `changed` since; the list is read anew.
fn again(root: &Root) -> Result<(), String> {
    root.read().link("/sbin/init", "ettan-init")
}

#[test]
fn an_init_that_was_changed_since_is_not_lost_to_an_older_one() {
    for is_listed in [true, false] {
        let root = Root::new("stale");
        done(&root);
        if !is_listed {
            // Left from a time of which no list is there any more.
            fs::remove_file(root.0.join("var/lib/ettan/installed")).unwrap();
        }
        fs::remove_file(root.0.join("sbin/init")).unwrap();
        fs::write(root.0.join("sbin/init"), "of a package").unwrap();
        let before = all(&root.0);
        let why = again(&root).unwrap_err();
        let (init, old) = (root.0.join("usr/sbin/init"), root.0.join("usr/sbin/init.before-ettan"));
        let hint = format!("mv {} {} the old one; then try again", old.display(), init.display());
        assert!(why.contains("was changed by somebody else") && why.ends_with(&hint), "{why}");
        assert_eq!(all(&root.0), before, "nothing was changed");

        fs::remove_file(&old).unwrap();
        again(&root).unwrap();
        assert_eq!(root.text("sbin/init.before-ettan"), "of a package");
        assert_eq!(fs::read_link(&init).unwrap(), Path::new("ettan-init"));
    }
}

#[test]
fn an_init_that_was_put_back_as_it_was_is_kept_already() {
    let root = Root::new("back-again");
    done(&root);
    fs::remove_file(root.0.join("sbin/init")).unwrap();
    symlink("/lib/systemd/systemd", root.0.join("sbin/init")).unwrap();
    again(&root).unwrap();
    assert_eq!(root.read().kept("/sbin/init").unwrap(), "init.before-ettan");
}

#[test]
fn what_is_kept_of_nobody_knows_what_is_not_taken_for_the_old_one() {
    let root = Root::new("no-init");
    fs::rename(root.0.join("sbin/init"), root.0.join("sbin/init.before-ettan")).unwrap();
    let why = again(&root).unwrap_err();
    assert!(why.contains("init.before-ettan: is left from an earlier time, and "), "{why}");
}

#[test]
fn without_the_old_init_nothing_is_undone() {
    let root = Root::new("lost");
    done(&root);
    fs::remove_file(root.0.join("sbin/init.before-ettan")).unwrap();
    let before = all(&root.0);
    let why = root.read().undo().unwrap_err();
    assert!(why.contains("init.before-ettan: is missing, and was to become "), "{why}");
    assert_eq!(all(&root.0), before);
    symlink("/lib/systemd/systemd", root.0.join("sbin/init.before-ettan")).unwrap();
    root.read().undo().unwrap();
    let init = fs::read_link(root.0.join("sbin/init")).unwrap();
    assert_eq!(init, Path::new("/lib/systemd/systemd"));
}

#[test]
fn a_root_without_an_init_has_none_afterwards() {
    let root = Root::new("none");
    fs::remove_file(root.0.join("sbin/init")).unwrap();
    let before = all(&root.0);
    again(&root).unwrap();
    root.read().undo().unwrap();
    assert_eq!(all(&root.0), before);
}

#[test]
fn what_somebody_took_away_is_known_from_what_was_not_done_yet() {
    let root = Root::new("removed");
    let mut record = root.read();
    for name in ["swap", "clock"] {
        record.link(&format!("/etc/units/{name}.toml"), "/x").unwrap();
        fs::remove_file(root.0.join(format!("etc/units/{name}.toml"))).unwrap();
    }
    let record = root.read();
    assert!(record.was_removed("/etc/units/swap.toml"));
    assert!(!record.was_removed("/etc/units/clock.toml"), "the power may have gone");
    assert!(!record.was_removed("/etc/units/seed.toml"), "it is new");
}

#[test]
fn what_half_an_undoing_took_away_may_come_back() {
    let root = Root::new("half");
    done(&root);
    let mut record = root.read();
    record.put("/one.toml", b"1", 0o644).unwrap();
    record.put("/two.toml", b"2", 0o644).unwrap();
    // A folder that leads nowhere ends it in the middle.
    let (units, aside) = (root.0.join("etc/units"), root.0.join("etc/aside"));
    fs::rename(&units, &aside).unwrap();
    symlink("units", &units).unwrap();
    root.read().undo().unwrap_err();
    fs::remove_file(&units).unwrap();
    fs::rename(aside, units).unwrap();
    assert!(["one.toml", "two.toml"].iter().all(|name| !root.0.join(name).exists()));
    let left = root.read();
    assert!(["/one.toml", "/two.toml"].iter().all(|path| !left.was_removed(path)));
    left.undo().unwrap();
    assert!(!root.0.join("etc").exists() && root.text("cmdline.txt") == "quiet");
}
