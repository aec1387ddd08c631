//! Wakes those who wait for a change of a view, a few at a time when they are many.
//!
//! A thousand sessions that idle on a folder are a thousand tasks that each look, write and send. Woken all at once at every
//! change, they would stand before whoever changes something next; woken in turns, they hear of several changes at once.

use super::views::ViewCell;
use crate::base::limits;
use event_listener::{Event, EventListener};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Views of which not all who wait were woken yet. Whoever runs the store calls [`Waking::wake_some`] as long as there is
/// something to do, and pauses between.
#[derive(Default)]
pub struct Waking {
    due: Mutex<VecDeque<Due>>,
    more: Event,
}

struct Due {
    cell: Arc<ViewCell>,
    /// So many are to be woken. Those who wait are woken in the order in which they came, so these are the ones who waited
    /// when the view last changed.
    left: usize,
}

impl Waking {
    /// The view has changed: who waits for it is woken, now or soon.
    pub fn changed(&self, cell: &Arc<ViewCell>) {
        let left = cell.waiting();
        if left <= limits::WAKE_AT_ONCE {
            cell.wake(left);
            return;
        }
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        match due.iter_mut().find(|due| Arc::ptr_eq(&due.cell, cell)) {
            Some(known) => known.left = left,
            None => due.push_back(Due { cell: cell.clone(), left }),
        }
        drop(due);
        self.more.notify(1);
    }

    /// Wakes the next few; `false`: there is nobody.
    pub fn wake_some(&self) -> bool {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut next) = due.pop_front() else { return false };
        let now = next.left.min(limits::WAKE_AT_ONCE);
        next.cell.wake(now);
        next.left -= now;
        if next.left > 0 {
            due.push_back(next);
        }
        true
    }

    /// Completes when there is more to do than there was.
    pub fn listen(&self) -> EventListener {
        self.more.listen()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scratch, store};
    use super::super::{Reach, ViewCell};
    use super::*;
    use crate::mail::{Address, Kept, Name};

    fn fired(listeners: &mut Vec<EventListener>) -> usize {
        let before = listeners.len();
        listeners.retain_mut(|listener| smol::block_on(smol::future::poll_once(listener)).is_none());
        before - listeners.len()
    }

    #[test]
    fn many_are_woken_in_turns_and_none_is_forgotten() {
        let scratch = Scratch::new("waking");
        let store = store(scratch.path());
        let tree = store.tree_for(&Address::parse("a@x.test").unwrap()).unwrap();
        let deliver = || store.deliver(&tree, Kept::Caught, Name::new(store.new_base(), 1), &[b"x"]).unwrap();
        let cell = store.view(Reach::All, Kept::Caught);
        let wait = |cell: &ViewCell, count: usize| (0..count).map(|_| cell.listen()).collect::<Vec<_>>();

        let mut few = wait(&cell, limits::WAKE_AT_ONCE);
        deliver();
        assert_eq!(fired(&mut few), limits::WAKE_AT_ONCE, "a few are woken at once");
        assert!(!store.waking().wake_some());

        let count = limits::WAKE_AT_ONCE * 3 + 1;
        let mut many = wait(&cell, count);
        deliver();
        assert_eq!(fired(&mut many), 0);
        for woken in [limits::WAKE_AT_ONCE, limits::WAKE_AT_ONCE] {
            assert!(store.waking().wake_some());
            assert_eq!(fired(&mut many), woken);
        }
        // Another change meanwhile: those who wait again must hear of it, and those who are left of both.
        let mut again = wait(&cell, 2 * limits::WAKE_AT_ONCE);
        deliver();
        while store.waking().wake_some() {}
        assert_eq!((fired(&mut many), fired(&mut again)), (limits::WAKE_AT_ONCE + 1, 2 * limits::WAKE_AT_ONCE));
    }
}
