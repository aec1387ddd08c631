//! One record of a segment: a head that names the message, and bytes that mean nothing here.
//!
//! ```text
//! magic 4 | checksum 4 | length 4 | zeros 4 | key 8 | size 8 | payload | zeros up to a multiple of 64
//! ```
//! Numbers are little-endian; the length counts all but the zeros; the checksum covers what stands behind it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Records begin at multiples of it, so that a place fits into 32 bits, and few bits tell which records were proven.
pub const UNIT: u64 = 64;
/// Bytes before the payload.
pub const HEAD: usize = 32;
/// Largest record. Those of 10,000 messages of spam took 2.6 KB on average and 12 KB at the most; a message whose record would
/// be larger is parsed each time.
pub const MOST: usize = 256 << 10;

/// Changes whenever the form does, so that older segments are read as nothing.
const MAGIC: u32 = u32::from_le_bytes(*b"LzC3");
/// Read at once; nine records of ten are shorter.
const FIRST: usize = 4 << 10;

/// What the head says. Only the checksum proves it.
pub struct Head {
    /// Bytes of the record without the zeros at its end.
    pub len: usize,
    /// Of its message.
    pub key: u64,
}

/// Appends a record as it is written; `false`, and nothing, when it would be too large.
pub fn write(key: u64, size: u64, payload: &[u8], out: &mut Vec<u8>) -> bool {
    let len = HEAD + payload.len();
    if len > MOST {
        return false;
    }
    let start = out.len();
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(len as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&key.to_le_bytes());
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(payload);
    let checksum = crc32fast::hash(out.get(start + 8..).unwrap_or_default());
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    out.resize(start + padded(len) as usize, 0);
    true
}

/// The space that a record of `len` bytes takes.
pub fn padded(len: usize) -> u64 {
    (len as u64).next_multiple_of(UNIT)
}

/// Reads a head.
pub fn head(bytes: &[u8]) -> Option<Head> {
    let len = number(bytes, 8)? as usize;
    let is_one = number(bytes, 0)? == MAGIC && (HEAD..=MOST).contains(&len);
    is_one.then_some(Head { len, key: long(bytes, 16)? })
}

/// Reads the record at `at`, whole and proven, whatever was known of it. `None`: there is none.
pub fn read(file: &File, at: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; FIRST];
    let mut have = read_at(file, &mut bytes, at).ok()?;
    let len = head(bytes.get(..have)?)?.len;
    if len > have {
        bytes.resize(len, 0);
        have += read_at(file, bytes.get_mut(have..)?, at + have as u64).ok()?;
    }
    bytes.truncate(have);
    let len = whole(&bytes).filter(|record| is_right(record))?.len();
    bytes.truncate(len);
    Some(bytes)
}

/// The record that these bytes begin with, if all of it is there.
pub fn whole(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(..head(bytes)?.len)
}

/// Whether the checksum of a record is right.
pub fn is_right(record: &[u8]) -> bool {
    record.get(8..).is_some_and(|rest| number(record, 4) == Some(crc32fast::hash(rest)))
}

/// Where the payload of a proven record lies in it, if it is this message's.
pub fn payload(record: &[u8], key: u64, size: u64) -> Option<Range<usize>> {
    let is_its = long(record, 16)? == key && long(record, 24)? == size;
    is_its.then_some(HEAD..record.len())
}

/// Reads until the buffer is full or the file ends.
pub fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut have = 0;
    while let Some(rest) = buffer.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + have as u64) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
