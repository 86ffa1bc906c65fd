#![no_main]

#[allow(dead_code, reason = "another target's body is beside it")]
#[path = "../src/transport.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    body::frames(data);
});
