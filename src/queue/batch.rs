//! Several orders at once, all or none, also when the machine stops in between: the messages of one APPEND (RFC 3502).
//!
//! The file `orders/.batch-<id>` has a line for each: the temporary name, a tab, the name as an order.
//!
//! | | temporary files | batch | orders | after a crash |
//! |---|---|---|---|---|
//! | B0 written | synced, names perhaps not | – | – | swept: nothing was taken |
//! | B1 batch renamed into place, orders/ not synced | there | perhaps | – | B0 or B2 |
//! | B2 orders/ synced: decided | there | there | – | start-up renames them |
//! | B3 being renamed, orders/ not synced | some | there | some | start-up renames the rest |
//! | B4 orders/ synced, the client is answered | – | there | all | start-up finds nothing to rename |
//! | B5 batch removed | – | perhaps | all | B4, or done |
//!
//! The worker sees the orders in B5 only. A batch whose removal was lost finds no temporary file and does nothing.

use super::index::Placing;
use super::place::{NewOrder, Placed, names};
use super::{Order, Queue};
use crate::base::{Context, Fault};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

const PREFIX: &str = ".batch-";

impl Queue {
    /// Places orders whose messages lie under [`Queue::temporary`] names, synced; all or, with an error, none.
    pub fn place_together(&self, orders: Vec<NewOrder>) -> Result<(), Fault> {
        let Some(first) = orders.first().filter(|_| orders.len() > 1) else {
            return self.place(orders)?.into_iter().try_for_each(|placed| match placed {
                Placed::Placed | Placed::AlreadyThere => Ok(()),
                Placed::Not(fault) => Err(fault),
            });
        };
        let _one_at_a_time = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = self.orders().join(format!("{PREFIX}{}", first.order.message.id()));
        let mut text = String::new();
        let mut files = Vec::with_capacity(orders.len());
        for NewOrder { source, order } in orders {
            let too_long = || io::Error::new(io::ErrorKind::InvalidFilename, "its name leaves no room for an order");
            let file = order.file_name().ok_or_else(too_long).during("put into the queue", &source)?;
            let temporary = source.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            text.push_str(&format!("{temporary}\t{file}\n"));
            files.push((source, order, file));
        }
        let mut renamed = Vec::new();
        if let Err(fault) = self.rename_together(&batch, &text, &files, &mut renamed) {
            self.undo(&batch, &renamed);
            return Err(fault);
        }
        if let Err(fault) = self.disk.unlink(&batch) {
            log::warn!("{fault}: the next start removes it");
        }
        {
            let mut index = self.index();
            for (_, order, file) in files {
                index.add_order(Placing::new(order, file, None));
            }
        }
        self.wake();
        Ok(())
    }

    fn rename_together(
        &self,
        batch: &Path,
        text: &str,
        files: &[(PathBuf, Order, String)],
        renamed: &mut Vec<(PathBuf, PathBuf)>,
    ) -> Result<(), Fault> {
        self.disk.write_whole(batch, text.as_bytes())?;
        for (source, _, file) in files {
            let target = self.orders().join(file);
            self.disk.rename(source, &target)?;
            renamed.push((target, source.clone()));
        }
        self.disk.sync_dir(&self.orders())
    }

    /// Nothing was acknowledged: first the batch goes, which would do it again at the next start.
    fn undo(&self, batch: &Path, renamed: &[(PathBuf, PathBuf)]) {
        let told = |done: Result<(), Fault>| match done {
            Err(fault) if !fault.is_missing() => log::error!("{fault}: this waits for a restart"),
            _ => {}
        };
        told(self.disk.unlink(batch));
        told(self.disk.sync_dir(&self.orders()));
        renamed.iter().for_each(|(target, source)| told(self.disk.rename(target, source)));
    }

    /// Start-up: what was decided is done.
    pub(super) fn finish_batches(&self) -> Result<(), Fault> {
        let orders = self.orders();
        let all = names(&orders)?;
        let batches = all.iter().filter_map(|name| name.to_str());
        for name in batches.filter(|name| name.starts_with(PREFIX) && !name.ends_with(".new")) {
            let batch = orders.join(name);
            let text = self.disk.read(&batch)?.unwrap_or_default();
            for (temporary, file) in String::from_utf8_lossy(&text).lines().filter_map(|line| line.split_once('\t')) {
                // What stands in a file of the data directory is no path.
                let plain = temporary.starts_with('.') && !temporary.contains('/') && Order::parse(file).is_some();
                if plain && orders.join(temporary).exists() {
                    self.disk.rename(&orders.join(temporary), &orders.join(file))?;
                }
            }
            self.disk.sync_dir(&orders)?;
            self.disk.unlink(&batch)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::crash_tests::{MIXTURES, Names};
    use super::super::tests::*;
    use super::super::{Origin, Queue};
    use super::*;
    use crate::disk::{Disk, Op, Watch};
    use std::fs;
    use std::sync::{Arc, Mutex};

    const COUNT: u32 = 3;

    /// Notes every operation; one of them fails.
    struct Recorder {
        ops: Mutex<Vec<Op>>,
        fails_at: usize,
    }

    impl Watch for Recorder {
        fn before(&self, op: &Op) -> io::Result<()> {
            let mut ops = self.ops.lock().unwrap();
            ops.push(op.clone());
            if ops.len() == self.fails_at.saturating_add(1) { Err(io::Error::other("planted")) } else { Ok(()) }
        }
    }

    fn append(root: &Path, fails_at: usize) -> (Vec<Op>, Result<(), Fault>) {
        let recorder = Arc::new(Recorder { ops: Mutex::new(Vec::new()), fails_at });
        let queue = Queue::open(Disk::new(root)).unwrap();
        let queue = Queue { disk: Disk::watched(root, recorder.clone()), ..queue };
        let orders = (1..=COUNT).map(|number| {
            let source = queue.temporary(&message(number).id());
            fs::write(&source, format!("{number}")).unwrap();
            NewOrder { source, ..order(root, number, SPAM, Origin::Appended) }
        });
        let result = queue.place_together(orders.collect());
        assert_eq!(queue.counts().orders, if result.is_ok() { COUNT as usize } else { 0 });
        let ops = recorder.ops.lock().unwrap().clone();
        (ops, result)
    }

    /// After a crash before operation `at`: how many orders there are. `deaf`: syncs of directories do nothing.
    fn left(ops: &[Op], lost: &dyn Fn(usize) -> bool, deaf: bool) -> usize {
        let scratch = Scratch::new();
        let mut names = Names::default();
        for number in 1..=COUNT {
            names.op(&Op::Create(Path::new("queue/orders").join(format!(".{}", message(number).id()))));
        }
        // a file is synced before its name is used
        names.op(&Op::SyncDir("queue/orders".into()));
        let mut batch = Vec::new();
        for op in ops {
            match op {
                Op::Write(_, bytes) => batch = bytes.clone(),
                Op::SyncDir(_) if deaf => {}
                op => names.op(op),
            }
        }
        Queue::open(Disk::new(&scratch.0)).unwrap();
        for path in names.left(lost).keys() {
            let text = if path.display().to_string().contains(PREFIX) { batch.as_slice() } else { b"x" };
            fs::write(scratch.0.join(path), text).unwrap();
        }
        let queue = Queue::open(Disk::new(&scratch.0)).unwrap();
        let hidden = names_of(&queue).into_iter().filter(|name| name.starts_with('.')).count();
        assert_eq!(hidden, 0, "temporary files are swept");
        queue.counts().orders
    }

    fn names_of(queue: &Queue) -> Vec<String> {
        names(&queue.orders()).unwrap().into_iter().map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn all_or_none_whenever_it_stops() {
        let scratch = Scratch::new();
        let (ops, result) = append(&scratch.0, usize::MAX);
        result.unwrap();
        let all = COUNT as usize;
        for at in 0..=ops.len() {
            for (which, lost) in MIXTURES.iter().enumerate() {
                let orders = left(&ops[..at], lost, false);
                assert!(orders == 0 || orders == all, "{orders} after a crash before {at}, mixture {which}: {ops:?}");
                assert!(at < ops.len() || orders == all, "answered and lost, mixture {which}");
            }
        }
        let deaf = MIXTURES.iter().any(|lost| left(&ops, lost, true) != all);
        assert!(deaf, "a missing sync is not noticed");
    }

    #[test]
    fn an_error_takes_back_what_was_begun() {
        for fails_at in 0..20 {
            let scratch = Scratch::new();
            let (_, result) = append(&scratch.0, fails_at);
            let all = COUNT as usize;
            match result {
                Err(_) => assert_eq!(Queue::open(Disk::new(&scratch.0)).unwrap().counts().orders, 0, "{fails_at}"),
                Ok(()) => assert_eq!(Queue::open(Disk::new(&scratch.0)).unwrap().counts().orders, all, "{fails_at}"),
            }
        }
    }
}
