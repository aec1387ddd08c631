//! The sink that runs a command with the message on its standard input.

use super::{Learned, Lesson, one_line};
use crate::base::limits;
use rustix::process::{Pid, Signal, kill_process_group};
use smol::future;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use smol::process::{Child, Command as Process, Stdio};
use std::collections::HashMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::time::Duration;

/// A command that learns.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program, an absolute path, then its arguments. In arguments `{verb}` becomes `ham` or `spam`, `{id}` the
    /// message id, `{tree}` the address in whose tree it lay, `{class}` and `{kind}` why it was kept. No shell is involved.
    pub argv: Vec<String>,
    /// What exit codes mean; those not listed mean [`Meaning::Retry`], but 0 means [`Meaning::Done`] and 75 (EX_TEMPFAIL)
    /// always `Retry` unless listed.
    pub codes: HashMap<i32, Meaning>,
    /// After this it is killed, with all its children.
    pub time: Duration,
}

/// What an exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Learned, or nothing to learn.
    Done,
    /// Try again later.
    Retry,
    /// Never try this message again.
    Never,
}

impl Command {
    pub(super) async fn learn(&self, lesson: Lesson) -> Learned {
        let Some((program, args)) = self.argv.split_first() else {
            return Learned::Misconfigured("the command is empty".into());
        };
        let mut process = std::process::Command::new(program);
        process.args(args.iter().map(|arg| fill(arg, &lesson)));
        // A group of its own, so that its children can be stopped as well; nothing of our environment but the path.
        process.process_group(0).env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        let mut process = Process::from(process);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match process.spawn() {
            Ok(child) => child,
            Err(e) => return Learned::Misconfigured(format!("cannot run {program}: {e}")),
        };
        let mut group = Group(i32::try_from(child.id()).ok().and_then(Pid::from_raw));
        let late = async {
            smol::Timer::after(self.time).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        let ended = future::or(converse(&mut child, &lesson.message), late).await;
        if ended.is_ok() {
            // It was waited for, so the number may soon be somebody else's.
            group.0 = None;
        }
        drop(group);
        match ended {
            Ok((status, output)) => self.judge(status.code(), &format!("{status}: {}", one_line(&output))),
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                Learned::Retry(format!("{program} was killed after {} s", self.time.as_secs_f32()))
            }
            Err(e) => Learned::Retry(format!("{program}: {e}")),
        }
    }

    fn judge(&self, code: Option<i32>, text: &str) -> Learned {
        let meaning = code.and_then(|code| self.codes.get(&code).copied());
        match meaning.unwrap_or(if code == Some(0) { Meaning::Done } else { Meaning::Retry }) {
            Meaning::Done => Learned::Done(text.to_string()),
            Meaning::Retry => Learned::Retry(text.to_string()),
            Meaning::Never => Learned::Never(text.to_string()),
        }
    }
}

/// Kills what is left of a process group when it goes, also when the future that waits is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(e) = kill_process_group(group, Signal::KILL)
            && e != rustix::io::Errno::SRCH
        {
            log::warn!("cannot kill process group {}: {e}", group.as_raw_nonzero());
        }
    }
}

/// Feeds the message and reads the output at the same time, so that neither side waits for the other.
async fn converse(child: &mut Child, message: &[u8]) -> io::Result<(std::process::ExitStatus, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A command need not read all that it gets.
            if let Err(e) = stdin.write_all(message).await {
                log::debug!("training command: {e}");
            }
        }
    };
    let (_, (out, err)) = future::zip(feed, future::zip(gather(stdout), gather(stderr))).await;
    let status = child.status().await?;
    Ok((status, [out, err].concat()))
}

/// Reads to the end and keeps the beginning.
async fn gather(source: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut source) = source else { return kept };
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = source.read(&mut piece).await {
        let room = limits::TRAINING_OUTPUT.saturating_sub(kept.len());
        kept.extend(piece.iter().take(read.min(room)));
    }
    kept
}

/// One pass, so that what is filled in is never filled again.
fn fill(arg: &str, lesson: &Lesson) -> String {
    let entry = &lesson.entry;
    let mut filled = String::with_capacity(arg.len());
    let mut rest = arg;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        filled.push_str(before);
        let word = from.find('}').and_then(|close| from.get(..=close)).unwrap_or("{");
        match word {
            "{verb}" => filled.push_str(lesson.word()),
            "{id}" => filled.push_str(&entry.message.id()),
            "{tree}" => filled.push_str(&entry.tree.to_string()),
            "{class}" => filled.push_str(entry.message.class.word()),
            "{kind}" => filled.push_str(entry.message.kind.word()),
            other => filled.push_str(other),
        }
        rest = from.get(word.len()..).unwrap_or_default();
    }
    filled.push_str(rest);
    filled
}
