//! `irqlab serve`: the page with a prompt, for a browser on this computer.

use core::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

use diagnostic::Context as _;
use serve::{Offer, Options, Server};
use sim::machine::Machine;

use crate::input::{Output, machine_file};

/// Options of `irqlab serve`.
#[derive(clap::Args)]
pub struct Args {
    /// Machine files (TOML) to choose from; the first is opened [default: the embedded machine alone]
    #[arg(value_name = "MACHINE")]
    machines: Vec<PathBuf>,
    /// Port to listen at [default: one that is free]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Loopback address to listen at; what others can reach is refused
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST, value_parser = loopback)]
    address: Ipv4Addr,
}

/// An address that only this computer reaches.
fn loopback(text: &str) -> Result<Ipv4Addr, String> {
    let expected = "expected an address of 127.0.0.0/8, which only this computer reaches; from another computer \
                    `ssh -L PORT:127.0.0.1:PORT` leads here";
    text.parse().ok().filter(Ipv4Addr::is_loopback).ok_or_else(|| expected.to_owned())
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let mut machines = Vec::new();
    for path in &args.machines {
        let (name, text) = machine_file(Some(path))?;
        Machine::parse(&name, &text)?;
        machines.push(Offer { name, text });
    }
    let mut embedded = "the embedded machine".to_owned();
    // A file may be called like this.
    while machines.iter().any(|offer| offer.name == embedded) {
        embedded.push_str(" of irqlab");
    }
    machines.push(Offer { name: embedded, text: Machine::EMBEDDED.to_owned() });
    let &Args { address, port, .. } = args;
    let server = Server::listen(Options { address, port, machines })
        .context(|| format!("cannot listen at {address}, port {port}"))?;
    let address = server.address();
    let mut told = Ok(());
    let begun = || {
        told = tell(&address);
        told.is_ok()
    };
    server.run(begun).context(|| "cannot serve".to_owned())?;
    told?;
    Ok(ExitCode::SUCCESS)
}

fn tell(address: &str) -> diagnostic::Result<()> {
    let mut out = Output::new();
    out.line(address)?;
    out.line("Open this address in a browser on this computer. It has the token in it: who knows it may use the server.")?;
    out.line("Ctrl-C ends the server.")?;
    Ok(out.finish()?)
}
