//! Process managers: events in, commands out. Each owns a checkpoint and may see an event twice.
