//! Snapshots that page tokens refer to, so that all pages of a list are of one revision.

use crate::domain::Revision;
use crate::domain::limits::PINNED_SNAPSHOTS_MAX;
use crate::state::View;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The snapshots of a market that were last asked for.
#[derive(Debug, Default)]
pub struct Pinned {
    /// Most recently used last. Held for a short search, never across an await.
    views: Mutex<VecDeque<Arc<View>>>,
}

impl Pinned {
    /// Keeps a snapshot; the one that was unused for longest makes room.
    pub fn keep(&self, view: &Arc<View>) {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.retain(|kept| kept.head.revision != view.head.revision);
        if views.len() == PINNED_SNAPSHOTS_MAX {
            views.pop_front();
        }
        views.push_back(view.clone());
    }

    /// The snapshot of that revision, if it is still kept.
    pub fn at(&self, revision: Revision) -> Option<Arc<View>> {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let found = views.iter().position(|view| view.head.revision == revision)?;
        let view = views.remove(found)?;
        views.push_back(view.clone());
        Some(view)
    }
}
