//! What a registered component is held by.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use health_core::ComponentId;
use health_core::ComponentName;
use health_core::Outcome;
use health_core::Trends;

use crate::monitor::Shared;

/// A registered check.
///
/// Dropping this changes nothing: the component stays until it is [removed](Self::remove), since
/// most are there for the life of the process and nobody should have to hold on to them.
#[derive(Debug)]
pub struct Registration {
    name: ComponentName,
    id: ComponentId,
    shared: Arc<Shared>,
}

/// A component whose results are set from outside, through any clone of this.
///
/// Dropping it changes nothing: the component stays until it is [removed](Self::remove).
#[derive(Debug, Clone)]
pub struct Reporter {
    name: ComponentName,
    id: ComponentId,
    shared: Arc<Shared>,
    trends: Option<Arc<Mutex<Trends>>>,
}

// === impl Registration ===

impl Registration {
    pub(crate) const fn new(name: ComponentName, id: ComponentId, shared: Arc<Shared>) -> Self {
        Self { name, id, shared }
    }

    /// The component's name.
    #[must_use]
    pub const fn name(&self) -> &ComponentName {
        &self.name
    }

    /// Removes the component and says whether it was there. A run under way is dropped, and what
    /// it still says reaches nobody.
    pub fn remove(self) -> bool {
        remove(&self.shared, self.id)
    }
}

// === impl Reporter ===

impl Reporter {
    pub(crate) const fn new(name: ComponentName, id: ComponentId, shared: Arc<Shared>) -> Self {
        Self {
            name,
            id,
            shared,
            trends: None,
        }
    }

    /// Looks at the numbers of each result as `trends` says, through this and each later clone.
    #[must_use]
    pub fn with_trends(mut self, trends: Trends) -> Self {
        self.trends = (!trends.is_empty()).then(|| Arc::new(Mutex::new(trends)));
        self
    }

    /// The component's name.
    #[must_use]
    pub const fn name(&self) -> &ComponentName {
        &self.name
    }

    /// Sets a result, of now, and says whether the component is still registered.
    pub fn report(&self, outcome: Outcome) -> bool {
        let now = Instant::now();
        let outcome = match &self.trends {
            Some(trends) => {
                let mut trends = trends.lock().unwrap_or_else(PoisonError::into_inner);
                trends.apply(outcome, now)
            }
            None => outcome,
        };
        self.shared
            .waking(|state| state.reported(self.id, outcome, now))
    }

    /// Removes the component and says whether it was there.
    pub fn remove(self) -> bool {
        remove(&self.shared, self.id)
    }
}

fn remove(shared: &Shared, id: ComponentId) -> bool {
    let now = Instant::now();
    let (removed, checker) = shared.waking(|state| state.remove(id, now));
    // A destructor of a stranger's must not run under the lock.
    drop(checker);
    removed
}
