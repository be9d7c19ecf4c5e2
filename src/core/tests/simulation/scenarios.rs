//! Stories of one or a few units, each told in the news they make.

mod entering;
mod exits;
mod forking;
mod hooks;
mod kill;
mod limit;
mod load;
mod needs;
mod ready;
mod relations;
mod reload;
mod restart;
mod shutdown;
mod stop;
mod timer;
