//! Placeholder of branch `mail`.
/// Structure.
#[derive(Debug, Clone, Default)]
pub struct Structure {
    /// End of the header.
    pub header_end: u64,
    /// End of the message.
    pub end: u64,
}
