//! Stories of one or a few units, each told in the news they make.

mod forking;
mod load;
mod needs;
mod restart;
mod shutdown;
mod stop;
