//! The mirror extension of Produce.

use crate::input::Input;
use crate::memory;
use thalweg_wire::mirror::{Command, Report};

/// Byte 0: a command or a report; then its bytes.
///
/// Beyond "no panic": no memory but the error's; what is decoded encodes to as many bytes, which decode to the same; of a
/// report they are the same bytes.
pub fn mirror_message(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.u8();
    let bytes = input.rest();
    if choice & 1 == 0 {
        let Ok(command) = memory::within(0, "a command", || Command::decode(bytes)) else {
            return;
        };
        let encoded = command.encode();
        // Some operations ignore the argument.
        assert_eq!(encoded.len(), bytes.len());
        assert_eq!(Command::decode(&encoded), Ok(command));
    } else if let Ok(report) = memory::within(0, "a report", || Report::decode(bytes)) {
        assert_eq!(report.encode(), bytes);
    }
}
