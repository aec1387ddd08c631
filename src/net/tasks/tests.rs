use super::*;
use crate::net::Executor;
use smol::channel::{Receiver, Sender, bounded, unbounded};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Wake;

/// What a thread is told: it gets what does tasks.
type Order = Box<dyn FnOnce(&mut dyn FnMut()) + Send>;
type Act = Box<dyn FnOnce() + Send>;
/// A task that counts what it is sent: how to send, and what it counted.
type Count = (Sender<()>, Arc<AtomicUsize>);

/// A thread that does tasks when it is told to.
struct Hand {
    orders: mpsc::Sender<Order>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Hand {
    fn new(tasks: &Tasks, number: usize) -> Hand {
        let (orders, obey) = mpsc::channel::<Order>();
        let (tasks, woken) = (tasks.clone(), Arc::<Woken>::default());
        let waker = Waker::from(woken.clone());
        std::thread::spawn(move || {
            let mut run = pin!(tasks.run(number, std::future::pending()));
            let mut work = || assert!(run.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            work();
            obey.into_iter().for_each(|order| order(&mut work));
        });
        let hand = Hand { orders, woken };
        hand.hears(|| ());
        hand
    }

    /// On the thread, while it waits; returns when that is done.
    fn hears(&self, act: impl FnOnce() + Send + 'static) {
        self.order(move |_| act());
    }

    /// Hears that the task which waits for acts is to carry this one out.
    fn hears_of(&self, acts: &Sender<Act>, act: impl FnOnce() + Send + 'static) {
        let acts = acts.clone();
        self.hears(move || acts.try_send(Box::new(act)).unwrap());
    }

    /// Does what is ready.
    fn works(&self) {
        self.order(|work| work());
    }

    fn order(&self, act: impl FnOnce(&mut dyn FnMut()) + Send + 'static) {
        let (done, wait) = mpsc::channel();
        let order = move |work: &mut dyn FnMut()| {
            act(work);
            done.send(()).unwrap();
        };
        self.orders.send(Box::new(order)).unwrap();
        wait.recv().unwrap();
    }

    fn forget(&self) {
        self.woken();
    }

    /// How often it was woken since it was asked last.
    fn woken(&self) -> usize {
        self.woken.0.swap(0, Ordering::SeqCst)
    }
}

/// Two threads that are idle, the first one first, and a task that waits for acts, which it carries out.
fn two() -> (Tasks, Hand, Hand, Sender<Act>) {
    let tasks = Tasks::default();
    let (acts, obey) = unbounded::<Act>();
    tasks.spawn(async move {
        while let Ok(act) = obey.recv().await {
            act();
        }
    });
    let first = Hand::new(&tasks, 0);
    let second = Hand::new(&tasks, 1);
    assert_eq!((first.woken(), second.woken()), (0, 0));
    (tasks, first, second, acts)
}

/// A task that counts what it is sent.
fn counting(tasks: &Tasks) -> Count {
    let ((send, receive), count) = (unbounded(), Arc::<AtomicUsize>::default());
    let counted = count.clone();
    tasks.spawn(async move {
        while receive.recv().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (send, count)
}

/// The same with a task that counts, which waits, too.
fn two_and_a_count() -> (Hand, Hand, Sender<Act>, Count) {
    let (tasks, first, second, acts) = two();
    let count = counting(&tasks);
    second.works();
    [&first, &second].into_iter().for_each(Hand::forget);
    (first, second, acts, count)
}

#[test]
fn who_hears_of_an_event_does_what_follows_and_wakes_nobody() {
    let (first, second, acts, (count, counted)) = two_and_a_count();
    for (hand, other) in [(&first, &second), (&second, &first)] {
        let count = count.clone();
        hand.hears_of(&acts, move || count.try_send(()).unwrap());
        assert_eq!((hand.woken(), other.woken()), (1, 0));
        hand.works();
        assert_eq!(other.woken(), 0, "nor for what its task makes ready");
    }
    assert_eq!(counted.load(Ordering::SeqCst), 2);
}

#[test]
fn others_are_woken_for_all_but_one() {
    let (tasks, first, second, _acts) = two();
    let counts: Vec<_> = (0..3).map(|_| counting(&tasks)).collect();
    [&first, &second].into_iter().for_each(Hand::works);
    [&first, &second].into_iter().for_each(Hand::forget);
    let senders: Vec<_> = counts.iter().map(|(send, _)| send.clone()).collect();
    first.hears(move || senders.iter().for_each(|send| send.try_send(()).unwrap()));
    assert_eq!((first.woken(), second.woken()), (1, 1));
    first.works();
    assert!(counts.iter().all(|(_, counted)| counted.load(Ordering::SeqCst) == 1));
}

#[test]
fn from_elsewhere_the_one_is_woken_that_does_not_wait_for_events() {
    let (_tasks, first, second, acts) = two();
    acts.try_send(Box::new(|| ())).unwrap();
    assert_eq!((first.woken(), second.woken()), (0, 1));
}

#[test]
fn who_is_away_leaves_what_becomes_ready_to_others() {
    let (first, second, acts, (count, counted)) = two_and_a_count();
    // Before it is away, and while it is.
    for is_before in [true, false] {
        let count = count.clone();
        let act = move || {
            if is_before {
                count.try_send(()).unwrap();
            }
            let away = hand_over();
            if !is_before {
                count.try_send(()).unwrap();
            }
            drop(away);
        };
        first.hears_of(&acts, act);
        first.works();
        assert!(second.woken() > 0, "{is_before}");
        second.works();
    }
    assert_eq!(counted.load(Ordering::SeqCst), 2);
}

#[test]
fn who_is_away_has_somebody_else_wait_for_events() {
    let (_tasks, first, second, acts) = two();
    let hears = |hand: &Hand| {
        hand.hears_of(&acts, || drop(hand_over()));
        hand.woken();
        hand.works();
    };
    hears(&first);
    assert_eq!((first.woken(), second.woken()), (0, 1), "nobody does");
    second.works();
    hears(&second);
    assert_eq!((first.woken(), second.woken()), (1, 0), "it was the second one that did, whoever should have");
}

#[test]
fn tasks_that_wake_one_another_are_all_done() {
    for threads in [1, 4] {
        let executor = Executor::start(threads).unwrap();
        let (first, mut last) = bounded::<u32>(1);
        for _ in 0..500 {
            let (to, next) = bounded(1);
            let from: Receiver<u32> = std::mem::replace(&mut last, next);
            executor.tasks().spawn(async move {
                while let Ok(number) = from.recv().await {
                    to.send(number + 1).await.unwrap();
                }
            });
        }
        executor.tasks().spawn(async move {
            for number in 0..20 {
                first.send(number).await.unwrap();
            }
        });
        let (told, tell) = mpsc::channel();
        executor.tasks().spawn(async move {
            while let Ok(number) = last.recv().await {
                told.send(number).unwrap();
            }
        });
        for number in 500..520 {
            assert_eq!(tell.recv_timeout(Duration::from_secs(60)), Ok(number));
        }
    }
}

#[test]
fn a_panic_ends_its_task_and_no_thread() {
    let (tasks, first, _second, acts) = two();
    let (count, counted) = counting(&tasks);
    first.hears(move || {
        acts.try_send(Box::new(|| panic!("planted"))).unwrap();
        count.try_send(()).unwrap();
    });
    first.works();
    assert_eq!(counted.load(Ordering::SeqCst), 1);
}

/// Dropping one task wakes another while the channel between them is locked: that one must not be dropped right there.
#[test]
fn what_waits_is_dropped_at_the_end_and_what_comes_then_too() {
    struct Spawns(Tasks, Arc<()>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let held = self.1.clone();
            self.0.spawn(async move {
                std::future::pending::<()>().await;
                drop(held);
            });
        }
    }
    let executor = Executor::start(2).unwrap();
    let held = Arc::new(());
    let (begun, begin) = mpsc::channel();
    for _ in 0..50 {
        let (held, spawns) = (held.clone(), Spawns(executor.tasks().clone(), held.clone()));
        let (keep, wait) = bounded::<()>(1);
        let (one, other) = (begun.clone(), begun.clone());
        executor.tasks().spawn(async move {
            one.send(()).unwrap();
            std::future::pending::<()>().await;
            drop((keep, spawns));
        });
        executor.tasks().spawn(async move {
            other.send(()).unwrap();
            let _ = wait.recv().await;
            drop(held);
        });
    }
    for _ in 0..100 {
        begin.recv_timeout(Duration::from_secs(60)).unwrap();
    }
    let (stopped, stop) = mpsc::channel();
    std::thread::spawn(move || {
        executor.stop();
        stopped.send(()).unwrap();
    });
    stop.recv_timeout(Duration::from_secs(60)).expect("it ends");
    assert_eq!(Arc::strong_count(&held), 1);
}
