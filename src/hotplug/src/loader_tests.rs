//! Tests of `loader`: a modprobe that writes down what it is asked for.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One at a time, for each takes the ends of all children.
static ALONE: Mutex<()> = Mutex::new(());

/// A machine with devices, and a modprobe that hangs over what says so until it is killed.
struct World {
    top: PathBuf,
    loader: Loader,
    _alone: MutexGuard<'static, ()>,
}

const MODPROBE: &str = r#"#!/bin/sh
[ "$1 $2" = "-abq --" ] || exit 1
shift 2
echo "$*" >>"${0%/*}/asked"
case $* in *hangs*) exec sleep 100000 ;; esac
"#;

impl World {
    fn new(test: &str) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let top = std::env::temp_dir().join(format!("ettan-{test}-{}", std::process::id()));
        fs::create_dir_all(top.join("proc/sys/kernel")).unwrap();
        fs::write(top.join("proc/sys/kernel/osrelease"), "6\n").unwrap();
        fs::create_dir_all(top.join("modules/6")).unwrap();
        fs::write(top.join("asked"), "").unwrap();
        let place = Place {
            sys: top.join("sys"),
            proc: top.join("proc"),
            modprobe: vec![top.join("modprobe")],
            modules: top.join("modules"),
            ..Place::usual()
        };
        let world = World { top, loader: Loader::new(place), _alone: alone };
        world.install();
        world
    }

    fn install(&self) {
        // Under another name first: a file that is open for writing cannot be executed.
        let file = self.top.join("new");
        fs::write(&file, MODPROBE).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(file, self.top.join("modprobe")).unwrap();
    }

    fn plug(&self, device: &str, alias: &str) {
        let folder = self.top.join("sys/bus/usb/devices").join(device);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("modalias"), format!("{alias}\n")).unwrap();
    }

    /// One child's end is taken note of.
    fn reap(&mut self) {
        loop {
            if let Some(child) = ettan_sys::reap::reap().unwrap() {
                return self.loader.ended(child.pid);
            }
            std::thread::yield_now();
        }
    }

    fn settle(&mut self) {
        self.loader.go_on(0);
        while !self.loader.is_idle() {
            self.reap();
            self.loader.go_on(0);
        }
    }

    /// What modprobe was asked for, sorted.
    fn asked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.top.join("asked")).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Until it was asked for this: it may have just been executed.
    fn until_asked(&self, line: &str) {
        while !self.asked().iter().any(|asked| asked == line) {
            std::thread::yield_now();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for run in std::mem::take(&mut self.loader.running) {
            let _ = process::kill_group(run.pid, signals::KILL);
            let _ = ettan_sys::reap::wait_for(run.pid);
        }
        let _ = fs::remove_dir_all(&self.top);
    }
}

#[test]
fn what_is_there_is_loaded_at_once_and_what_comes_by_itself() {
    let mut world = World::new("cold");
    world.plug("1-1:1.0", "usb:v0403p6001");
    world.plug("1-2:1.0", "usb:v1781p0c31");
    // The same once more, as a hub has ports.
    world.plug("1-3:1.0", "usb:v1781p0c31");
    world.plug("1-4:1.0", "");
    world.loader.look();
    world.settle();
    assert_eq!(world.asked(), ["usb:v0403p6001 usb:v1781p0c31"]);
    for notice in [
        &b"add@/devices/x\0ACTION=add\0MODALIAS=usb:v046Dp0825\0"[..],
        b"add@/devices/y\0ACTION=add\0SUBSYSTEM=tty\0",
        b"remove@/devices/x\0ACTION=remove\0MODALIAS=usb:gone\0",
        b"add@/devices/x\0ACTION=add\0MODALIAS=-r:x\0",
        b"add@/devices/x\0ACTION=add\0MODALIAS=ext4\0",
    ] {
        world.loader.want(ettan_sys::uevent::added(notice));
    }
    world.settle();
    assert_eq!(world.asked(), ["usb:v0403p6001 usb:v1781p0c31", "usb:v046Dp0825"]);
    // Again is again: somebody may have removed the module.
    world.loader.want(Some(b"usb:v046Dp0825"));
    world.settle();
    assert_eq!(world.asked().len(), 3);
}

#[test]
fn one_that_hangs_holds_up_nobody_and_is_killed() {
    let mut world = World::new("hangs");
    world.plug("1-1:1.0", "usb:good");
    world.plug("1-2:1.0", "usb:hangs");
    world.loader.look();
    world.loader.go_on(0);
    world.until_asked("usb:good usb:hangs");
    world.loader.want(Some(b"usb:next"));
    world.loader.go_on(1_000);
    world.reap();
    assert_eq!(world.asked(), ["usb:good usb:hangs", "usb:next"]);
    assert_eq!(world.loader.timeout_ms(1_000), Some(PATIENCE_MS - 1_000));
    assert!(!world.loader.is_idle());
    world.loader.go_on(PATIENCE_MS - 1);
    assert!(world.loader.alone.is_empty(), "not before");
    // Then each gets its own.
    world.loader.go_on(PATIENCE_MS);
    world.until_asked("usb:good");
    world.until_asked("usb:hangs");
    world.reap();
    world.reap();
    assert_eq!(world.loader.running.len(), 1, "the other one is gone, and the good one done");
    // What hangs alone is given up.
    world.loader.go_on(3 * PATIENCE_MS);
    world.reap();
    assert!(world.loader.is_idle());
    assert_eq!(world.loader.timeout_ms(3 * PATIENCE_MS), None);
}

#[test]
fn no_more_than_a_few_run_at_once() {
    let mut world = World::new("few");
    for number in 0..AT_ONCE + 2 {
        world.loader.want(Some(format!("usb:hangs{number}").as_bytes()));
        world.loader.go_on(0);
    }
    assert_eq!(world.loader.running.len(), AT_ONCE);
    assert_eq!(world.loader.wanted.len(), 2);
}

#[test]
fn what_there_is_no_room_for_is_looked_for_again() {
    let mut world = World::new("full");
    world.plug("1-1:1.0", "usb:last");
    for number in 0..=MAX_WANTED {
        world.loader.want(Some(format!("usb:{number:04}").as_bytes()));
    }
    assert!(world.loader.look_again && world.loader.wanted.len() == MAX_WANTED);
    world.settle();
    let asked = world.asked();
    assert_eq!(asked.len(), MAX_WANTED / BATCH + 1);
    assert_eq!(asked.last().unwrap(), "usb:last");
}

#[test]
fn without_a_modprobe_nothing_waits_until_there_is_one() {
    let mut world = World::new("without");
    world.plug("1-1:1.0", "usb:v0403p6001");
    fs::remove_file(world.top.join("modprobe")).unwrap();
    world.loader.look();
    world.loader.go_on(0);
    assert!(world.loader.is_idle());
    assert_eq!(world.loader.trouble.as_deref(), Some("there is no modprobe"));
    world.install();
    world.loader.want(Some(b"usb:v1781p0c31"));
    world.settle();
    assert_eq!(world.asked(), ["usb:v0403p6001 usb:v1781p0c31"]);
    assert_eq!(world.loader.trouble, None);
}
