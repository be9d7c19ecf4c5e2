//! Stories of the network: links, addresses and routes, made by `ip`.

mod world;

use std::fs;

use world::{World, in_a_network, ip, wake_ups};

/// Its address checks would be changes at times of their own.
fn without_ipv6() {
    let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

/// An interface `eth0` whose cable ends in `switch`.
fn ethernet() {
    ip("link add eth0 type veth peer name switch");
    ip("link set eth0 up");
}

const IN: &str = "link set switch up";
const OUT: &str = "link set switch down";

#[test]
fn a_network_comes_piece_by_piece_and_the_cable_goes_out_and_in() {
    in_a_network("a_network_comes_piece_by_piece_and_the_cable_goes_out_and_in", || {
        let mut world = World::new();
        world.listen();
        world.watch();
        world.expect(&["-network", "-network:link"]);
        ethernet();
        world.expect(&["-network:eth0:address"]);
        ip(IN);
        world.expect(&["+network:link"]);
        ip("address add 192.0.2.7/24 dev eth0");
        world.expect(&["+network:eth0:address", "-network"]);
        ip("route add default via 192.0.2.1");
        world.expect(&["+network"]);
        for _ in 0..3 {
            ip(OUT);
            world.expect(&["-network", "-network:eth0:address", "-network:link"]);
            ip(IN);
            world.expect(&["+network", "+network:eth0:address", "+network:link"]);
        }
        ip("route del default");
        world.expect(&["-network", "+network:eth0:address"]);
        ip("route add default via 192.0.2.1 metric 300");
        world.expect(&["+network"]);
        // The kernel removes the route along with the address, and says nothing of it.
        ip("address del 192.0.2.7/24 dev eth0");
        world.expect(&["-network", "-network:eth0:address"]);
        ip("address add 192.0.2.7/24 dev eth0");
        world.expect(&["+network:eth0:address", "-network"]);
        ip("link del eth0");
        world.expect(&["-network:eth0:address", "-network:link"]);
    });
}

#[test]
fn ipv6_counts_once_the_address_is_checked() {
    in_a_network("ipv6_counts_once_the_address_is_checked", || {
        if !std::path::Path::new("/proc/net/if_inet6").exists() {
            eprintln!("this kernel has no IPv6: nothing tested");
            return;
        }
        let mut world = World::new();
        world.listen();
        world.watch();
        ethernet();
        ip(IN);
        world.expect(&["+network:link", "-network:eth0:address"]);
        ip("-6 route add default via fe80::1 dev eth0");
        ip("address add 2001:db8::7/64 dev eth0");
        world.expect(&["+network:eth0:address", "+network"]);
        ip("-6 route del default");
        world.expect(&["-network"]);
    });
}

#[test]
fn only_changes_are_told() {
    in_a_network("only_changes_are_told", || {
        let mut world = World::new();
        without_ipv6();
        ethernet();
        ip(IN);
        ip("address add 192.0.2.7/24 dev eth0");
        ip("route add default via 192.0.2.1");
        world.listen();
        world.watch();
        world.expect(&["+network", "+network:link", "+network:eth0:address"]);
        assert!(world.is_quiet());
        let before = wake_ups();
        assert!(world.is_quiet());
        assert_eq!(wake_ups(), before, "it woke up without a reason");
        world.heard.clear();
        // Changes that change no condition.
        ip("address add 192.0.2.8/24 dev eth0");
        ip("link set switch mtu 1400");
        ip("route add 198.51.100.0/24 via 192.0.2.1");
        assert!(world.is_quiet());
        ip("route del default");
        world.expect(&["-network"]);
        assert_eq!(world.heard, ["-network"]);
    });
}

#[test]
fn pid_1_is_told_everything_when_it_listens_at_last_and_when_it_listens_anew() {
    in_a_network(
        "pid_1_is_told_everything_when_it_listens_at_last_and_when_it_listens_anew",
        || {
            let mut world = World::new();
            without_ipv6();
            ethernet();
            ip(IN);
            ip("address add 192.0.2.7/24 dev eth0");
            world.watch();
            // Nobody listens meanwhile.
            world.listen();
            world.expect(&["+network:link", "+network:eth0:address", "-network"]);
            assert!(world.is_quiet());
            world.facts.clear();
            world.listen();
            world.expect(&["+network:link", "+network:eth0:address", "-network"]);
        },
    );
}

#[test]
fn what_a_predecessor_told_and_is_no_more_is_taken_back() {
    in_a_network("what_a_predecessor_told_and_is_no_more_is_taken_back", || {
        let mut world = World::new();
        for told in ["network", "network:usb0:address", "device:gpio:17"] {
            world.facts.insert(told.to_owned(), true);
        }
        ethernet();
        ip(IN);
        ip("address add 192.0.2.7/24 dev eth0");
        world.listen();
        world.watch();
        world.expect(&["+network:link", "+network:eth0:address", "-network"]);
        world.expect(&["-network:usb0:address"]);
        // Somebody else's.
        world.expect(&["+device:gpio:17"]);
        assert!(world.is_quiet());
    });
}

#[test]
fn a_storm_of_changes_ends_in_the_truth() {
    in_a_network("a_storm_of_changes_ends_in_the_truth", || {
        let mut world = World::new();
        world.listen();
        world.watch();
        world.expect(&["-network"]);
        // More than the notices that the kernel keeps for us.
        let batch = world.folder.join("batch");
        let commands: String = (0..3_000)
            .map(|n| format!("address add 198.18.{}.{}/32 dev lo\n", n / 250, n % 250 + 1))
            .chain((0..20).map(|n| format!("link add a{n} type veth peer name b{n}\n")))
            .chain((0..20).map(|n| format!("link del a{n}\n")))
            .collect();
        fs::write(&batch, commands).unwrap();
        ip(&format!("-batch {}", batch.display()));
        ethernet();
        ip(IN);
        ip("address add 192.0.2.7/24 dev eth0");
        ip("route add default via 192.0.2.1");
        world.expect(&["+network", "+network:eth0:address"]);
        let held = world.facts.iter().filter(|(_, holds)| **holds).count();
        assert_eq!(held, 3, "{:?}", world.facts);
    });
}
