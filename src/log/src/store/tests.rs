//! Stories of one log's files.

use super::*;
use std::fs;

const LIMITS: Limits = Limits { max_size_bytes: 100, max_files: 3, ..Limits::USUAL };

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let own = format!("ettan-store-{}-{name}", std::process::id());
        Folder(std::env::temp_dir().join(own))
    }

    fn store(&self) -> Store {
        Store::new(self.0.join("web"))
    }

    /// All files and what is in them, the oldest first.
    fn shows(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = fs::read_dir(self.0.join("web"))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect();
        all.sort();
        all
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn shown(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn write_three(folder: &Folder) -> Store {
    let mut store = folder.store();
    store.prepare(LIMITS, 1).unwrap();
    for text in ["one\n", "two\n"] {
        store.append(text.as_bytes()).unwrap();
        store.rotate(LIMITS, 1).unwrap();
    }
    store.append(b"three\n").unwrap();
    store
}

#[test]
fn archives_count_up_and_the_oldest_go() {
    let folder = Folder::new("count");
    let mut store = write_three(&folder);
    store.rotate(LIMITS, 1).unwrap();
    let expected = [("@0000000002", "two\n"), ("@0000000003", "three\n"), ("current", "")];
    assert_eq!(folder.shows(), shown(&expected));
}

#[test]
fn f6_7_a_rotation_cut_short_is_gone_on_with() {
    let cuts: [fn(&Path); 2] = [
        |web| fs::remove_file(web.join("@0000000001")).unwrap(),
        |web| {
            fs::remove_file(web.join("@0000000001")).unwrap();
            fs::rename(web.join("current"), web.join("@0000000003")).unwrap();
        },
    ];
    for (number, cut) in cuts.into_iter().enumerate() {
        let folder = Folder::new(&format!("cut{number}"));
        drop(write_three(&folder));
        cut(&folder.0.join("web"));
        let mut store = folder.store();
        store.prepare(LIMITS, 2).unwrap();
        store.append(b"four\n").unwrap();
        let texts: String = folder.shows().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, "two\nthree\nfour\n");
        store.rotate(LIMITS, 2).unwrap();
        assert_eq!(folder.shows().len(), 3);
    }
}

#[test]
fn fewer_files_from_now_on() {
    let folder = Folder::new("fewer");
    drop(write_three(&folder));
    let limits = Limits { max_files: 2, ..LIMITS };
    let mut store = folder.store();
    store.prepare(limits, 2).unwrap();
    assert_eq!(folder.shows(), shown(&[("@0000000002", "two\n"), ("current", "three\n")]));
}

#[test]
fn f6_8_current_taken_away_is_made_anew() {
    let folder = Folder::new("taken");
    let mut store = folder.store();
    store.prepare(LIMITS, 1).unwrap();
    store.append(b"one\n").unwrap();
    fs::remove_dir_all(folder.0.join("web")).unwrap();
    assert!(!store.prepare(LIMITS, 1).unwrap());
    assert!(store.prepare(LIMITS, 2).unwrap());
    store.append(b"two\n").unwrap();
    assert_eq!(folder.shows(), shown(&[("current", "two\n")]));
    fs::rename(folder.0.join("web/current"), folder.0.join("web/mine")).unwrap();
    store.rotate(LIMITS, 2).unwrap();
    store.append(b"three\n").unwrap();
    assert_eq!(folder.shows(), shown(&[("current", "three\n"), ("mine", "two\n")]));
}

#[test]
fn something_else_in_the_place_of_current_gives_way() {
    let folder = Folder::new("link");
    fs::create_dir_all(folder.0.join("web")).unwrap();
    fs::write(folder.0.join("secret"), "unharmed").unwrap();
    std::os::unix::fs::symlink("../secret", folder.0.join("web/current")).unwrap();
    let mut store = folder.store();
    store.prepare(LIMITS, 1).unwrap();
    store.append(b"one\n").unwrap();
    assert_eq!(fs::read_to_string(folder.0.join("secret")).unwrap(), "unharmed");
    assert_eq!(folder.shows(), shown(&[("current", "one\n")]));
}

#[test]
fn a_pipe_or_a_second_name_gives_way_and_nobody_waits() {
    let folder = Folder::new("pipe");
    let current = folder.0.join("web/current");
    fs::create_dir_all(folder.0.join("web")).unwrap();
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &current, pipe, rustix::fs::Mode::RWXU, 0).unwrap();
    let mut store = folder.store();
    store.prepare(LIMITS, 1).unwrap();
    store.append(b"one\n").unwrap();
    fs::write(folder.0.join("secret"), "unharmed").unwrap();
    fs::remove_file(&current).unwrap();
    let web = current.parent().unwrap();
    fs::set_permissions(web, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    fs::hard_link(folder.0.join("secret"), &current).unwrap();
    store.prepare(LIMITS, 2).unwrap();
    store.append(b"two\n").unwrap();
    assert_eq!(fs::read_to_string(folder.0.join("secret")).unwrap(), "unharmed");
    assert_eq!(folder.shows(), shown(&[("current", "two\n")]));
}

#[test]
fn a_folder_that_is_a_link_is_not_followed() {
    let folder = Folder::new("folder-link");
    fs::create_dir_all(folder.0.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.0.join("web")).unwrap();
    folder.store().prepare(LIMITS, 1).unwrap_err();
    assert!(fs::read_dir(folder.0.join("elsewhere")).unwrap().next().is_none());
    // Nor when it becomes one later, where it is in a folder of somebody else's.
    fs::remove_file(folder.0.join("web")).unwrap();
    let mut store = folder.store();
    store.prepare(LIMITS, 1).unwrap();
    fs::rename(folder.0.join("web"), folder.0.join("mine")).unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.0.join("web")).unwrap();
    for name in ["current", "@0000000001"] {
        fs::write(folder.0.join("elsewhere").join(name), "unharmed").unwrap();
    }
    store.rotate(LIMITS, 2).unwrap_err();
    store.remove("current").unwrap_err();
    assert_eq!(fs::read_dir(folder.0.join("elsewhere")).unwrap().count(), 2);
}

#[test]
fn a_file_of_holes_is_not_read_through() {
    let folder = Folder::new("holes");
    fs::create_dir_all(folder.0.join("web")).unwrap();
    let file = fs::File::create(folder.0.join("web/@0000000001")).unwrap();
    file.set_len(1 << 42).unwrap();
    let mut store = folder.store();
    store.count_gone();
    assert!(store.remove_oldest(0));
    assert_eq!(store.gone(), Amount::default());
    // Nor for the end of its last line: nothing of it is taken for a write that was torn.
    let file = fs::File::create(folder.0.join("web/current")).unwrap();
    file.set_len(1 << 42).unwrap();
    store.prepare(LIMITS, 1).unwrap();
    assert_eq!((store.mend().unwrap(), store.size()), (0, (1 << 42) + 1));
    assert!(!store.mid_line());
}

#[test]
fn an_unfinished_line_is_noticed() {
    let folder = Folder::new("unfinished");
    let mut store = folder.store();
    store.prepare(LIMITS, 1).unwrap();
    assert!(!store.mid_line());
    store.append(b"one\ntw").unwrap();
    assert!(store.mid_line());
    let mut next = folder.store();
    next.prepare(LIMITS, 1).unwrap();
    assert!(next.mid_line());
    assert_eq!(next.size(), 6);
}
