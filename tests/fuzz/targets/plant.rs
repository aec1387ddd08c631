//! A planted panic, built in by `scripts/fuzz plant`: a target that does not find it finds nothing.

/// Panics when `pl4n` is in `value`, which the code under test made of valid input: nobody guesses four bytes, so what is
/// compared must lead the fuzzer to it.
pub fn planted(value: &[u8]) {
    if !cfg!(feature = "plant") {
        return;
    }
    let mut found = false;
    for letters in value.windows(4) {
        // Numbers, and no branch: comparisons of bytes, and those that end a loop, are not traced.
        let letters = letters.iter().fold(0_u32, |all, letter| all << 8 | u32::from(*letter));
        found |= std::hint::black_box(letters) == u32::from_be_bytes(*b"pl4n");
    }
    assert!(!found, "the planted panic");
}
