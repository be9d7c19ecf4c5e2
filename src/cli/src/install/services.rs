//! What is enabled on a root under the init that it has: services and timers that systemd's targets want, and init
//! scripts without such a unit. Each as units of ours, or why not.

use ettan_import::{Disk, Imported, Tree};
use ettan_unit::tree::resolve;
use std::collections::BTreeMap;
use std::path::Path;

/// One thing that starts at boot there.
#[derive(Debug)]
pub(super) struct Service {
    /// Its file.
    pub(super) source: String,
    /// Names and texts of what becomes of it.
    pub(super) made: Result<Vec<(String, String)>, String>,
}

/// Where systemd's units are; the first that has a name counts.
const DIRECTORIES: [&str; 3] =
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// What is started in an ordinary boot.
const TARGETS: [&str; 9] = [
    "sysinit",
    "basic",
    "multi-user",
    "graphical",
    "default",
    "network",
    "network-online",
    "sockets",
    "timers",
];

/// Timers of Debian, and what the same is called in cron's directories.
const JOBS: [(&str, &str); 3] =
    [("apt-daily", "apt-compat"), ("apt-daily-upgrade", "apt-compat"), ("dpkg-db-backup", "dpkg")];

/// What vendor units do in place of services.
const INSTEAD: [(&str, &str); 12] = [
    ("fake-hwclock", "clock"),
    ("hwclock", "clock"),
    ("networking", "ifup"),
    ("ifupdown-pre", "devices"),
    ("ifupdown-wait-online", "ifup"),
    ("kmod", "modules"),
    ("procps", "sysctl"),
    ("udev", "devices"),
    ("urandom", "seed"),
    ("hostname", "PID 1"),
    ("mountall", "mounts"),
    ("checkroot", "root"),
];

/// Of systemd's own services the one that others cannot do without.
const UDEV: &str = "systemd-udevd";

/// Services that give a machine its addresses.
const NETWORKS: [&str; 6] =
    ["NetworkManager", "dhcpcd", "connman", "wicked", "networking", "wpa_supplicant"];

impl Service {
    /// Whether it is taken over, and the network comes with it.
    pub(super) fn brings_up_the_network(&self) -> bool {
        let names = || self.made.iter().flatten().map(|(name, _)| name.as_str());
        names().any(|name| NETWORKS.contains(&name))
    }
}

/// Everything that is enabled, by name.
pub(super) fn enabled(root: &Path) -> Vec<Service> {
    let tree = Disk::new(root);
    let mut found = BTreeMap::new();
    for directory in DIRECTORIES {
        for target in TARGETS {
            for kind in ["wants", "requires"] {
                for name in tree.list(&format!("{directory}/{target}.target.{kind}")) {
                    let stem = name.strip_suffix(".service");
                    if let Some(key) = stem.or_else(|| name.ends_with(".timer").then_some(&name)) {
                        let masked = is_masked(root, &name);
                        found.entry(key.to_owned()).or_insert_with(|| match masked {
                            true => refused(&name, "it is masked"),
                            false => unit_of(&tree, &name),
                        });
                    }
                }
            }
        }
    }
    for runlevel in ["/etc/rcS.d", "/etc/rc2.d"] {
        for name in tree.list(runlevel) {
            let numbered = name
                .strip_prefix('S')
                .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
            let Some(script) = numbered.filter(|script| !script.is_empty()) else { continue };
            // A unit of this name has taken its place, and one that is masked has to: so systemd has it.
            let stem = script.strip_suffix(".sh").unwrap_or(script);
            let unit = format!("{stem}.service");
            let masked = is_masked(root, &unit);
            if masked || file_of(&tree, &unit).is_none() {
                let path = format!("/etc/init.d/{script}");
                found.entry(stem.to_owned()).or_insert_with(|| match masked {
                    true if instead(stem).is_none() => {
                        Service { source: path, made: Err("it is masked".to_owned()) }
                    }
                    _ => taken(&tree, stem, &path),
                });
            }
        }
    }
    found.into_values().collect()
}

fn file_of(tree: &dyn Tree, name: &str) -> Option<String> {
    let places = DIRECTORIES.iter().map(|directory| format!("{directory}/{name}"));
    places.into_iter().find(|path| tree.exists(path))
}

fn unit_of(tree: &dyn Tree, name: &str) -> Service {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    match file_of(tree, name) {
        // Debian's jobs of cron stand back for timers only where systemd runs.
        Some(path) if name.ends_with(".timer") && has_job(tree, stem) => {
            Service { source: path, made: Err("cron does that".to_owned()) }
        }
        Some(path) => taken(tree, stem, &path),
        None if stem.contains('@') => refused(name, "it is an instance of a template"),
        None => refused(name, "its file is missing"),
    }
}

fn refused(name: &str, why: &str) -> Service {
    Service { source: name.to_owned(), made: Err(why.to_owned()) }
}

/// Whether cron has a job of the name that a timer has, or of the one that the same package calls it.
fn has_job(tree: &dyn Tree, stem: &str) -> bool {
    let other = JOBS.iter().find(|(timer, _)| *timer == stem).map_or(stem, |(_, job)| *job);
    let folders = ["cron.d", "cron.hourly", "cron.daily", "cron.weekly", "cron.monthly"];
    folders.iter().any(|folder| tree.exists(&format!("/etc/{folder}/{other}")))
}

fn is_masked(root: &Path, name: &str) -> bool {
    let folders = DIRECTORIES.iter().filter_map(|folder| resolve(root, Path::new(folder)).ok());
    let mut files = folders.map(|folder| folder.join(name));
    let first = files.find(|file| file.symlink_metadata().is_ok());
    let target = first.and_then(|file| std::fs::read_link(file).ok());
    target.is_some_and(|target| target == Path::new("/dev/null"))
}

fn instead(stem: &str) -> Option<&'static str> {
    INSTEAD.iter().find(|(name, _)| *name == stem).map(|(_, ours)| *ours)
}

fn taken(tree: &dyn Tree, stem: &str, path: &str) -> Service {
    let source = path.to_owned();
    let made = match instead(stem) {
        Some(ours) => Err(format!("{ours} does that")),
        None if stem.starts_with("systemd-") && stem != UDEV => {
            Err("it is a part of systemd".to_owned())
        }
        None if stem.contains("getty") => Err("consoles does that".to_owned()),
        None => ettan_import::import(tree, path).and_then(units_of),
    };
    Service { source, made }
}

fn units_of(all: Vec<Imported>) -> Result<Vec<(String, String)>, String> {
    let mut units = Vec::new();
    for draft in all.into_iter().flat_map(|imported| imported.units) {
        if let Some(refusal) = draft.refusal() {
            return Err(format!("no unit can be made of it: {refusal}"));
        }
        units.push((draft.name.clone(), draft.text()));
    }
    if units.is_empty() { Err("there is nothing to start".to_owned()) } else { Ok(units) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_targets_want_is_taken_over_but_for_what_others_do() {
        let root = std::env::temp_dir().join(format!("ettan-services-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let service = "[Service]\nExecStart=/usr/sbin/x\n";
        for name in ["cron", "ssh", "systemd-timesyncd", "networking", "idle", "masked"] {
            write(&format!("lib/systemd/system/{name}.service"), service);
        }
        let timer = "[Timer]\nOnCalendar=daily\n";
        write("lib/systemd/system/backup.service", service);
        write("etc/cron.daily/dpkg", "");
        for name in ["backup", "dpkg-db-backup", "systemd-tmpfiles-clean", "lonely"] {
            let unit = format!("{name}.timer");
            write(&format!("lib/systemd/system/{unit}"), timer);
            write(&format!("etc/systemd/system/timers.target.wants/{unit}"), timer);
        }
        let wants = root.join("etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants).unwrap();
        for name in
            ["cron", "ssh", "systemd-timesyncd", "networking", "gone", "masked", "openvpn@a"]
        {
            let unit = format!("{name}.service");
            symlink(format!("/lib/systemd/system/{unit}"), wants.join(unit)).unwrap();
        }
        symlink("/dev/null", root.join("etc/systemd/system/masked.service")).unwrap();
        write("etc/rc2.d/S01cron", "");
        write("etc/rc2.d/S02old", "");
        write("etc/rc2.d/S03sudo", "");
        write("etc/rcS.d/S04hwclock.sh", "");
        for name in ["sudo", "hwclock"] {
            let unit = root.join(format!("lib/systemd/system/{name}.service"));
            symlink("/dev/null", unit).unwrap();
        }
        write("etc/rc2.d/K01off", "");
        write(
            "etc/init.d/old",
            "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: old\n### END INIT INFO\n",
        );
        let all = enabled(&root);
        let told: Vec<_> = all
            .iter()
            .map(|service| match &service.made {
                Ok(units) => format!("{} {}", service.source, units[0].0),
                Err(why) => format!("{}: {why}", service.source),
            })
            .collect();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(
            told,
            [
                "/lib/systemd/system/backup.timer backup",
                "/lib/systemd/system/cron.service cron",
                "/lib/systemd/system/dpkg-db-backup.timer: cron does that",
                "gone.service: its file is missing",
                "/etc/init.d/hwclock.sh: clock does that",
                "/lib/systemd/system/lonely.timer: there is nothing to start",
                "masked.service: it is masked",
                "/lib/systemd/system/networking.service: ifup does that",
                "/etc/init.d/old old",
                "openvpn@a.service: it is an instance of a template",
                "/lib/systemd/system/ssh.service ssh",
                "/etc/init.d/sudo: it is masked",
                "/lib/systemd/system/systemd-timesyncd.service: it is a part of systemd",
                "/lib/systemd/system/systemd-tmpfiles-clean.timer: it is a part of systemd",
            ]
        );
    }
}
