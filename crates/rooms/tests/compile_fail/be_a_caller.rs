//! Nobody says who he is: only authentication makes a caller.
use bailee_rooms::gate::{Caller, Origin, Principal};

fn be(principal: Principal, origin: Origin) -> Caller {
    Caller::new(principal, origin)
}

fn main() {}
