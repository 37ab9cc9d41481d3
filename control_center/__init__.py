"""Decides what a studio's clients are told and when, and remembers why. `workers` delivers it.

Read from the top, this is the way of one status change in the CRM to one text on a phone:

    crm.inbox             the broker hands over CloudEvents; they are acknowledged once they are committed
    domain.event          bytes become an Event, or are set aside with the field and the reason
    engine.intake         SPINE 1. a batch of events, in one transaction
      store.events          an event seen before ends here
      domain.record         the event moves our picture of the record and of its client
      domain.reconciliation which actions there are to be, and when; a moved record moves its own
      store.actions         the difference to those there are is written
    - - - - - - - - - - - - - - - - - actions wait here, for minutes or for months - - - - - - - - - - - - - - - - -
    engine.release        SPINE 2. an action is due
      domain.planner        decide(): send, wait until, show to a person, lapse or expire, each with its reason
      domain.recipients     which people, at which numbers and addresses, by which leg of a fallback
      store.messages        a row for each text and email
      store.commands        what the CRM is asked to do: a call, a change of status
    - - - - - - - - - - - - - - - - - messages wait here, for a worker - - - - - - - - - - - - - - - - -
    workers.delivery      SPINE 3. a message, from the queue to the provider and back
      domain.planner        decide(), once more, as things are at the last moment
      domain.template       the words are written
      workers.sms, .email   the provider is asked, after the point of no return is committed
      domain.outcome        what its answer proves
      domain.message        what becomes of the message; the report to the CRM is in the same transaction
    engine.replies        SPINE 4. something comes back: a receipt, a STOP
    engine.relay          takes commands and reports from the outbox to
    crm.outbox            the CRM's exchanges, each confirmed

The same history, the same triggers and the same clock always make the same plan: `domain` awaits nothing, reads no
clock and does no I/O. `daemon` wires the parts into one process, `cli` is the way in for hands, `web` for programs.
"""
