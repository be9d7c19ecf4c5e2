//! `/sbin/init`. Everything is in the library beside it, where tests can reach it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Counts what is allocated after boot; the count belongs to `ettan status` and should be 0.
#[global_allocator]
static HEAP: ettan_sys::heap::CountingAlloc = ettan_sys::heap::CountingAlloc;

fn main() -> ExitCode {
    ettan_init::main()
}
