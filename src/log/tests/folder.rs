//! Stories of a folder that belongs to the unit's user, who puts there what root must not touch.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use harness::{Folder, World, be_a_logger, expect_file, files, lines, output, say, story};
use rustix::fs::{CWD, FileType, Mode, mknodat};

const ROLE: &str = "logger_process";

/// Not a test: what the processes that tests start do.
#[test]
fn logger_process() {
    be_a_logger();
}

const SECRET: &str = "root:x:0:0\nno line end";

/// A folder full of links to the secret.
fn trap(folder: &Path, names: &[&str], secret: &Path) {
    fs::create_dir_all(folder).unwrap();
    for name in names {
        symlink(secret, folder.join(name)).unwrap();
    }
}

fn kept(folder: &Path) -> String {
    let texts: Vec<_> = files(folder).iter().map(|file| fs::read(file).unwrap()).collect();
    String::from_utf8(output(&lines(&texts.concat()))).unwrap()
}

#[test]
fn links_in_a_log_s_folder_are_not_followed() {
    story(|| {
        let (folder, disk) = (Folder::new(), Folder::new());
        let secret = disk.path().join("passwd");
        fs::write(&secret, SECRET).unwrap();
        let place = disk.path().join("web");
        trap(&folder.path().join("web"), &["current", ".line", ".disk"], &secret);
        trap(&folder.path().join("web.errors"), &["current", ".disk"], &secret);
        trap(&place, &["current", ".spent"], &secret);
        let mut world = World::process_over(folder, &[], ROLE);
        let words = format!(
            "4096 4 storage=disk dir={} budget=100000 route=errors match=*error",
            place.display()
        );
        let web = world.open_with("web", &words);
        say(&web, "an er");
        world.expect("web", |log| log.ends_with(b"an er"));
        say(&web, "ror\n");
        world.end();
        assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);
        for log in [world.folder.path().join("web"), world.folder.path().join("web.errors"), place]
        {
            assert_eq!(kept(&log), "an error\n", "{}", log.display());
        }
    });
}

#[test]
fn a_file_with_a_second_name_is_not_written() {
    story(|| {
        let folder = Folder::new();
        let secret = folder.path().join("passwd");
        fs::write(&secret, SECRET).unwrap();
        fs::create_dir(folder.path().join("web")).unwrap();
        // Others than root can put names there.
        let all = fs::Permissions::from_mode(0o777);
        fs::set_permissions(folder.path().join("web"), all).unwrap();
        for name in ["current", ".line", ".disk"] {
            fs::hard_link(&secret, folder.path().join("web").join(name)).unwrap();
        }
        let disk = Folder::new();
        let mut world = World::process_over(folder, &[], ROLE);
        let words = format!("4096 4 storage=disk dir={} route=all", disk.path().display());
        let web = world.open_with("web", &words);
        say(&web, "half");
        world.expect("web", |log| log.ends_with(b"half"));
        world.end();
        assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);
        assert_eq!(kept(disk.path()), "half\n");
    });
}

#[test]
fn a_pipe_among_the_old_files_holds_up_nobody_and_is_told() {
    story(|| {
        let (folder, disk) = (Folder::new(), Folder::new());
        let pipe = folder.path().join("web/@0000000001");
        fs::create_dir(folder.path().join("web")).unwrap();
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let place = disk.path().join("web");
        let mut world = World::process_over(folder, &[], ROLE);
        let web = world.open_with("web", &format!("4096 4 storage=disk dir={}", place.display()));
        let other = world.open_with(
            "other",
            &format!("4096 4 storage=disk dir={}", disk.path().join("other").display()),
        );
        say(&web, "one\n");
        say(&other, "two\n");
        world.send("flush");
        expect_file(&disk.path().join("other/current"), |log| log.ends_with(b"two\n"));
        expect_file(&world.folder.path().join("web/.disk"), |note| {
            String::from_utf8_lossy(note).contains("@0000000001 is a link or no file: not opened")
        });
        fs::remove_file(&pipe).unwrap();
        world.end();
        assert_eq!(kept(&place), "one\n");
    });
}
