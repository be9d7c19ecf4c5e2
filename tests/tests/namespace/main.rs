//! Ettan as process 1 of a PID namespace. Tests that stand for an entry of the fault list carry
//! its number; tests/FAULTS.md lists them all.

mod boot;
mod cards;
mod conditions;
mod console;
mod control;
mod crash;
mod duties;
mod environment;
mod exec;
mod hooks;
mod injection;
mod instances;
mod kernels;
mod led;
mod limits;
mod lives;
mod logs;
mod network;
mod overrides;
mod pid_file;
mod place;
mod policy;
mod processes;
mod ready;
mod relations;
mod reload;
mod run;
mod shared;
mod shutdown;
mod soak;
mod syslog;
mod units;
mod upgrade;
mod verbs;
mod web;
