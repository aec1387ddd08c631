//! The filters that doors ask before they answer. How many are asked at once is bounded by the connections of the doors and
//! by the memory for messages.

use super::verdict::Asked;
use crate::bridge::{Inquiry, Silence};
use crate::verdict::Verdict;
use std::sync::{Arc, PoisonError, RwLock};

/// The configured filters, by number.
#[derive(Debug, Default)]
pub struct Filters(RwLock<Vec<Arc<Asked>>>);

impl Filters {
    /// Adds a filter; the number is what an [`Inquiry`] names.
    pub fn add(&self, filter: Asked) -> usize {
        let mut filters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        filters.push(Arc::new(filter));
        filters.len() - 1
    }

    /// Asks; what fails is logged.
    pub async fn ask(&self, inquiry: Inquiry) -> Result<Verdict, Silence> {
        let Inquiry { filter, request, message } = inquiry;
        let filter = self.0.read().unwrap_or_else(PoisonError::into_inner).get(filter).cloned();
        let Some(filter) = filter else {
            log::error!("a filter that is not configured was asked");
            return Err(Silence);
        };
        filter.ask(&request, Bytes(message)).await.map_err(|error| {
            log::warn!("no verdict: {error}");
            Silence
        })
    }
}

/// A message that its asker keeps, too.
struct Bytes(Arc<Vec<u8>>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
