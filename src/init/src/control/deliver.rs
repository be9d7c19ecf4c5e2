//! Sends what clients are to get, as far as their sockets have room and the turn has time.

use super::client::{Job, Sent};
use super::{BURST, Context, Control, answer};
use ettan_sys::poll::Interest;
use ettan_wire::{End, ErrorCode, Finished, Known, Lost, Reply, Text};

impl Control {
    pub(super) fn finish_accepted(&mut self, slot: usize, context: &Context<'_>) {
        if self.send(slot, &Reply::Accepted, context) != Sent::Yes {
            self.drop_client(slot, context);
        }
    }

    /// Sends the last packet of an answer. A client that leaves no room for one packet has not
    /// read many: it goes.
    pub(super) fn finish(&mut self, slot: usize, reply: &Reply, context: &Context<'_>) {
        self.begin(slot, Job::Idle);
        if self.send(slot, reply, context) != Sent::Yes {
            self.drop_client(slot, context);
        }
    }

    /// Sends a packet if there is room, and closes.
    pub(super) fn end(&mut self, slot: usize, reply: &Reply, context: &Context<'_>) {
        let _ = self.send(slot, reply, context);
        self.drop_client(slot, context);
    }

    pub(super) fn send(&mut self, slot: usize, reply: &Reply, context: &Context<'_>) -> Sent {
        let Self { clients, packet, .. } = self;
        let sent = match clients.get_mut(slot).and_then(Option::as_mut) {
            Some(client) => client.send(reply, packet, context.now),
            None => Sent::Gone,
        };
        self.work |= sent == Sent::Yes;
        sent
    }

    /// Sends what a client still has to get, as far as its socket has room and the turn has time.
    pub(super) fn go_on(&mut self, slot: usize, context: &Context<'_>) {
        for _ in 0..BURST.min(self.budget) {
            self.budget = self.budget.saturating_sub(1);
            let Some(client) = self.clients.get(slot).and_then(Option::as_ref) else { return };
            let (reply, next) = match &client.job {
                Job::Idle | Job::Reloading { .. } | Job::Executing => {
                    return self.want_room(slot, false, context);
                }
                Job::Waiting { unit, name, ask } => {
                    match answer::outcome(*unit, name, *ask, context) {
                        Some(reply) => (reply, Job::Idle),
                        None => return self.want_room(slot, false, context),
                    }
                }
                &Job::Listing { next, units, diagnostics } => {
                    next_listed(next, units, diagnostics, context)
                }
                &Job::Needs { unit, nth } => match answer::next_need(unit, nth, context) {
                    (Some((unit, nth)), reply) => (reply, Job::Needs { unit, nth }),
                    (None, reply) => (reply, Job::Idle),
                },
                &Job::Conditions { next, follow } => next_condition(next, follow, context),
                &Job::Wishes { since } => match context.supervisor.wishes() != since {
                    true => {
                        let text = Text::from("units may wait for other conditions");
                        (Reply::Done(Finished { text }), Job::Idle)
                    }
                    false => return self.want_room(slot, false, context),
                },
                &Job::Following { next } => match self.ring.get(next) {
                    Some(entry) => {
                        let next = next.saturating_add(1);
                        (answer::event(entry, context), Job::Following { next })
                    }
                    None if next >= self.ring.next() => {
                        return self.want_room(slot, false, context);
                    }
                    None => {
                        let missed = self.ring.oldest().saturating_sub(next);
                        return self.end(slot, &Reply::Lost(Lost { missed }), context);
                    }
                },
            };
            match self.send(slot, &reply, context) {
                Sent::Yes => self.begin(slot, next),
                Sent::NoRoom => return self.want_room(slot, true, context),
                Sent::Gone => return self.drop_client(slot, context),
            }
        }
        // There is more, and the others wait: the next turn goes on here.
        self.want_room(slot, true, context);
    }

    pub(super) fn want_room(&mut self, slot: usize, wanted: bool, context: &Context<'_>) {
        let Some(client) = self.clients.get(slot).and_then(Option::as_ref) else { return };
        if client.wants_room == wanted {
            return;
        }
        let token = self.join(slot, client.generation);
        let interest = if wanted { Interest::Both } else { Interest::Read };
        if context.epoll.modify(&client.socket, token, interest).is_err() {
            return self.drop_client(slot, context);
        }
        if let Some(client) = self.clients.get_mut(slot).and_then(Option::as_mut) {
            client.wants_room = wanted;
        }
    }

    /// Sends an idle client away with a word.
    pub(super) fn dismiss(&mut self, slot: usize, context: &Context<'_>) {
        let text = format_args!("nothing was asked or read for too long");
        self.end(slot, &answer::refusal(ErrorCode::Idle, text), context);
    }

    /// Out of the epoll set first: a child that has not executed yet may hold a copy of the
    /// descriptor, and closing ours would leave it there (`tests/FAULTS.md` 3.9).
    pub(super) fn drop_client(&mut self, slot: usize, context: &Context<'_>) {
        if let Some(client) = self.clients.get_mut(slot).and_then(Option::take) {
            let _ = context.epoll.remove(&client.socket);
        }
    }
}

fn next_condition(next: usize, follow: Option<u32>, context: &Context<'_>) -> (Reply, Job) {
    match context.supervisor.condition_at(next) {
        Some((name, holds)) => {
            let wanted = context.supervisor.is_waited_for(next);
            (
                Reply::Condition(Known { name: Text::from(name), holds, wanted }),
                Job::Conditions { next: next.saturating_add(1), follow },
            )
        }
        None => {
            let job = follow.map_or(Job::Idle, |since| Job::Wishes { since });
            (Reply::End(End { units: 0, diagnostics: 0 }), job)
        }
    }
}

fn next_listed(next: u16, units: u32, diagnostics: u32, context: &Context<'_>) -> (Reply, Job) {
    let (next, reply) = answer::next_of_list(next, units, diagnostics, context);
    let Some(next) = next else { return (reply, Job::Idle) };
    let is_unit = matches!(reply, Reply::Unit(_));
    let job = Job::Listing {
        next,
        units: units.saturating_add(u32::from(is_unit)),
        diagnostics: diagnostics.saturating_add(u32::from(!is_unit)),
    };
    (reply, job)
}
