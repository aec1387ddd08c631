//! The MIME scanner over whole messages in both forms, in pieces as files are read, and in small ones.

use crate::Program;
use crate::mails::{LARGE, SMALL, with_lf};
use lazaret::base::Form;
use lazaret::mail::mime::Scanner;

/// As often every small message is scanned as there are large ones beside it.
const ROUNDS: usize = 40;

pub struct Scan {
    mails: Vec<(Form, Vec<u8>)>,
    /// Parts, and bytes in wire form, of all structures together.
    found: (usize, u64),
}

impl Scan {
    pub fn new() -> Self {
        let small = std::iter::repeat_n(SMALL, ROUNDS).flatten();
        let both = |mail: &&[u8]| [(Form::Crlf, mail.to_vec()), (Form::Lf, with_lf(mail))];
        Scan { mails: small.chain(LARGE).flat_map(both).collect(), found: (0, 0) }
    }
}

impl Program for Scan {
    fn work(&mut self) {
        for (form, mail) in &self.mails {
            for piece in [32 << 10, 500] {
                let mut scanner = Scanner::new(*form);
                mail.chunks(piece).for_each(|piece| scanner.feed(piece));
                let structure = scanner.finish();
                self.found.0 += structure.parts().len();
                self.found.1 += structure.size();
            }
        }
    }

    fn check(&self) {
        let bytes =
            |form: Form| self.mails.iter().filter(move |(of, _)| *of == form).map(|(_, mail)| mail.len() as u64);
        assert!(self.found.0 > 4 * self.mails.len(), "{} parts", self.found.0);
        assert!(self.found.1 >= 4 * bytes(Form::Crlf).sum::<u64>(), "{} bytes", self.found.1);
    }
}
