//! Ettan as process 1 of a PID namespace. Tests that stand for an entry of the fault list carry
//! its number; tests/FAULTS.md lists them all.

mod boot;
mod console;
mod control;
mod crash;
mod environment;
mod exec;
mod injection;
mod kernels;
mod limits;
mod lives;
mod logs;
mod network;
mod pid_file;
mod processes;
mod reload;
mod shared;
mod shutdown;
mod soak;
mod syslog;
mod units;
mod upgrade;
mod verbs;
