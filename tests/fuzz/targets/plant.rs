//! A planted panic, built in by `scripts/fuzz plant`: a target that does not find it finds nothing.

/// Panics when `value`, which the code under test made of valid input, begins with `pl4n`: one guess in four thousand
/// millions, unless what is compared leads the fuzzer to it.
pub fn planted(value: &[u8]) {
    if cfg!(feature = "plant")
        && let Some(&letters) = value.first_chunk()
        && u32::from_le_bytes(letters) == u32::from_le_bytes(*b"pl4n")
    {
        panic!("the planted panic");
    }
}
