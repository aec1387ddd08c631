//! The stage of a dialog that is the core itself: no sockets, no clock but the script's, input cut as small as one likes.

use super::fake::Peer;
use super::oracle;
use super::script::{Stage, play, usual_options};
use super::world::World;
use lazaret::base::Timestamp;
use lazaret::imap::Options;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// What was said on one connection, as far as it matters to whoever looks at it: pieces sent, and lines that came.
#[derive(Debug, Default)]
pub struct Said {
    pub sent: Vec<u8>,
    pub came: Vec<u8>,
}

struct Direct<'a> {
    world: Rc<RefCell<World>>,
    peers: BTreeMap<usize, (Peer, usize)>,
    options: Options,
    now: Timestamp,
    chunk: usize,
    said: &'a mut BTreeMap<usize, Said>,
}

/// Runs a script, input cut into chunks of at most `chunk` bytes.
pub fn run(script: &str, chunk: usize) -> Result<(), String> {
    record(script, chunk, &mut BTreeMap::new())
}

/// The same, and what was said on each connection.
pub fn record(script: &str, chunk: usize, said: &mut BTreeMap<usize, Said>) -> Result<(), String> {
    let world = Rc::new(RefCell::new(World::new()));
    let now = Timestamp::from_secs(1_700_000_000);
    play(script, Direct { world, peers: BTreeMap::new(), options: usual_options(), now, chunk, said })
}

impl Direct<'_> {
    fn peer(&mut self, which: usize) -> &mut (Peer, usize) {
        let now = self.now;
        self.peers.entry(which).or_insert_with(|| {
            let mut peer = Peer::new(self.world.clone(), self.options.clone());
            peer.run(now);
            (peer, 0)
        })
    }

    fn wake_all(&mut self) {
        let now = self.now;
        self.peers.values_mut().for_each(|(peer, _)| peer.run(now));
    }
}

impl Stage for Direct<'_> {
    fn options(&mut self) -> &mut Options {
        &mut self.options
    }

    fn send(&mut self, which: usize, input: &[u8]) -> Result<(), String> {
        let (chunk, now) = (self.chunk, self.now);
        self.said.entry(which).or_default().sent.extend(input);
        self.peer(which).0.send(input, chunk, now);
        self.wake_all();
        Ok(())
    }

    fn line(&mut self, which: usize) -> Result<String, String> {
        let (peer, read) = self.peer(which);
        let left = &peer.sent[*read..];
        let end = left.iter().position(|&b| b == b'\n').ok_or("nothing came")?;
        let line = left[..end].strip_suffix(b"\r").unwrap_or(&left[..end]);
        let line = String::from_utf8_lossy(line).into_owned();
        *read += end + 1;
        Ok(line)
    }

    fn change(&mut self, change: &mut dyn FnMut(&mut World)) -> Result<(), String> {
        change(&mut self.world.borrow_mut());
        self.wake_all();
        Ok(())
    }

    fn pass(&mut self, time: Duration) -> Result<(), String> {
        self.now = self.now.after(time);
        self.wake_all();
        Ok(())
    }

    fn closed(&mut self, which: usize) -> Result<(), String> {
        if self.peer(which).0.closed { Ok(()) } else { Err("the connection is open".into()) }
    }

    fn handshake(&mut self) -> Result<(), String> {
        if self.peer(1).0.handshakes == 1 { Ok(()) } else { Err("no handshake was done".into()) }
    }

    fn deflate(&mut self) -> Result<(), String> {
        if self.peer(1).0.deflates == 1 { Ok(()) } else { Err("DEFLATE was not begun".into()) }
    }

    fn finish(self) -> Result<(), String> {
        for (which, (peer, read)) in &self.peers {
            let left = &peer.sent[*read..];
            if !left.is_empty() {
                return Err(format!("connection {which}: not expected: {}", String::from_utf8_lossy(left)));
            }
            oracle::check(&peer.sent).map_err(|why| format!("connection {which}: {why}"))?;
            self.said.entry(*which).or_default().came.clone_from(&peer.sent);
        }
        if self.world.borrow().appends != 0 {
            return Err("an append was neither finished nor cancelled".into());
        }
        Ok(())
    }
}
