//! Stories of what units wait for apart from the network: paths, devices, the clock.

mod world;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use world::{World, in_a_network, in_a_network_under, mount, sources, wake_ups};

/// A folder in which paths come and go.
fn folder(world: &World) -> PathBuf {
    let folder = world.folder.join("card");
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_path_comes_and_goes_and_only_while_somebody_waits_for_it() {
    in_a_network("a_path_comes_and_goes_and_only_while_somebody_waits_for_it", || {
        let mut world = World::new();
        let folder = folder(&world);
        let data = format!("path:{}/data", folder.display());
        let (there, gone) = (format!("+{data}"), format!("-{data}"));
        world.listen();
        world.watch();
        world.expect(&["-network"]);
        fs::create_dir(folder.join("data")).unwrap();
        assert!(world.is_quiet(), "nobody waits for it");
        world.want(&[&data]);
        world.expect(&[&there]);
        fs::remove_dir(folder.join("data")).unwrap();
        world.expect(&[&gone]);
        symlink("real", folder.join("data")).unwrap();
        fs::write(folder.join("real"), "").unwrap();
        world.expect(&[&there]);
        world.want(&[]);
        // Nobody looks at it any more: it is not said to hold for ever.
        world.expect(&[&gone]);
        assert!(world.is_quiet());
        let before = wake_ups();
        fs::remove_file(folder.join("real")).unwrap();
        assert!(world.is_quiet());
        assert_eq!(wake_ups(), before, "it woke up without a reason");
    });
}

#[test]
fn what_is_mounted_over_a_path_counts() {
    in_a_network("what_is_mounted_over_a_path_counts", || {
        let mut world = World::new();
        let folder = folder(&world);
        let path = folder.display();
        let (data, full) = (format!("path:{path}/disk/data"), format!("path:{path}/full/data"));
        fs::create_dir(folder.join("disk")).unwrap();
        fs::create_dir_all(folder.join("full/data")).unwrap();
        world.listen();
        world.watch();
        world.want(&[&data, &full]);
        world.expect(&[&format!("+{full}")]);
        // Another file system, and something is made on it.
        mount(&format!("-t tmpfs none {path}/disk"));
        fs::create_dir(folder.join("disk/data")).unwrap();
        world.expect(&[&format!("+{data}")]);
        // One that has it already: nothing is made, only mounted.
        mount(&format!("-t tmpfs none {path}/full"));
        world.expect(&[&format!("-{full}")]);
        mount(&format!("--bind {path}/disk {path}/full"));
        world.expect(&[&format!("+{full}"), &format!("+{data}")]);
        mount(&format!("--make-private {path}/disk"));
        assert!(world.is_quiet());
    });
}

/// Sources come with a wish: mounts with a path, hot-plugging with a device.
#[test]
fn f3_3_a_source_that_could_not_be_waited_for_is_waited_for_all_the_same() {
    const TEST: &str = "f3_3_a_source_that_could_not_be_waited_for_is_waited_for_all_the_same";
    // The network, PID 1's door, files and PID 1's word come first.
    for nth in 5..=7 {
        let fail = format!("inject=epoll_ctl:error=ENOMEM:when={nth}");
        let strace =
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=epoll_ctl", "-e", &fail];
        let tell = || {
            let mut world = World::new();
            let folder = folder(&world);
            let path = folder.display();
            let data = format!("path:{path}/disk/data");
            fs::create_dir_all(folder.join("disk/data")).unwrap();
            world.listen();
            world.watch();
            world.expect(&["-network"]);
            world.want(&[&data, "device:tty:ttyUSB77"]);
            world.expect(&[&format!("+{data}")]);
            assert_eq!(sources(), 6, "not all is heard of");
            mount(&format!("-t tmpfs none {path}/disk"));
            world.expect(&[&format!("-{data}")]);
        };
        if !in_a_network_under(&strace, TEST, tell) {
            return;
        }
    }
}

#[test]
fn a_device_is_there_or_not() {
    in_a_network("a_device_is_there_or_not", || {
        let mut world = World::new();
        world.listen();
        world.watch();
        world.want(&["device:tty:ptmx", "device:tty:ttyUSB77", "device:usb:1781:0c31", "device:x"]);
        world.expect(&["+device:tty:ptmx"]);
        // What does not hold is not told to who knows nothing else.
        assert!(world.is_quiet());
        let held = world.facts.iter().filter(|(_, holds)| **holds).count();
        assert_eq!(held, 1, "{:?}", world.facts);
    });
}

#[test]
fn the_clock_is_what_the_kernel_says() {
    in_a_network("the_clock_is_what_the_kernel_says", || {
        let mut world = World::new();
        world.listen();
        world.watch();
        world.expect(&["-network"]);
        // Somebody said so by hand, and not to the kernel perhaps.
        world.facts.insert("clock".to_owned(), true);
        world.want(&["clock"]);
        match ettan_sys::clock::is_synchronised() {
            Some(true) => assert!(world.is_quiet()),
            Some(false) | None => world.expect(&["-clock"]),
        }
    });
}

#[test]
fn a_new_pid_1_is_asked_what_it_waits_for() {
    in_a_network("a_new_pid_1_is_asked_what_it_waits_for", || {
        let mut world = World::new();
        let folder = folder(&world);
        let data = format!("path:{}/data", folder.display());
        fs::create_dir(folder.join("data")).unwrap();
        world.watch();
        world.want(&[&data]);
        world.listen();
        world.expect(&[&format!("+{data}"), "-network"]);
        world.facts.clear();
        world.want(&[]);
        world.listen();
        world.expect(&["-network"]);
        assert!(!world.facts.contains_key(&data), "{:?}", world.facts);
    });
}
