//! Tables of flows that were asked for lately: the pages of a list are cut from one table.

use super::{Error, Market};
use crate::domain::Revision;
use crate::domain::limits::{FLOW_CELLS_MAX, FLOW_TABLES_MAX};
use crate::planning::flows::{self, Query, Survey};
use crate::state::View;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The surveys of a market that were last asked for: at most so many, and together at most
/// as many cells as one may have.
#[derive(Debug, Default)]
pub struct Surveys {
    /// Most recently used last. Held for a short search, never across an await.
    kept: Mutex<VecDeque<Kept>>,
    /// Held while one is made: equal questions are answered once, and a market's tables
    /// take one thread at a time.
    making: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Kept {
    revision: Revision,
    query: Query,
    survey: Arc<Survey>,
}

impl Surveys {
    fn find(&self, revision: Revision, query: &Query) -> Option<Arc<Survey>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|kept| kept.revision == revision && kept.query == *query)?;
        let found = kept.remove(at)?;
        let survey = found.survey.clone();
        kept.push_back(found);
        Some(survey)
    }

    fn keep(&self, revision: Revision, query: Query, survey: &Arc<Survey>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(Kept { revision, query, survey: survey.clone() });
        let cells = |kept: &VecDeque<Kept>| -> usize {
            kept.iter().map(|kept| kept.survey.flows.flows.len()).sum()
        };
        while kept.len() > FLOW_TABLES_MAX || cells(&kept) > FLOW_CELLS_MAX {
            kept.pop_front();
        }
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Market {
    /// Surveys that were last asked for.
    pub fn surveys(&self) -> &Surveys {
        &self.surveys
    }

    /// Surveys a snapshot of this market, in the background.
    pub async fn survey(&self, view: &Arc<View>, query: &Query) -> Result<Arc<Survey>, Error> {
        let revision = view.head.revision;
        if let Some(survey) = self.surveys.find(revision, query) {
            return Ok(survey);
        }
        let turn = self.surveys.making.clone().lock_owned().await;
        if let Some(survey) = self.surveys.find(revision, query) {
            return Ok(survey);
        }
        let (view, asked) = (view.clone(), query.clone());
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            flows::survey(&view, &asked)
        });
        let survey = made.await.map_err(|_| Error::Closed)??;
        let survey = Arc::new(survey);
        self.surveys.keep(revision, query.clone(), &survey);
        Ok(survey)
    }
}
