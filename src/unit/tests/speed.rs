//! A thousand units load fast, and their table is small.

mod common;

use std::time::{Duration, Instant};

use common::{Root, service};
use ettan_core::Catalog;
use ettan_table::Table;

#[test]
fn a_thousand_units_load_in_no_time_and_into_little_memory() {
    let root = Root::new();
    for n in 0..1_000 {
        root.unit(&format!("unit-{n:04}"), service("restart = \"always\"\nuser = \"telldus\""));
    }
    let began = Instant::now();
    let world = root.load();
    let loaded = began.elapsed();
    let began = Instant::now();
    let table = Table::read(&world.0.table).unwrap();
    assert_eq!((0..1_000).filter(|index| table.unit(*index).is_some()).count(), 1_000);
    let read = began.elapsed();
    let bytes = world.0.table.len();
    println!("1000 units: loaded in {loaded:?}, read in {read:?}, {bytes} bytes");
    assert_eq!(table.len(), 1_000);
    assert!(bytes < 200 * 1_000);
    // A hundred times what an idle machine needs: this is no benchmark.
    assert!(loaded < Duration::from_secs(10) && read < Duration::from_secs(1));
}
