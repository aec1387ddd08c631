//! `lazaret deposit`: whatever goes wrong is "try again later" for the mail server that calls it, never a reason to send a
//! bounce to a forged sender.

use super::args::Deposit;
use super::exit::Exit;
use super::output::{clean, fail, print};
use crate::app::config::Config;
use crate::app::deposit::{Deposited, deposit};
use crate::mail::trace::Client;
use crate::work::intake::Envelope;
use std::io::IsTerminal;

/// Stores the message on standard input.
pub fn run(config: &Config, options: &Deposit) -> Exit {
    let input = std::io::stdin();
    if input.is_terminal() {
        fail("deposit reads the message from standard input: lazaret deposit --from … --to … < message");
        return Exit::NoInput;
    }
    let envelope = Envelope {
        sender: options.from.0.clone(),
        recipients: options.all_recipients().map(ToString::to_string).collect(),
        class: options.class,
        kind: options.kind,
        client: Client {
            door: "deposit".to_string(),
            address: options.client_ip.map(|ip| ip.to_string()),
            name: options.client_name.clone(),
            helo: options.helo.clone(),
            queue_id: options.qid.clone(),
            user: options.user.clone(),
        },
        ..Envelope::default()
    };
    match deposit(config, envelope, &options.verdict, input.lock()) {
        Ok(Deposited::Filed(ids)) => print(format_args!("kept, reference {}\n", ids.join(", "))),
        Ok(Deposited::Left) => print("kept; no server runs, it is filed when one does\n"),
        Err(why) => {
            fail(format_args!("deposit: not kept, try again later: {}", clean(&why)));
            return Exit::TryLater;
        }
    }
    Exit::Done
}
