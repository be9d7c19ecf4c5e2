//! Remembers. The logger helper.
#![forbid(unsafe_code)]
