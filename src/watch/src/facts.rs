//! What is known of the network, and which conditions follow from it. Asks nobody.

use std::net::IpAddr;

use ettan_sys::netlink::{Address, Link, Seen};

use crate::told::Conditions;

/// Interfaces considered, loopback not counted. A Pi has two; 64 leaves room for a bridge with
/// containers. Those beyond are ignored, as if they were not there, and counted.
pub(crate) const MAX_LINKS: usize = 64;

/// Everything seen in one look at the network.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    links: Vec<Known>,
    left_out: u32,
}

/// An interface and what hangs on it.
#[derive(Debug)]
struct Known {
    index: u32,
    name: String,
    works: bool,
    has_address: bool,
    v4: Ways,
    v6: Ways,
}

/// How one protocol gets out of an interface.
#[derive(Clone, Copy, Debug, Default)]
struct Ways {
    global_address: bool,
    default_route: bool,
}

impl Facts {
    /// Knows nothing.
    pub(crate) fn clear(&mut self) {
        self.links.clear();
        self.left_out = 0;
    }

    /// Takes in one thing. Links come before what is on them.
    pub(crate) fn see(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Link(link) if link.loopback => {}
            Seen::Link(link) => self.see_link(link),
            Seen::Address(address) => self.see_address(address),
            Seen::DefaultRoute(route) => {
                if let Some(link) = self.find(route.link) {
                    let ways = if route.v6 { &mut link.v6 } else { &mut link.v4 };
                    ways.default_route = true;
                }
            }
        }
    }

    /// How many interfaces there was no room for.
    pub(crate) fn left_out(&self) -> u32 {
        self.left_out
    }

    /// What follows.
    pub(crate) fn conditions(&self, all: &mut Conditions) {
        let is_out = |ways: Ways| ways.global_address && ways.default_route;
        let network = |link: &Known| link.works && (is_out(link.v4) || is_out(link.v6));
        for link in &self.links {
            let name = format!("network:{}:address", link.name);
            all.put(&name, link.works && link.has_address);
        }
        let any = |test: &dyn Fn(&Known) -> bool| self.links.iter().any(test);
        all.put("network:link", any(&|link| link.works));
        all.put("network", any(&network));
    }

    fn see_link(&mut self, link: Link<'_>) {
        // A name that is no text is no name anybody can write into a unit file.
        let Ok(name) = std::str::from_utf8(link.name) else { return };
        if self.links.len() == MAX_LINKS {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.links.push(Known {
            index: link.index,
            name: name.to_owned(),
            works: link.up && link.running,
            has_address: false,
            v4: Ways::default(),
            v6: Ways::default(),
        });
    }

    fn see_address(&mut self, address: Address) {
        let Some(link) = self.find(address.link) else { return };
        if !address.usable {
            return;
        }
        match address.address {
            IpAddr::V4(v4) => {
                link.has_address = true;
                link.v4.global_address |= address.global && !v4.is_link_local();
            }
            // Each interface has one of these at once and by itself; it says nothing.
            IpAddr::V6(v6) if v6.is_unicast_link_local() => {}
            IpAddr::V6(_) => {
                link.has_address = true;
                link.v6.global_address |= address.global;
            }
        }
    }

    fn find(&mut self, index: u32) -> Option<&mut Known> {
        self.links.iter_mut().find(|link| link.index == index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::told::{Condition, Told};
    use ettan_sys::netlink::DefaultRoute;

    /// A machine with a loopback, an Ethernet and a Wi-Fi interface, and a listener.
    struct World {
        ethernet: Option<(bool, bool)>,
        wifi_name: &'static str,
        things: Vec<Seen<'static>>,
        /// How many conditions at a time reach the listener.
        hears: usize,
        believed: Vec<Condition>,
        told: Told,
    }

    const ETHERNET: u32 = 2;
    const WIFI: u32 = 3;

    impl World {
        fn new() -> Self {
            World {
                ethernet: Some((false, false)),
                wifi_name: "wlan0",
                things: Vec::new(),
                hears: usize::MAX,
                believed: Vec::new(),
                told: Told::default(),
            }
        }

        /// What the listener hears now: `+network` holds, `-network` does not.
        fn hears(&mut self) -> Vec<String> {
            let mut facts = Facts::default();
            let link = |index, name, (up, running)| {
                let loopback = index == 1;
                Seen::Link(Link { index, name, loopback, up, running })
            };
            facts.see(link(1, b"lo", (true, true)));
            facts.see(address(1, "127.0.0.1"));
            facts.see(address(1, "::1"));
            if let Some(state) = self.ethernet {
                facts.see(link(ETHERNET, b"eth0", state));
            }
            facts.see(link(WIFI, self.wifi_name.as_bytes(), (false, false)));
            self.things.iter().for_each(|thing| facts.see(*thing));
            let mut now = Conditions::default();
            facts.conditions(&mut now);
            if self.told.is_in_doubt() {
                self.told.learn(self.believed.clone());
            }
            let changes = self.told.lacks(&now);
            let heard = changes.iter().take(self.hears);
            for change in heard {
                self.believed.retain(|old| old.name != change.name);
                self.believed.push(change.clone());
            }
            if changes.len() <= self.hears {
                self.told.heard(now);
            } else {
                self.told.doubt();
            }
            let show = |change: Condition| {
                format!("{}{}", if change.holds { '+' } else { '-' }, change.name)
            };
            changes.into_iter().map(show).collect()
        }
    }

    fn address(link: u32, text: &str) -> Seen<'static> {
        Seen::Address(Address { link, address: text.parse().unwrap(), global: true, usable: true })
    }

    fn default_route(link: u32, v6: bool) -> Seen<'static> {
        Seen::DefaultRoute(DefaultRoute { link, v6 })
    }

    #[test]
    fn a_cable_comes_and_goes() {
        let mut world = World::new();
        let all = ["-network:eth0:address", "-network:wlan0:address", "-network:link", "-network"];
        assert_eq!(world.hears(), all);
        world.ethernet = Some((true, false));
        assert!(world.hears().is_empty(), "on, but no cable");
        world.ethernet = Some((true, true));
        assert_eq!(world.hears(), ["+network:link"]);
        world.things.push(address(ETHERNET, "192.0.2.7"));
        assert_eq!(world.hears(), ["+network:eth0:address"]);
        world.things.push(default_route(ETHERNET, false));
        assert_eq!(world.hears(), ["+network"]);
        assert!(world.hears().is_empty(), "nothing changed");
        world.ethernet = Some((true, false));
        assert_eq!(world.hears(), ["-network:eth0:address", "-network:link", "-network"]);
        world.ethernet = Some((true, true));
        assert_eq!(world.hears(), ["+network:eth0:address", "+network:link", "+network"]);
        world.ethernet = None;
        assert_eq!(world.hears(), ["-network:eth0:address", "-network:link", "-network"]);
    }

    #[test]
    fn a_renamed_interface_takes_its_address_along() {
        let mut world = World::new();
        world.ethernet = Some((true, true));
        world.things.push(address(ETHERNET, "192.0.2.7"));
        world.hears();
        world.wifi_name = "wlan1";
        assert_eq!(world.hears(), ["-network:wlan1:address"]);
        world.ethernet = None;
        world.wifi_name = "eth0";
        assert_eq!(world.hears(), ["-network:eth0:address", "-network:link"]);
    }

    #[test]
    fn the_route_must_be_of_the_addresss_kind_and_link() {
        let mut world = World::new();
        world.ethernet = Some((true, true));
        world.things = vec![address(ETHERNET, "192.0.2.7"), default_route(ETHERNET, true)];
        world.things.push(default_route(WIFI, false));
        assert!(!world.hears().contains(&"+network".to_owned()));
        world.things.push(address(ETHERNET, "2001:db8::7"));
        assert_eq!(world.hears(), ["+network"]);
    }

    #[test]
    fn link_local_addresses_are_no_network() {
        let mut world = World::new();
        world.ethernet = Some((true, true));
        world.things = vec![
            address(ETHERNET, "fe80::1"),
            default_route(ETHERNET, true),
            default_route(ETHERNET, false),
        ];
        let all = ["-network:eth0:address", "-network:wlan0:address", "+network:link", "-network"];
        assert_eq!(world.hears(), all);
        world.things.push(address(ETHERNET, "169.254.1.2"));
        assert_eq!(world.hears(), ["+network:eth0:address"]);
    }

    #[test]
    fn an_address_still_being_checked_is_none_yet() {
        let mut world = World::new();
        world.ethernet = Some((true, true));
        let Seen::Address(checked) = address(ETHERNET, "2001:db8::7") else { panic!() };
        world.things = vec![Seen::Address(Address { usable: false, ..checked })];
        world.things.push(default_route(ETHERNET, true));
        world.hears();
        assert!(world.hears().is_empty());
        world.things.push(Seen::Address(checked));
        assert_eq!(world.hears(), ["+network:eth0:address", "+network"]);
    }

    #[test]
    fn whoever_may_have_missed_something_is_asked_and_told_what_is_lacking() {
        let mut world = World::new();
        world.ethernet = Some((true, true));
        world.things.push(address(ETHERNET, "192.0.2.7"));
        world.hears = 1;
        let all = ["+network:eth0:address", "-network:wlan0:address", "+network:link", "-network"];
        assert_eq!(world.hears(), all);
        assert_eq!(world.hears(), all[1..]);
        world.ethernet = None;
        world.hears = usize::MAX;
        assert_eq!(world.hears(), ["-network:eth0:address", "-network:link", "-network"]);
        assert!(world.hears().is_empty());
    }

    #[test]
    fn what_a_predecessor_told_is_taken_back_and_what_others_told_is_not() {
        let mut world = World::new();
        let told = |name: &str| Condition { name: name.to_owned(), holds: true };
        world.believed =
            ["network", "network:usb0:address", "networks", "device:gpio:17"].map(told).to_vec();
        world.ethernet = None;
        let gone = ["-network:usb0:address", "-network:wlan0:address", "-network:link", "-network"];
        assert_eq!(world.hears(), gone);
        assert!(world.hears().is_empty());
    }

    #[test]
    fn links_beyond_the_room_are_counted_and_ignored() {
        let mut facts = Facts::default();
        let link = |index| {
            Seen::Link(Link { index, name: b"dummy", loopback: false, up: true, running: true })
        };
        (0..100).for_each(|index| facts.see(link(index)));
        facts.see(address(90, "192.0.2.7"));
        facts.see(default_route(90, false));
        assert_eq!(facts.left_out(), 36);
        let mut all = Conditions::default();
        facts.conditions(&mut all);
        assert_eq!(all.find("network"), Some(false));
        assert_eq!(all.len(), MAX_LINKS + 2);
        facts.clear();
        assert_eq!(facts.left_out(), 0);
    }
}
