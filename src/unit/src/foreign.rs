//! Words of other supervisors for which there is another one here, where a guess by the letters would be wrong.

/// A key of somebody else's, what it is called here, and the table of that.
const KEYS: &[(&str, &str, &str)] = &[
    ("command", "exec-start", "service"),
    ("exec", "exec-start", "service"),
    ("cmd", "exec-start", "service"),
    ("program", "exec-start", "service"),
    ("pre-start", "exec-start-pre", "service"),
    ("stop", "exec-stop", "service"),
    ("depends", "requires", "unit"),
    ("depends-on", "requires", "unit"),
    ("need", "requires", "unit"),
    ("requisite", "requires", "unit"),
    ("autorestart", "restart", "service"),
    ("respawn", "restart", "service"),
    ("startsecs", "min-uptime-sec", "service"),
    ("startretries", "start-limit-burst", "service"),
    ("respawn-max", "start-limit-burst", "service"),
    ("start-limit-interval", "start-limit-interval-sec", "service"),
    ("exitcodes", "success-exit-status", "service"),
    ("stopsignal", "kill-signal", "service"),
    ("stopwaitsecs", "timeout-stop-sec", "service"),
    ("stopasgroup", "kill-mode", "service"),
    ("killasgroup", "kill-mode", "service"),
    ("timeout", "timeout-start-sec", "service"),
    ("timeout-sec", "timeout-start-sec", "service"),
    ("numprocs", "instances", "service"),
    ("process-name", "instance-name", "service"),
    ("directory", "working-directory", "service"),
    ("cwd", "working-directory", "service"),
    ("chdir", "working-directory", "service"),
    ("chroot", "root-directory", "service"),
    ("env", "environment", "service"),
    ("uid", "user", "service"),
    ("gid", "group", "service"),
    ("groups", "supplementary-groups", "service"),
    ("redirect-stderr", "standard-error", "service"),
    ("stdout", "standard-output", "service"),
    ("stderr", "standard-error", "service"),
    ("stdin", "standard-input", "service"),
    ("cpu-shares", "cpu-weight", "service"),
    ("memory-limit", "memory-max", "service"),
    ("stdout-logfile", "directory", "log"),
    ("stdout-logfile-maxbytes", "max-size", "log"),
    ("stdout-logfile-backups", "max-files", "log"),
    ("on-calendar", "at", "timer"),
    ("on-unit-active-sec", "every", "timer"),
    ("on-active-sec", "on-boot-sec", "timer"),
    ("on-startup-sec", "on-boot-sec", "timer"),
    ("schedule", "at", "timer"),
];

/// What always holds here, or is said in another way than by a key.
const NO_KEYS: &[(&str, &str)] = &[
    ("autostart", BOOT),
    ("wanted-by", BOOT),
    ("required-by", BOOT),
    ("enabled", BOOT),
    ("shell", "no shell is run: exec-start = [\"/bin/sh\", \"-c\", \"…\"] asks for one"),
];

const BOOT: &str = "a unit in /etc/units starts at boot; `ettan enable` links it there";

/// What to write for `name`, which stands in table `section`.
pub(crate) fn hint(section: &str, name: &str) -> Option<String> {
    if let Some((_, hint)) = NO_KEYS.iter().find(|(foreign, _)| *foreign == name) {
        return Some((*hint).to_string());
    }
    let (_, ours, table) = KEYS.iter().find(|(foreign, ..)| *foreign == name)?;
    Some(match *table == section {
        true => format!("did you mean `{ours}`?"),
        false => format!("did you mean `{ours}` in [{table}]?"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_leads_to_a_key_that_is_there() {
        for (at, (foreign, ours, table)) in KEYS.iter().enumerate() {
            let is_key = |section, name| {
                crate::KEYS.iter().any(|key| (key.section, key.name) == (section, name))
            };
            assert!(is_key(*table, *ours), "{ours}");
            assert!(!is_key(*table, *foreign), "{foreign}");
            assert!(KEYS.iter().skip(at + 1).all(|(again, ..)| again != foreign), "{foreign}");
        }
    }
}
