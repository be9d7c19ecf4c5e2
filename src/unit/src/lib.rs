//! Reads. Unit files: text in, table and diagnostics out.
#![forbid(unsafe_code)]
