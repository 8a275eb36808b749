//! Where effects go before anybody may see them.
//!
//! The owner of a market hands each revision's effects to its journal and publishes
//! them only once the journal has them. A recovery applies them in order again.

use crate::domain::{Millis, Revision};
use crate::state::Effect;
use std::sync::Arc;

/// One revision's effects.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The revision that they make, or the present one if they take none.
    pub revision: Revision,
    /// When the command came in.
    pub at: Millis,
    /// What happens, in order.
    pub effects: Arc<[Effect]>,
}

/// Keeps effects.
pub trait Journal: Send + 'static {
    /// Keeps an entry; when this returns, the entry may be published.
    ///
    /// # Errors
    /// If it could not be kept: nothing of it may be published.
    fn append(&mut self, entry: &Entry) -> std::io::Result<()>;
}

/// Keeps effects for as long as they are in memory anyway: in the state that they
/// made. A market with this journal ends with its process.
#[derive(Debug, Default)]
pub struct Volatile;

impl Journal for Volatile {
    fn append(&mut self, _: &Entry) -> std::io::Result<()> {
        Ok(())
    }
}
