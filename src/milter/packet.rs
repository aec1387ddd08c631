//! Packets: a length of four bytes, a command of one, and data. What belongs to the message is passed on as it comes; the
//! rest is gathered whole.

use crate::base::limits;

/// Reads packets one after the other.
#[derive(Debug, Default)]
pub(super) struct Packets {
    head: [u8; 5],
    have: usize,
    /// Bytes of data that are still to come.
    left: usize,
    /// Data of a packet that is gathered.
    data: Vec<u8>,
}

/// What cannot be: why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken(pub(super) &'static str);

impl Packets {
    /// Whether the five bytes that begin a packet have come.
    pub(super) fn has_head(&self) -> bool {
        self.have == self.head.len()
    }

    /// Whether nothing of a packet has come.
    pub(super) fn is_between(&self) -> bool {
        self.have == 0
    }

    /// The command of the packet.
    pub(super) fn command(&self) -> u8 {
        self.head[4]
    }

    /// Bytes of its data that are still to come.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Takes what belongs to the head.
    pub(super) fn feed_head(&mut self, input: &[u8]) -> usize {
        let missing = self.head.get_mut(self.have..).unwrap_or_default();
        let count = missing.len().min(input.len());
        if let (Some(to), Some(from)) = (missing.get_mut(..count), input.get(..count)) {
            to.copy_from_slice(from);
        }
        self.have += count;
        count
    }

    /// Looks at a head that is whole. `streamed`: the data is passed on, and may be longer.
    pub(super) fn begin(&mut self, streamed: bool) -> Result<(), Broken> {
        let [a, b, c, d, _] = self.head;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let most = if streamed { limits::MILTER_PACKET } else { limits::MILTER_COMMAND };
        match length.checked_sub(1) {
            None => Err(Broken("it sent a packet without a command")),
            Some(data) if data > most => Err(Broken("it sent a packet that is too long")),
            Some(data) => {
                self.left = data;
                Ok(())
            }
        }
    }

    /// So many bytes of the data were passed on.
    pub(super) fn passed(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
    }

    /// Takes what belongs to data that is gathered.
    pub(super) fn gather(&mut self, input: &[u8]) -> usize {
        let taken = input.get(..self.left.min(input.len())).unwrap_or_default();
        self.data.extend_from_slice(taken);
        self.left -= taken.len();
        taken.len()
    }

    /// The packet is done: gives its data away and begins anew.
    pub(super) fn end(&mut self) -> Vec<u8> {
        self.have = 0;
        std::mem::take(&mut self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_bounded() {
        let begin = |length: u32, streamed| {
            let mut packets = Packets::default();
            assert_eq!(packets.feed_head(&[&length.to_be_bytes()[..], b"Bxyz"].concat()), 5);
            assert!(packets.has_head());
            packets.begin(streamed).map(|()| packets.left())
        };
        assert!(begin(0, false).is_err());
        assert_eq!(begin(1, true), Ok(0));
        assert_eq!(begin(limits::MILTER_COMMAND as u32 + 1, false), Ok(limits::MILTER_COMMAND));
        assert!(begin(limits::MILTER_COMMAND as u32 + 2, false).is_err());
        assert!(begin(limits::MILTER_PACKET as u32 + 1, true).is_ok());
        assert!(begin(limits::MILTER_PACKET as u32 + 2, true).is_err());
        assert!(begin(u32::MAX, true).is_err());
    }
}
