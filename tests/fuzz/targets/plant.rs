//! A planted panic, built in by `scripts/fuzz plant TARGET`: a target that does not find it finds nothing.

/// Panics on `pl4n`, one branch a letter, so that coverage leads to it. `value` is something that the code under test
/// made of the input.
#[allow(clippy::collapsible_if)] // each letter must be a branch of its own
pub fn planted(value: &[u8]) {
    if !cfg!(feature = "plant") {
        return;
    }
    let mut letters = std::hint::black_box(value).iter();
    if letters.next() == Some(&b'p') {
        if letters.next() == Some(&b'l') {
            if letters.next() == Some(&b'4') {
                if letters.next() == Some(&b'n') {
                    panic!("the planted panic");
                }
            }
        }
    }
}
