//! What there is in a network, read from rtnetlink's structures.

use super::message::{aligned, attributes, u16_at, u32_at};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const IFLA_IFNAME: u16 = 3;
pub(super) const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;
const IFF_RUNNING: u32 = 0x40;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_F_OPTIMISTIC: u32 = 0x04;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;

const RTA_OIF: u16 = 4;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RT_TABLE_LOCAL: u32 = 255;
const RTN_UNICAST: u8 = 1;
const RTNH_F_DEAD: u32 = 1;
const RTNH_F_LINKDOWN: u32 = 16;

pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;

/// Something there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A network interface.
    Link(Link<'a>),
    /// An address of one.
    Address(Address),
    /// A way to everywhere.
    DefaultRoute(DefaultRoute),
}

/// A network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    /// Its number.
    pub index: u32,
    /// Its name, at most 15 bytes.
    pub name: &'a [u8],
    /// Whether it is `lo`, or another one like it.
    pub loopback: bool,
    /// Switched on by somebody.
    pub up: bool,
    /// Able to carry packets: cable in, associated.
    pub running: bool,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface's number.
    pub link: u32,
    /// The interface's own address.
    pub address: IpAddr,
    /// Valid everywhere, not just on this link or host, by its configured scope.
    pub global: bool,
    /// False while the kernel still checks whether somebody else has it, and if so.
    pub usable: bool,
}

/// A route to everywhere that no rule of the kernel forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// The interface's number.
    pub link: u32,
    /// IPv6, not IPv4.
    pub v6: bool,
}

/// From `struct ifinfomsg` and its attributes.
pub(super) fn link(body: &[u8]) -> Option<Link<'_>> {
    let index = u32_at(body, 4)?;
    let flags = u32_at(body, 8)?;
    let (_, name) = attributes(body.get(16..)?).find(|(kind, _)| *kind == IFLA_IFNAME)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let has = |flag| flags & flag != 0;
    Some(Link {
        index,
        name,
        loopback: has(IFF_LOOPBACK),
        up: has(IFF_UP),
        running: has(IFF_RUNNING),
    })
}

/// From `struct ifaddrmsg` and its attributes.
pub(super) fn address(body: &[u8]) -> Option<Address> {
    let [family, _, flags, scope] = *body.first_chunk()?;
    let link = u32_at(body, 4)?;
    let (mut local, mut other, mut flags) = (None, None, u32::from(flags));
    for (kind, value) in attributes(body.get(8..)?) {
        match kind {
            // At the end of a point-to-point link the other address is the other end's.
            IFA_LOCAL => local = ip(family, value),
            IFA_ADDRESS => other = ip(family, value),
            IFA_FLAGS => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    let tentative = flags & IFA_F_TENTATIVE != 0 && flags & IFA_F_OPTIMISTIC == 0;
    let usable = !tentative && flags & IFA_F_DADFAILED == 0;
    Some(Address { link, address: local.or(other)?, global: scope == 0, usable })
}

/// From `struct rtmsg` and its attributes: none, one, or one for each path.
pub(super) fn default_routes(body: &[u8], tell: &mut impl FnMut(Option<Seen<'_>>)) {
    let Some(&[family, target_bits, source_bits, _, table, _, _, kind]) = body.first_chunk() else {
        return;
    };
    let (Some(flags), Some(rest)) = (u32_at(body, 8), body.get(12..)) else { return };
    let table = attributes(rest)
        .find(|(kind, _)| *kind == RTA_TABLE)
        .and_then(|(_, value)| u32_at(value, 0))
        .unwrap_or(u32::from(table));
    let wanted = target_bits == 0 && source_bits == 0 && kind == RTN_UNICAST;
    if !wanted || table == RT_TABLE_LOCAL {
        return;
    }
    let mut tell_path = |flags: u32, link: Option<u32>| {
        if let Some(link) = link
            && flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN) == 0
        {
            tell(Some(Seen::DefaultRoute(DefaultRoute { link, v6: family == AF_INET6 })));
        }
    };
    for (kind, value) in attributes(rest) {
        match kind {
            RTA_OIF => tell_path(flags, u32_at(value, 0)),
            RTA_MULTIPATH => {
                // struct rtnexthop: length, flags, hops, link; then its attributes.
                let mut paths = value;
                while let (Some(length), Some(flags)) = (u16_at(paths, 0), paths.get(2)) {
                    tell_path(u32::from(*flags), u32_at(paths, 4));
                    let next = aligned(usize::from(length)).max(8);
                    paths = paths.get(next..).unwrap_or_default();
                }
            }
            _ => {}
        }
    }
}

fn ip(family: u8, value: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => value.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes).into()),
        AF_INET6 => value.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_of_a_multipath_route_counts() {
        let mut body = vec![AF_INET, 0, 0, 0, 254, 0, 0, RTN_UNICAST, 0, 0, 0, 0];
        body.extend(20_u16.to_ne_bytes());
        body.extend(RTA_MULTIPATH.to_ne_bytes());
        for (flags, link) in [(0_u8, 7_u32), (1, 8)] {
            body.extend(8_u16.to_ne_bytes());
            body.extend([flags, 0]);
            body.extend(link.to_ne_bytes());
        }
        let mut links = Vec::new();
        default_routes(&body, &mut |seen| links.extend(seen.map(|seen| format!("{seen:?}"))));
        assert_eq!(links, ["DefaultRoute(DefaultRoute { link: 7, v6: false })"]);
    }
}
