//! What is read back from disk: the trace, file names, paths, and delivery fields above a message.
#![no_main]

mod plant;

use lazaret::base::path;
use lazaret::mail::trace::split_delivery_fields;
use lazaret::mail::{Address, Name, Trace};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let trace = Trace::parse(data);
    let rendered = trace.render();
    assert!(!rendered.contains(&0), "NUL in a trace");
    let again = Trace::parse(&rendered);
    assert_eq!(again.render(), rendered, "a trace that is read and written changes");
    assert_eq!(again.sender, trace.sender);
    assert_eq!(again.recipients, trace.recipients);

    let (moved, kept) = split_delivery_fields(data);
    let length = moved.iter().map(Vec::len).sum::<usize>() + kept.iter().map(|k| k.len()).sum::<usize>();
    assert!(length <= data.len(), "fields that were not there");
    if moved.is_empty() {
        assert_eq!(kept.concat(), data, "nothing was moved, and the message changed");
    }

    if let Ok(text) = std::str::from_utf8(data) {
        if let Some(name) = Name::parse(text) {
            let written = name.to_string();
            let again = Name::parse(&written).expect("a name that was written is read");
            assert_eq!(again.to_string(), written);
            assert_eq!(again.id(), name.id());
        }
        if let Ok(address) = Address::parse(text) {
            assert_eq!(
                Address::parse(&address.to_string()),
                Ok(address),
                "an address that is written and read changes"
            );
        }
        if let Some(bytes) = path::decode(text) {
            assert_eq!(path::encode(&bytes).as_deref(), Some(text), "two names for one path");
        }
    }
    if let Some(name) = path::encode(data) {
        assert_eq!(path::decode(&name).as_deref(), Some(data));
        assert!(!name.starts_with('.') && !name.contains('/'));
    }
    plant::planted(trace.sender.as_bytes());
});
