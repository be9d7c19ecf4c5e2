//! The names of capabilities, as capabilities(7) and `linux/capability.h` have them.

use crate::diagnostic::Complaint;
use crate::nearest;
use crate::reference::shown;

/// In the order of their numbers.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// `CAP_` and three letters more: as many bytes say which capability is meant, or which few.
const LEAST_BEGINNING: usize = 7;

/// The number of the capability called `name`, in upper or lower case.
pub(crate) fn number(name: &str) -> Result<u32, Complaint> {
    let upper = name.to_ascii_uppercase();
    let found = (0_u32..).zip(NAMES).find(|(_, known)| *known == upper);
    found.map(|(number, _)| number).ok_or_else(|| {
        let complaint = Complaint::new(format!("no capability `{}`", shown(name)));
        let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        // Who writes the beginning has made no typing error.
        let begun = full.len() >= LEAST_BEGINNING;
        let begun: Vec<_> = NAMES.iter().filter(|name| begun && name.starts_with(&full)).collect();
        match (begun.as_slice(), nearest::nearest(&full, NAMES)) {
            ([name], _) => complaint.hint(format!("did you mean `{name}`?")),
            ([_, ..], _) => {
                let names: Vec<String> = begun.iter().map(|name| format!("`{name}`")).collect();
                complaint.hint(format!("one of {}?", names.join(", ")))
            }
            ([], Some(near)) => complaint.hint(format!("did you mean `{near}`?")),
            ([], None) => complaint.hint("a name like `CAP_NET_BIND_SERVICE`, see capabilities(7)"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_kernels() {
        assert_eq!(number("CAP_CHOWN").ok(), Some(0));
        assert_eq!(number("cap_net_bind_service").ok(), Some(10));
        assert_eq!(number("CAP_SYS_ADMIN").ok(), Some(21));
        assert_eq!(number("CAP_SETFCAP").ok(), Some(31));
        assert_eq!(number("CAP_CHECKPOINT_RESTORE").ok(), Some(40));
        let hint = |name: &str| number(name).unwrap_err().hint.unwrap_or_default();
        assert_eq!(hint("NET_BIND_SERVICE"), "did you mean `CAP_NET_BIND_SERVICE`?");
        assert_eq!(hint("CAP_NET_BIND"), "did you mean `CAP_NET_BIND_SERVICE`?");
        assert_eq!(hint("CAP_IPC"), "one of `CAP_IPC_LOCK`, `CAP_IPC_OWNER`?");
        assert_eq!(hint("CAP_SETGDI"), "did you mean `CAP_SETGID`?");
    }
}
