//! The story of a client as text.

use std::io::{self, Write};

use super::moment::Moment;
use super::story::{MailboxPart, Story};

pub(super) fn tell(story: &Story, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "client {}", story.client)?;
    if let Some(registered) = story.registered {
        writeln!(out, "  registered {registered}")?;
    }
    match story.retired {
        Some(retired) => writeln!(out, "  retired {retired}")?,
        None => writeln!(out, "  not retired")?,
    }
    tell_keys(story, out)?;
    tell_mailboxes(story, out)?;
    tell_addresses(story, out)?;
    tell_transactions(story, out)?;
    tell_push(story, out)?;
    if story.history.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nhistory ({} events)", story.history.len())?;
    for line in &story.history {
        writeln!(out, "  {}  {}", line.moment, line.what)?;
    }
    Ok(())
}

fn tell_keys(story: &Story, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nmessaging keys ({})", story.messaging_keys.len())?;
    for key in &story.messaging_keys {
        write!(out, "  {} since {}", key.key, key.since)?;
        writeln!(out, "{}", until(key.until))?;
    }
    Ok(())
}

fn until(moment: Option<Moment>) -> String {
    moment.map_or_else(String::new, |moment| format!(", until {moment}"))
}

fn tell_mailboxes(story: &Story, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\nmessages received ({} mailboxes)",
        story.mailboxes.len()
    )?;
    for mailbox in &story.mailboxes {
        tell_mailbox(mailbox, out)?;
    }
    writeln!(
        out,
        "  messages sent: the log does not know who sent a message"
    )
}

fn tell_mailbox(mailbox: &MailboxPart, out: &mut impl Write) -> io::Result<()> {
    let state = match (mailbox.opened, mailbox.closed) {
        (None, _) => ", never opened".to_owned(),
        (Some(_), None) => String::new(),
        (Some(_), Some(closed)) => format!(", closed {closed}"),
    };
    writeln!(out, "  mailbox of {}{state}", mailbox.key)?;
    writeln!(
        out,
        "    {} came: {} acknowledged, {} expired, {} wiped, {} waiting ({} of them set aside)",
        mailbox.accepted,
        mailbox.acknowledged,
        mailbox.expired,
        mailbox.wiped,
        mailbox.waiting,
        mailbox.parked,
    )?;
    if let Some(last) = mailbox.last_arrival {
        writeln!(out, "    last message {last}")?;
    }
    if let Some(last) = mailbox.last_acknowledgement {
        writeln!(out, "    last acknowledgement {last}")?;
    }
    Ok(())
}

fn tell_addresses(story: &Story, out: &mut impl Write) -> io::Result<()> {
    let (watched, former): (Vec<_>, Vec<_>) = story
        .addresses
        .iter()
        .partition(|entry| entry.unwatched.is_none());
    writeln!(
        out,
        "\naddresses ({} watched, {} watched before)",
        watched.len(),
        former.len()
    )?;
    for entry in watched.into_iter().chain(former) {
        let address = entry.address.as_deref().unwrap_or("erased");
        write!(out, "  {address} since {}", entry.watched)?;
        writeln!(out, "{}", until(entry.unwatched))?;
    }
    Ok(())
}

fn tell_transactions(story: &Story, out: &mut impl Write) -> io::Result<()> {
    let chain = story.network.as_deref().unwrap_or("no chain");
    writeln!(
        out,
        "\ntransactions ({} on {chain})",
        story.transactions.len()
    )?;
    for transaction in &story.transactions {
        writeln!(
            out,
            "  {}: {} since {}",
            transaction.txid, transaction.state, transaction.since
        )?;
        writeln!(
            out,
            "    pays {} sat to {}, takes {} sat from it; first seen {}",
            transaction.received_sat,
            transaction.address,
            transaction.spent_sat,
            transaction.first_seen
        )?;
    }
    let erased = story
        .addresses
        .iter()
        .filter(|entry| entry.address.is_none());
    match erased.count() {
        0 => Ok(()),
        count => writeln!(
            out,
            "  what touched the {count} erased addresses cannot be told any more"
        ),
    }
}

fn tell_push(story: &Story, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\npush targets ({})", story.push_targets.len())?;
    for target in &story.push_targets {
        let service = target.service.as_deref().unwrap_or("erased");
        writeln!(
            out,
            "  {} at {service}: {} since {}, set {}",
            target.id, target.state, target.since, target.set
        )?;
        write!(
            out,
            "    woken {} times, {} wrong codes",
            target.wake_ups, target.refused_codes
        )?;
        match target.last_wake_up {
            Some(last) => writeln!(out, "; last woken {last}")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}
