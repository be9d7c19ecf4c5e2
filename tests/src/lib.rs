//! Scenarios on real machinery.
#![forbid(unsafe_code)]
