//! The API of `sharecast serve` on a real cluster (docs/api.md).

mod events;
mod invited;
mod isolation;
mod limits;
mod records;
mod server;
mod signed;
mod writes;
