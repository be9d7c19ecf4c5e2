//! The processes that come from this one, and the sockets that they listen on, by /proc.

use ettan_sys::procfs;
use std::collections::BTreeMap;
use std::fs;

/// All that live, whoever their parent is now.
pub(super) fn members() -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parents: BTreeMap<i32, i32> = pids
        .filter_map(|pid| Some((pid, procfs::stat(pid)?)))
        .filter(|(_, stat)| !stat.is_zombie())
        .map(|(pid, stat)| (pid, stat.ppid))
        .collect();
    let comes_from_us = |pid: i32| {
        let mut at = pid;
        // No line of parents is longer than all there are.
        for _ in 0..parents.len() {
            match parents.get(&at) {
                Some(parent) if *parent == own => return true,
                Some(parent) => at = *parent,
                None => return false,
            }
        }
        false
    };
    parents.keys().copied().filter(|pid| comes_from_us(*pid)).collect()
}

/// Addresses as `0.0.0.0:80` and `[::]:80`, paths as `unix:/run/x`; sorted.
pub(super) fn listens(family: &[i32]) -> Vec<String> {
    let mut found = Vec::new();
    for pid in family {
        let table = |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}"));
        let tcp = ["tcp", "tcp6"].map(|name| table(name).unwrap_or_default());
        let listeners = tcp.iter().flat_map(|text| text.lines().filter_map(tcp_listener));
        let unix = table("unix").unwrap_or_default();
        let listeners = listeners.chain(unix.lines().filter_map(unix_listener));
        let own = sockets(*pid);
        found.extend(listeners.filter(|(inode, _)| own.contains(inode)).map(|(_, at)| at));
    }
    found.sort();
    found.dedup();
    found
}

/// The inodes of its sockets.
fn sockets(pid: i32) -> Vec<u64> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

/// Inode and address of a line of /proc/net/tcp or tcp6 in the state LISTEN.
fn tcp_listener(line: &str) -> Option<(u64, String)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (*fields.get(1)?, *fields.get(3)?, fields.get(9)?.parse().ok()?);
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Words of 32 bits, each in the order of this machine.
    let mut bytes = Vec::new();
    for at in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => std::net::Ipv4Addr::from(four).to_string(),
        Err(_) => {
            let sixteen = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
            format!("[{}]", std::net::Ipv6Addr::from(sixteen))
        }
    };
    (state == LISTEN).then(|| (inode, format!("{address}:{port}")))
}

/// Inode and path of a line of /proc/net/unix that accepts connections.
fn unix_listener(line: &str) -> Option<(u64, String)> {
    const ACCEPTS: &str = "00010000";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (flags, inode, path) = (*fields.get(3)?, fields.get(6)?.parse().ok()?, fields.get(7)?);
    (flags == ACCEPTS && path.starts_with('/')).then(|| (inode, format!("unix:{path}")))
}

#[cfg(test)]
mod tests {
    use super::{listens, tcp_listener, unix_listener};
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    #[test]
    fn listeners_of_a_process_are_found() {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let path = std::env::temp_dir().join(format!("ettan-family-{}", std::process::id()));
        let _unix = UnixListener::bind(&path).expect("a path");
        let found = listens(&[i32::try_from(std::process::id()).expect("a number")]);
        std::fs::remove_file(&path).expect("it is there");
        let tcp = tcp.local_addr().expect("an address").to_string();
        assert!(found.contains(&tcp), "{found:?}");
        assert!(found.contains(&format!("unix:{}", path.display())), "{found:?}");
    }

    #[test]
    fn other_lines_are_none() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt";
        assert_eq!(tcp_listener(head), None);
        assert_eq!(tcp_listener("0: 0100007F:1F90 0:0 01 0:0 0:0 0 0 0 7"), None);
        assert_eq!(unix_listener("0000: 00000002 00000000 00000000 0002 01 1234 /run/x"), None);
    }
}
