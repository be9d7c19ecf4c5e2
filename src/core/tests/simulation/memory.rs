//! What the supervisor costs: nothing in the file, little per unit, and only what is used.

use crate::world::{Fleet, simple};
use ettan_core::{MAX_UNITS, Millis, Supervisor};
use std::sync::Mutex;

static SUPERVISOR: Mutex<Supervisor> = Mutex::new(Supervisor::new());

/// Whether the pages in the middle of the static are backed by the program's file.
#[test]
fn a_static_supervisor_lies_in_bss() {
    let middle = &raw const SUPERVISOR as usize + size_of::<Supervisor>() / 2;
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let line = maps.lines().find(|line| {
        let (start, end) = line.split(' ').next().and_then(|r| r.split_once('-')).expect("range");
        let number = |text| usize::from_str_radix(text, 16).expect("hexadecimal");
        (number(start)..number(end)).contains(&middle)
    });
    let inode = line.and_then(|line| line.split_whitespace().nth(4)).expect("mapped");
    assert_eq!(inode, "0", "in .data, and so in the file: {line:?}");
}

#[test]
fn a_unit_costs_less_than_350_bytes_and_all_of_them_half_a_megabyte() {
    println!("Supervisor: {} bytes for {MAX_UNITS} units", size_of::<Supervisor>());
    assert!(size_of::<Supervisor>() <= 512 * 1024, "{}", size_of::<Supervisor>());
    assert!(size_of::<ettan_core::State>() <= 24);
}

/// More units than there is room for: those that fit are loaded, and it is said how many do not.
#[test]
fn f5_02_a_catalog_that_is_too_large_is_loaded_as_far_as_it_fits() {
    let mut supervisor = Box::new(Supervisor::new());
    let many = |count| Fleet((0..count).map(|nth| simple(&format!("u{nth}"))).collect());
    supervisor.load(Millis(0), &many(MAX_UNITS + 5));
    let said = std::iter::from_fn(|| supervisor.next_action()).find_map(|action| match action {
        ettan_core::Action::Publish(ettan_core::Notice::LeftOut { units }) => Some(units),
        _ => None,
    });
    assert_eq!(said, Some(5));
    assert_eq!(supervisor.units().count(), MAX_UNITS);
}

/// Needs and conditions that do not fit: the unit is left out, the others are loaded.
#[test]
fn needs_and_conditions_that_do_not_fit_leave_their_unit_out() {
    let mut supervisor = Box::new(Supervisor::new());
    let names: Vec<String> = (0..1_000).map(|nth| format!("u{nth}")).collect();
    let mut specs: Vec<_> = names.iter().map(|name| simple(name)).collect();
    for greedy in 0..9 {
        let mut spec = simple(&format!("greedy{greedy}"));
        for name in &names {
            spec = spec.after(name);
        }
        specs.push(spec);
    }
    for nth in 0..10 {
        let mut spec = simple(&format!("choosy{nth}"));
        for condition in 0..10 {
            spec = spec.after(&format!("?c{nth}-{condition}"));
        }
        specs.push(spec);
    }
    supervisor.load(Millis(0), &Fleet(specs));
    let said = std::iter::from_fn(|| supervisor.next_action()).find_map(|action| match action {
        ettan_core::Action::Publish(ettan_core::Notice::LeftOut { units }) => Some(units),
        _ => None,
    });
    // 8,192 needs hold eight times a thousand; 64 conditions six times ten.
    assert_eq!(said, Some(1 + 4));
    assert_eq!(supervisor.find("greedy8"), None);
    assert!(supervisor.find("greedy7").is_some());
    assert!(supervisor.find("choosy5").is_some());
    assert_eq!(supervisor.find("choosy6"), None);
}
