//! Placeholder of branch `mail`.

use crate::mail::mime::Structure;
use std::fmt;
use std::ops::Range;

/// Section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Path.
    pub path: Vec<u32>,
    /// What.
    pub what: What,
}

/// What of the part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// All.
    Whole,
    /// HEADER
    Header,
    /// HEADER.FIELDS
    Fields(Vec<Vec<u8>>),
    /// HEADER.FIELDS.NOT
    NotFields(Vec<Vec<u8>>),
    /// TEXT
    Text,
    /// MIME
    Mime,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Vec<String> = self.path.iter().map(u32::to_string).collect();
        f.write_str(&path.join("."))?;
        if !path.is_empty() && self.what != What::Whole {
            f.write_str(".")?;
        }
        let list = |names: &[Vec<u8>]| {
            names.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect::<Vec<_>>().join(" ")
        };
        match &self.what {
            What::Whole => Ok(()),
            What::Header => f.write_str("HEADER"),
            What::Fields(names) => write!(f, "HEADER.FIELDS ({})", list(names)),
            What::NotFields(names) => write!(f, "HEADER.FIELDS.NOT ({})", list(names)),
            What::Text => f.write_str("TEXT"),
            What::Mime => f.write_str("MIME"),
        }
    }
}

/// Where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// Bytes.
    Bytes(Range<u64>),
    /// Fields of a header.
    Fields(Range<u64>),
}

/// Resolves.
pub fn resolve(section: &Section, structure: &Structure) -> Option<Resolved> {
    let (header, end) = (structure.header_end, structure.end);
    match (section.path.as_slice(), &section.what) {
        ([], What::Whole) => Some(Resolved::Bytes(0..end)),
        ([], What::Header) => Some(Resolved::Bytes(0..header)),
        ([], What::Fields(_) | What::NotFields(_)) => Some(Resolved::Fields(0..header)),
        ([], What::Text) | ([1], What::Whole) => Some(Resolved::Bytes(header..end)),
        ([1], What::Mime) => Some(Resolved::Bytes(0..header)),
        _ => None,
    }
}

/// Filters.
pub fn filter_fields(header: &[u8], what: &What) -> Vec<u8> {
    let mut out = Vec::new();
    let mut keep = false;
    for line in header.split_inclusive(|&b| b == b'\n') {
        if line == b"\r\n" {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|&b| b == b':').next().unwrap_or_default();
            let has = |names: &[Vec<u8>]| names.iter().any(|n| n.eq_ignore_ascii_case(name));
            keep = match what {
                What::Fields(names) => has(names),
                What::NotFields(names) => !has(names),
                _ => true,
            };
        }
        if keep {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}
