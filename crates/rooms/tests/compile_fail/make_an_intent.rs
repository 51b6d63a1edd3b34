//! Only the gate makes an intent.
use bailee_rooms::gate::{Asked, Caller, Intent};

fn make(caller: Caller, asked: Asked) -> Intent {
    Intent { caller, asked, record: None, grant: None, at: None, waits: false, shared: None, transfer: None, opens: None, releases: 0.into(), _in_flight: None }
}

fn main() {}
