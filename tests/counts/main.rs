//! Five programs whose instructions `scripts/counts` counts: `counts WORD` does a fixed amount of work over fixed input, in
//! one thread. Only what `counted` calls is counted: input is made, and the outcome looked at, outside of it.

#[path = "../dialog/fake.rs"]
#[allow(dead_code)] // the dialogs use more of it
mod fake;
mod filter;
mod lines;
mod mails;
mod parse;
mod scan;
mod strip;
#[path = "../dialog/world.rs"]
#[allow(dead_code)] // the dialogs use more of it
mod world;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::ExitCode;

/// One of the five.
trait Program {
    /// The work.
    fn work(&mut self);

    /// Panics unless the work was done: a program that does nothing would be thought fast.
    fn check(&self);
}

/// A folder of a program's own, below the one that it runs in; gone with it. Its name is always the same: with the length of
/// a path all that is allocated later may lie elsewhere, and be found in more instructions or in fewer.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(format!("counts-{name}"));
        fs::remove_dir_all(&path).ok(); // of one that was killed
        fs::create_dir(&path).expect("a folder below target/ can be made");
        Scratch(path)
    }

    /// A file that is open for reading.
    fn file(&self, name: &str, bytes: &[u8]) -> File {
        let path = self.0.join(name);
        fs::write(&path, bytes).and_then(|()| File::open(&path)).expect("a file below target/ can be written")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn main() -> ExitCode {
    std::env::set_current_dir(env!("CARGO_TARGET_TMPDIR")).expect("cargo has made it");
    let mut program: Box<dyn Program> = match std::env::args().nth(1).as_deref() {
        Some("parse") => Box::new(parse::Parse::new()),
        Some("filter") => Box::new(filter::Filter::new()),
        Some("lines") => Box::new(lines::Lines::new()),
        Some("scan") => Box::new(scan::Scan::new()),
        Some("strip") => Box::new(strip::Strip::new()),
        Some("cpu") => {
            println!("{}", cpu());
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!(
                "counts parse|filter|lines|scan|strip: does that work once; scripts/counts counts its instructions"
            );
            eprintln!("counts cpu: what is seen of the CPU by code that chooses at run time");
            return ExitCode::from(2);
        }
    };
    counted(program.as_mut());
    program.check();
    ExitCode::SUCCESS
}

/// callgrind counts while this runs: its name stands in `scripts/counts`.
#[inline(never)]
fn counted(program: &mut dyn Program) {
    program.work();
}

/// The features by which memchr, crc32fast and others choose their code at run time. callgrind shows programs a CPU of its
/// own, which has no more than the real one.
#[cfg(target_arch = "x86_64")]
fn cpu() -> String {
    let features = [
        ("sse4.1", is_x86_feature_detected!("sse4.1")),
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("bmi1", is_x86_feature_detected!("bmi1")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    let has = features.iter().filter(|(_, has)| *has).map(|(name, _)| *name);
    ["x86_64"].into_iter().chain(has).collect::<Vec<_>>().join(" ")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu() -> String {
    std::env::consts::ARCH.into()
}
