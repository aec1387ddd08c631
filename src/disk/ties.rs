//! Which directories must be synced before which.
//!
//! A rename between two directories is two changes. Until the target is synced, a sync of the source would make durable
//! that the old name is gone and nothing else: a power failure then leaves neither. Whoever syncs a directory need not
//! know who moved what out of it, so this remembers it: [`Ties::before`] says what must be synced first, and a gate keeps
//! moves out of a directory from happening while it is synced.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Directories that have lost names to others, and those others as long as they are not synced.
#[derive(Default)]
pub(super) struct Ties(Mutex<State>);

#[derive(Default)]
struct State {
    serial: u64,
    sources: HashMap<PathBuf, Source>,
}

#[derive(Default)]
struct Source {
    /// Held for writing while a name leaves, for reading while the directory is synced.
    gate: Arc<RwLock<()>>,
    /// Where names went, and the number of the last such move.
    targets: HashMap<PathBuf, u64>,
}

impl Ties {
    /// Moves a name from one directory to another.
    pub(super) fn moving<E>(&self, from: &Path, to: &Path, act: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        match (from.parent(), to.parent()) {
            (Some(source), Some(target)) => self.between(source, target, act),
            _ => act(),
        }
    }

    /// The same, where the directories are known.
    pub(super) fn between<E>(
        &self,
        source: &Path,
        target: &Path,
        act: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        if source == target {
            return act();
        }
        let gate = self.gate(source);
        let result = {
            let _nobody_syncs = gate.write().unwrap_or_else(PoisonError::into_inner);
            let result = act();
            if result.is_ok() {
                let mut state = self.state();
                state.serial += 1;
                let serial = state.serial;
                let source = state.sources.entry(source.to_path_buf()).or_default();
                source.targets.insert(target.to_path_buf(), serial);
            }
            result
        };
        self.tidy(source, gate);
        result
    }

    /// What must be synced before this directory is.
    pub(super) fn before(&self, directory: &Path) -> Vec<PathBuf> {
        self.state().sources.get(directory).map(|s| s.targets.keys().cloned().collect()).unwrap_or_default()
    }

    /// Syncs a directory while nothing leaves it; afterwards nothing has to wait for what entered it before. `act` says
    /// whether it did.
    pub(super) fn syncing<E>(&self, directory: &Path, act: impl FnOnce() -> Result<bool, E>) -> Result<bool, E> {
        let gate = self.gate(directory);
        let serial = self.state().serial;
        let result = {
            let _nobody_leaves = gate.read().unwrap_or_else(PoisonError::into_inner);
            act()
        };
        if matches!(result, Ok(true)) {
            self.entered(directory, serial);
        }
        self.tidy(directory, gate);
        result
    }

    /// What entered this directory up to a move is durable, or the directory is gone.
    pub(super) fn entered(&self, directory: &Path, serial: u64) {
        self.state().sources.retain(|_, source| {
            source.targets.retain(|target, last| target != directory || *last > serial);
            !source.targets.is_empty() || Arc::strong_count(&source.gate) > 1
        });
    }

    fn gate(&self, directory: &Path) -> Arc<RwLock<()>> {
        self.state().sources.entry(directory.to_path_buf()).or_default().gate.clone()
    }

    /// Forgets a directory that nobody waits for.
    fn tidy(&self, directory: &Path, gate: Arc<RwLock<()>>) {
        let mut state = self.state();
        drop(gate);
        if state.sources.get(directory).is_some_and(|s| s.targets.is_empty() && Arc::strong_count(&s.gate) == 1) {
            state.sources.remove(directory);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_waits_for_its_targets_and_nothing_is_kept_for_ever() {
        let ties = Ties::default();
        let ok = || Ok::<(), ()>(());
        let [new, cur, queue] = ["new", "cur", "queue"].map(Path::new);
        ties.moving(&new.join("a"), &cur.join("a"), ok).unwrap();
        ties.moving(&new.join("b"), &queue.join("b"), || Err(())).unwrap_err();
        ties.moving(&cur.join("b"), &cur.join("c"), ok).unwrap();
        assert_eq!(ties.before(new), [cur]);
        assert!(ties.before(cur).is_empty());
        ties.syncing(cur, || Err(())).unwrap_err();
        assert_eq!(ties.before(new), [cur], "a sync that failed frees nobody");
        ties.syncing(cur, || ties.moving(&new.join("d"), &cur.join("d"), ok).map(|()| true)).unwrap();
        assert_eq!(ties.before(new), [cur], "what came during the sync may not be covered by it");
        ties.syncing(cur, || Ok::<_, ()>(true)).unwrap();
        assert!(ties.before(new).is_empty() && ties.state().sources.is_empty());
    }
}
