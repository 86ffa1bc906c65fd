#![no_main]

#[path = "../src/embedded_server.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    body::embedded_server(data);
});
