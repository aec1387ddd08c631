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
    // A pipe's macros are empty where the mail server has nothing to tell.
    let told = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let envelope = Envelope {
        sender: options.from.0.clone(),
        recipients: options.all_recipients().map(ToString::to_string).collect(),
        class: options.class,
        kind: options.kind,
        client: Client {
            door: "deposit".to_string(),
            address: options.client_ip.as_ref().and_then(|ip| ip.0).map(|ip| ip.to_string()),
            name: told(&options.client_name),
            helo: told(&options.helo),
            queue_id: told(&options.qid),
            user: told(&options.user),
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
