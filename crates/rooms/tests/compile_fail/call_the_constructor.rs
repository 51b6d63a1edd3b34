//! Its constructors are the gate's own.
use bailee_rooms::gate::{Asked, Caller, Intent};

fn make(caller: Caller, asked: Asked) -> Intent {
    Intent::data_event(caller, asked, None)
}

fn main() {}
