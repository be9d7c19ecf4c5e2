//! Looks out. The watcher helper: network, devices, clock to conditions.
#![forbid(unsafe_code)]
