//! Every decision of the core, in every order of events, on a machine that is not there.
#![allow(dead_code, unreachable_pub)]

mod calendar;
mod hours;
mod image;
mod memory;
mod ordering;
mod properties;
mod scenarios;
mod table;
mod world;
