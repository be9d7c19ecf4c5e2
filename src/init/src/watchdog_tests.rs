//! When the watchdog is fed and when not, on a driver that is made up.

#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

use super::*;
use std::cell::RefCell;

/// What the made-up driver does, and what was done to it.
#[derive(Clone, Default)]
struct Driver {
    missing: Option<Errno>,
    max_s: u32,
    has_s: u32,
    changes: bool,
    says: bool,
    nowayout: bool,
    broken: bool,
    reset: &'static str,
    fed: u32,
    disarmed: bool,
}

thread_local! {
    static DRIVER: RefCell<Driver> = RefCell::default();
}

fn driver<T>(look: impl FnOnce(&mut Driver) -> T) -> T {
    DRIVER.with_borrow_mut(look)
}

struct Fake;

impl Device for Fake {
    fn open() -> Result<Self, Errno> {
        driver(|driver| driver.missing.map_or(Ok(Self), Err))
    }

    fn identity(&self) -> Text<32> {
        Text::from("made up")
    }

    fn set_timeout(&self, seconds: u32) -> Result<u32, Errno> {
        driver(|driver| match (driver.changes, seconds <= driver.max_s) {
            (false, _) => Err(Errno::OPNOTSUPP),
            (true, false) => Err(Errno::INVAL),
            (true, true) => {
                driver.has_s = seconds;
                Ok(seconds)
            }
        })
    }

    fn timeout(&self) -> Result<u32, Errno> {
        driver(|driver| if driver.says { Ok(driver.has_s) } else { Err(Errno::NOTTY) })
    }

    fn last_reset(&self) -> &'static str {
        driver(|driver| driver.reset)
    }

    fn feed(&self) -> Result<(), Errno> {
        driver(|driver| {
            driver.fed += 1;
            if driver.broken { Err(Errno::IO) } else { Ok(()) }
        })
    }

    fn disarm(self) -> Result<(), Errno> {
        driver(|driver| {
            driver.disarmed = !driver.nowayout;
            if driver.nowayout { Err(Errno::BUSY) } else { Ok(()) }
        })
    }
}

fn pi() -> Driver {
    Driver { max_s: 15, has_s: 60, changes: true, says: true, ..Driver::default() }
}

fn keeper(made: Driver) -> Keeper<Fake> {
    driver(|driver| *driver = made);
    Keeper::find(Millis(1_000))
}

fn fed() -> u32 {
    driver(|driver| driver.fed)
}

fn timeout_ms(keeper: &Keeper<Fake>) -> u64 {
    keeper.facts().unwrap().timeout_ms
}

fn trouble(keeper: &Keeper<Fake>) -> String {
    keeper.facts().unwrap().trouble.as_str().to_owned()
}

#[test]
fn f3_11_what_the_driver_can_is_what_counts() {
    assert_eq!(timeout_ms(&keeper(pi())), 15_000);
    // Too long, and half of it.
    assert_eq!(timeout_ms(&keeper(Driver { max_s: 10, ..pi() })), 7_000);
    assert_eq!(timeout_ms(&keeper(Driver { max_s: 1, ..pi() })), 1_000);
    // Fixed; refused altogether; silent; silly.
    assert_eq!(timeout_ms(&keeper(Driver { changes: false, ..pi() })), 60_000);
    assert_eq!(timeout_ms(&keeper(Driver { max_s: 0, has_s: 8, ..pi() })), 8_000);
    assert_eq!(timeout_ms(&keeper(Driver { says: false, ..pi() })), 3_000);
    assert_eq!(timeout_ms(&keeper(Driver { changes: false, has_s: 0, ..pi() })), 3_000);
}

#[test]
fn f3_11_it_is_fed_at_once_and_at_a_third_of_its_time_out() {
    let mut keeper = keeper(pi());
    assert_eq!(fed(), 1);
    assert_eq!(keeper.next_deadline(), Some(Millis(6_000)));
    keeper.turned(Millis(5_999), || None);
    assert_eq!(fed(), 1);
    keeper.turned(Millis(6_000), || None);
    assert_eq!(fed(), 2);
    assert_eq!(keeper.facts().unwrap().fed_ms, 6_000);
    assert_eq!(keeper.next_deadline(), Some(Millis(11_000)));
}

#[test]
fn f3_11_a_device_that_comes_later_is_found_and_one_that_never_comes_costs_little() {
    for errno in [Errno::NOENT, Errno::BUSY, Errno::NODEV] {
        let mut keeper = keeper(Driver { missing: Some(errno), ..pi() });
        let mut looks = 0;
        let mut now = keeper.next_deadline().unwrap();
        assert_eq!(now, Millis(2_000));
        while now < Millis(3_600_000) {
            keeper.turned(now, || None);
            now = keeper.next_deadline().unwrap();
            looks += 1;
        }
        assert!(looks < 25, "{looks} looks in an hour");
        assert!(!trouble(&keeper).is_empty());
        driver(|driver| driver.missing = None);
        keeper.turned(now, || None);
        assert_eq!(trouble(&keeper), "");
        assert_eq!(timeout_ms(&keeper), 15_000);
    }
}

#[test]
fn f3_11_an_execution_anew_goes_on_feeding() {
    driver(|driver| *driver = Driver { reset: "watchdog", ..pi() });
    let keeper = Keeper::take(Fake, Millis(50_000));
    assert_eq!(fed(), 1);
    let facts = keeper.facts().unwrap();
    assert_eq!(facts.last_reset, "watchdog");
    assert_eq!(facts.fed_ms, 50_000);
}

#[test]
fn f3_11_a_broken_device_is_told_and_tried_again() {
    let mut keeper = keeper(Driver { broken: true, ..pi() });
    assert!(trouble(&keeper).contains("input/output error"), "{}", trouble(&keeper));
    driver(|driver| driver.broken = false);
    keeper.turned(Millis(6_000), || None);
    assert_eq!(trouble(&keeper), "");
}

#[test]
fn f3_11_it_stays_over_a_restart_and_is_stopped_before_the_machine_is_off() {
    let mut stays = keeper(pi());
    stays.before(Power::Reboot, Millis(2_000));
    assert_eq!(fed(), 2);
    assert!(!driver(|driver| driver.disarmed));
    for power in [Power::PowerOff, Power::Halt] {
        let mut goes = keeper(pi());
        goes.before(power, Millis(2_000));
        assert!(driver(|driver| driver.disarmed));
        assert_eq!(goes.next_deadline(), None);
        // Asked twice, when reboot(2) was refused.
        goes.before(power, Millis(3_000));
    }
    let mut cannot = keeper(Driver { nowayout: true, ..pi() });
    cannot.before(Power::Halt, Millis(2_000));
    assert!(!driver(|driver| driver.disarmed));
}

#[test]
fn f8_5_a_restart_that_is_refused_is_left_to_the_watchdog() {
    let mut keeper = keeper(pi());
    keeper.before(Power::Reboot, Millis(2_000));
    keeper.starve();
    let before = fed();
    keeper.before(Power::Reboot, Millis(3_000));
    for now in [8_000, 13_000, 18_000] {
        keeper.turned(Millis(now), || None);
    }
    assert_eq!(fed(), before);
    assert!(trouble(&keeper).contains("refuses to restart"));
}

#[test]
fn it_is_not_fed_while_a_critical_unit_has_no_hope() {
    let mut keeper = keeper(pi());
    keeper.turned(Millis(6_000), || Some("web".try_into().unwrap()));
    assert_eq!((fed(), trouble(&keeper).as_str()), (1, "not fed: web is not well"));
    assert!(keeper.starves(), "there is something to write down");
    // It came back in time.
    keeper.turned(Millis(11_000), || None);
    assert_eq!((fed(), trouble(&keeper).as_str()), (2, ""));
    assert!(!keeper.starves());
}
