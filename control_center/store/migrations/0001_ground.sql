-- The truth about data. A fresh database is made from this file; an older one reaches the same shape through
-- control_center/store/migrations/, and a test compares the two.
--
-- Every table carries studio_id first in its primary key: one installation serves one studio or ten thousand,
-- and the whole schema can be distributed by that column. Every instant is timestamptz. Bodies that PostgreSQL
-- need not look into are text, not jsonb: parsing them would double the price of an insert.

create table schema_version (
    version    integer     not null primary key,
    checksum   text        not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table schema_version is 'One row for each step this database has taken. `run` refuses a database behind its code.';


-- Studios --------------------------------------------------------------------------------------------------

create table studios (
    studio_id text    not null primary key,
    name      text    not null,
    timezone  text    not null,                       -- an IANA name; every calendar rule is evaluated in it
    country   text    not null,                       -- ISO 3166 alpha-2; decides how numbers and dates are read and written
    settings  text    not null default '{}',          -- JSON: sms, email, address and the rest of the studio resource
    numbers   text[]  not null default '{}',          -- the settings' numbers, then its failover_numbers, as messages spell them
    enabled   boolean not null default true,          -- false: nothing is released and nothing is sent
    -- Rises with every change that a decision depends on: zone, settings, blackout days, triggers, templates, users
    -- who have left. What was decided under one revision may be acted on only while it is still the revision. It
    -- begins at the time of day, so that a studio that is deleted and made again does not look like the first.
    revision  bigint  not null default extract(epoch from clock_timestamp()) * 1000000,
    -- Rises when a section of the catalogue is replaced: what a process remembers of its names no longer holds. Of
    -- the catalogue, decisions depend on who is active alone, so this is not the revision above; it begins likewise.
    catalog_revision bigint not null default extract(epoch from clock_timestamp()) * 1000000,
    zones     text    not null default ''             -- the release of the time zones that what waits here was placed by
);
comment on table studios is 'Who we send for. Its row is locked FOR SHARE by intake, so that saving a trigger sees every record or none.';

-- serves store.conversations.STUDIOS_AT: to whom was this text sent?
create index studios_by_number on studios using gin (numbers);

create table blackouts (
    studio_id   text   not null references studios on delete cascade,
    blackout_id bigint not null generated always as identity,
    name        text   not null,
    first_day   date,                                 -- a single day has first_day = last_day
    last_day    date,
    yearly      text,                                 -- MM-DD, instead of the two
    primary key (studio_id, blackout_id),
    check ((yearly is null) = (first_day is not null) and (first_day is null) = (last_day is null)),
    check (first_day <= last_day),
    check (yearly ~ '^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$')
);
comment on table blackouts is 'Whole local days on which a studio sends nothing.';

create table templates (
    studio_id text   not null references studios on delete cascade,
    name      text   not null,
    body      text   not null,                        -- JSON: kind, purpose, sms, subject, text, html, layout
    frame     text,                                   -- its layout as HTML with fields, as it was when this was saved
    version   integer not null default 1,             -- rises with each change: an edit names the one it was made from
    primary key (studio_id, name)
);
comment on table templates is 'Words with fields, written by the studio in Liquid.';


-- The catalogue: what the CRM has ----------------------------------------------------------------------------

create table catalog_sections (
    studio_id text        not null references studios on delete cascade,
    section   text        not null,                   -- statuses, types, users, …
    told_at   timestamptz not null,                   -- when the event happened that replaced it last
    primary key (studio_id, section)
);
comment on table catalog_sections is 'How new each section is that the CRM has told: an older event never replaces it.';

create table catalog_entries (
    studio_id text    not null references studios on delete cascade,
    section   text    not null,
    kind      text    not null default '',            -- of a status or type: which records it is for; else empty
    name      text    not null,
    part      text    not null default '',            -- of a status: the type it is for, empty for all; of a user: the address
    place     integer,                                -- order within the section; null for a name that a record showed
    details   text    not null default '{}',          -- JSON: everything else that was said of it
    primary key (studio_id, section, kind, name, part)
);
comment on table catalog_entries is 'Statuses, types, people, forms and the like: what a trigger may name.';


-- Events in ------------------------------------------------------------------------------------------------

create table events (
    studio_id   text        not null,
    source      text        not null,
    event_id    text        not null,
    type        text        not null,
    subject     text        not null,
    time        timestamptz not null,                 -- when it happened, as the CRM says
    received_at timestamptz not null default clock_timestamp(),
    body        text        not null,
    verdict     text        not null default 'taken' check (verdict in (
        'taken',        -- it moved our picture of a record
        'superseded',   -- its version was not newer: it changed nothing
        'loaded'        -- a snapshot: it loaded history and fired nothing
    )),
    primary key (studio_id, source, event_id)
);
comment on table events is 'Every event understood, once. The key absorbs copies for as long as the row is kept (30 days at least).';

-- serves store.pruning.EVENTS and store.views_events.EVENTS: by age, newest first
create index events_by_age on events (studio_id, received_at, source, event_id);
-- serves store.views_events.EVENTS: what do we know of this record?
create index events_by_subject on events (studio_id, subject, received_at);

create table event_numbers (
    studio_id     text           not null,
    source        text           not null,            -- that counts its events
    newest        bigint         not null,            -- the highest number that has come
    missing       int8multirange not null default '{}',  -- lower ones that have not
    missing_since timestamptz,                        -- since when there is any; null while all have come
    told          int8multirange not null default '{}',  -- of the missing, those that were told of
    primary key (studio_id, source)
);
comment on table event_numbers is 'How far each source that counts its events has come, and what never arrived.';

create table dead_events (
    dead_id     bigint      not null generated always as identity primary key,
    body        bytea       not null,                 -- the bytes as they came: they may be anything, and name no studio we know
    field       text        not null,
    reason      text        not null,
    received_at timestamptz not null default clock_timestamp(),
    by_broker   boolean     not null default false,   -- the broker had set it aside: nobody had it until it was brought over
    replayed_at timestamptz,                          -- set once a replay was understood
    discarded_at timestamptz,                         -- set once a person said that nobody needs it
    check (replayed_at is null or discarded_at is null)
);
comment on table dead_events is 'Bodies that could not be understood, kept until mended. The one table without a studio: a dead body belongs to none yet.';

-- serves store.dead_queue.BROUGHT: what does nobody have that the broker had set aside?
create index dead_events_brought on dead_events (received_at)
    where by_broker and replayed_at is null and discarded_at is null;


create table dead_queue (
    name         text        not null primary key default 'events' check (name = 'events'), -- one for the whole database
    copies       bigint      not null default 0 check (copies >= 0), -- at most so many copies of ours lie in it
    copied_at    timestamptz not null default '-infinity', -- when one was put there last
    others       bigint      not null default 0 check (others >= 0), -- at least so many lie in it that are none of ours
    others_since timestamptz,                         -- since when there is any; null while there is none
    look_at      timestamptz not null default '-infinity', -- nobody looks into it before
    check ((others > 0) = (others_since is not null))
);
comment on table dead_queue is
    'What is known of the broker''s dead queue, which is only ever counted: to look at a message in it is a delivery.';

insert into dead_queue default values;


-- Records: our picture of the CRM --------------------------------------------------------------------------

create table records (
    studio_id   text        not null,
    kind        text        not null,                 -- client, session, appointment, invoice, …
    record_id   text        not null,
    version     bigint      not null,                 -- the CRM's; never goes backwards
    client_id   text,                                 -- whom it belongs to; null where unlinked, and for a client itself
    deleted     boolean     not null default false,
    body        text        not null,                 -- the record's JSON as the CRM sent it, and what a client has answered since
    reach       text[],                               -- of a client: every number and address of theirs and their family, as messages spell it
    -- What we knew when we first heard of it. Occurrences that were already past then are history, not news.
    first_version bigint      not null,               -- the lowest version seen so far
    first_facts   text,                               -- JSON of status entry and dates in that version; null: we saw it created
    known_since   timestamptz,                        -- the time of that version; null with first_facts
    changed_at  timestamptz not null default clock_timestamp(),
    erased_at   timestamptz,                          -- its client was erased: the version counts, and nothing else is left
    primary key (studio_id, kind, record_id),
    check ((first_facts is null) = (known_since is null))
);
comment on table records is
    'The newest version of every record and client. Changes by events; an answer of the client counts until the next version.';

-- serves store.conversations.CLIENTS_AT: whose number is this?
create index records_by_reach on records using gin (reach) where kind = 'client';
-- serves store.erasures.RECORDS: what is a client's
create index records_by_client on records (studio_id, client_id) where client_id is not null;


-- Triggers -------------------------------------------------------------------------------------------------

create table triggers (
    studio_id  text    not null references studios on delete cascade,
    trigger_id bigint  not null generated by default as identity,
    name       text    not null,
    version    integer not null,
    kind       text    not null,
    enabled    boolean not null,
    paused     text check (paused in (
        'hold',         -- what was pending when it was switched off is held, and goes on when it is switched on
        'drain'         -- what was pending still goes out, and nothing new is planned
    )),                                               -- null: it is enabled, or nothing of it waits
    primary key (studio_id, trigger_id),
    unique (studio_id, name),
    check (paused is null or not enabled)
);
comment on table triggers is 'Saved rules by name; what each says stands in its current version.';

create table trigger_versions (
    studio_id  text        not null,
    trigger_id bigint      not null,
    version    integer     not null,
    definition text        not null,                  -- JSON of the [[trigger]] table of contract part 6
    saved_at   timestamptz not null default clock_timestamp(),
    saved_by   text        not null,
    pending    text        not null default 'follow' check (pending in ( -- what became of what waited when it was saved
        'follow',       -- planned anew under this version
        'keep',         -- left to go by the version that planned it
        'hold',         -- switched off: held until it is switched on
        'drain',        -- switched off: still goes out
        'drop'          -- switched off: deleted
    )),
    kept       boolean     not null default false,    -- a later version said keep: actions that name this one go by it
    primary key (studio_id, trigger_id, version),
    foreign key (studio_id, trigger_id) references triggers on delete cascade
);
comment on table trigger_versions is 'Every version of every trigger: actions and messages name the one that made them.';


-- Actions: decisions waiting for their time ----------------------------------------------------------------

create table actions (
    studio_id     text        not null,
    kind          text        not null,
    record_id     text        not null,
    trigger_id    bigint      not null,
    occurrence    text        not null,               -- what makes this activation different from the last one
    action_id     bigint      not null generated always as identity,
    trigger_version integer   not null,
    state         text        not null check (state in (
        'planned',      -- waits for due_at; reason says what it waits for
        'review',       -- due, and waits for a person to process, skip or delete it
        'held',         -- stopped by the blast guard, a fence or an operator; needs a person
        'released',     -- its messages and commands exist
        'lapsed',       -- no longer qualifies; returns to planned when it qualifies again before its use-by
        'expired',      -- ended without a send: past its use-by, too late, or nobody to send to
        'deleted',      -- a person dropped it
        'baselined'     -- was already past when the trigger was saved or the record first seen; never sends
    )),
    activation_at timestamptz not null,               -- the activation, before any window or blackout day
    due_at        timestamptz not null,               -- where to look next: the first open instant known when it was written
    use_by        timestamptz not null,               -- never sent later
    reason        text        not null default '',    -- why it is in this state, in words
    event_id      text,                               -- the event that planned it, for the trail
    chain         text        not null default '',    -- ids of the triggers that led to it: none fires again for it
    released_at   timestamptz,
    released_by   text,                               -- a person's name when processed by hand
    let_go_by     text,                               -- the person who let it go past the blast guard, which no longer counts it
    created_at    timestamptz not null default clock_timestamp(),
    planned_at    timestamptz not null default clock_timestamp(), -- when its record or its trigger gave it the time that it has
    primary key (studio_id, kind, record_id, trigger_id, occurrence),
    unique (studio_id, action_id),
    check ((state = 'released') = (released_at is not null))
);
comment on table actions is
    'One row for each (record, trigger, occurrence), ever: the key is why nothing is sent twice. It names no event and no version.';
-- The primary key begins with the record, so that it also serves store.actions.OF_RECORDS, the read of what a record has pending.

-- serves store.actions.CLAIM_DUE: what is due, oldest first
create index actions_due on actions (due_at, action_id) where state = 'planned';
-- serves store.waiting.TOUCHED_BY_DAYS, store.waiting.OF_STUDIO, store.actions.WAITING and the lists by state: what
-- waits in this studio, by time
create index actions_waiting on actions (studio_id, state, due_at) where state in ('planned', 'review', 'held');
-- serves store.actions.OF_TRIGGER and store.scores.WAITING: what does this trigger have?
create index actions_by_trigger on actions (studio_id, trigger_id, state);

alter table actions set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create table ladders (
    studio_id text        not null,
    action_id bigint      not null,
    rung      smallint    not null,                   -- the next one, from 0
    due_at    timestamptz not null,                   -- where to look next: its time before the date, or the next open instant
    reason    text        not null default '',        -- what it waits for beyond its time
    primary key (studio_id, action_id)
);
comment on table ladders is 'Released actions that go another way if nothing has come of them by a time. A row goes when its ladder is done with.';

-- serves store.ladders.CLAIM_DUE: what is due, oldest first
create index ladders_due on ladders (due_at, action_id);

alter table ladders set (fillfactor = 80);

-- No foreign key from these two: a trigger that is deleted while a batch of it is released must not fail the batch.
create table release_guards (
    studio_id  text        not null,
    trigger_id bigint      not null,
    recent     text        not null default '',       -- minute:number pairs of what went by itself in the last hour
    held_since timestamptz,                           -- null: open. Else whatever is due of the trigger is held …
    reason     text        not null default '',       -- … for this reason, until a person has decided
    primary key (studio_id, trigger_id),
    check (held_since is not null or reason = '')
);
comment on table release_guards is
    'The blast guard of each trigger. Its row is locked while a batch of the trigger is released: two cannot both pass the ceiling.';

-- serves store.release_guards.SHUT and store.views_health.GUARDED: who waits for a person?
create index release_guards_shut on release_guards (studio_id, trigger_id) where held_since is not null;

alter table release_guards set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create table release_counts (
    studio_id  text        not null,
    trigger_id bigint      not null,
    hour       timestamptz not null,                  -- when it began, in UTC
    released   integer     not null,                  -- what went by itself; what a person let go or processed is left out
    primary key (studio_id, trigger_id, hour)
);
comment on table release_counts is 'What is ordinary for a trigger: its busiest hour of 28 days raises its ceiling.';

-- serves store.pruning.RELEASE_COUNTS
create index release_counts_by_hour on release_counts (hour);

alter table release_counts set (fillfactor = 80);


-- Searching words --------------------------------------------------------------------------------------------

-- A word is indexed under its studio and under the block of 32768 messages that it stands in: a search goes from block
-- to block, newest first, and ends with its page. So a word that every message has costs no more than a rare one, and
-- what a studio looks for never touches what others wrote. Decision 36 has the figures.
create function words_said(studio_id text, message_id bigint, subject text, body text) returns tsvector
language sql immutable parallel safe
return (
    select coalesce(array_to_tsvector(array_agg(studio_id || '/' || (message_id >> 15) || '/' || word)), '')
      from unnest(tsvector_to_array(to_tsvector('simple', left(concat_ws(' ', subject, body), 20000)))) as word
     where octet_length(word) <= 200
);
comment on function words_said is 'The words of a message, as they are indexed. Of a very long one the first 20000 characters.';

create function words_sought(studio_id text, block bigint, text text) returns tsquery
language sql immutable parallel safe
return (
    select string_agg(
               '''' || replace(replace(studio_id || '/' || block || '/' || word, '\', '\\'), '''', '''''') || ''':*',
               ' & ')::tsquery
      from unnest(tsvector_to_array(to_tsvector('simple', text))) as word
);
comment on function words_sought is 'Messages of a block that have every word of a text, or a longer word that begins with it. Null where it has no words.';


-- Messages: one SMS or email to one address ----------------------------------------------------------------

create table messages (
    studio_id   text        not null,
    message_id  bigint      not null generated always as identity,
    origin      text        not null check (origin in (
        'trigger',      -- an action was released
        'person',       -- somebody of the studio wrote to one address
        'bulk',         -- one of the frozen list of a bulk
        'answer',       -- what STOP and HELP are answered with: no consent is asked, no hours are kept
        'client'        -- it came in
    )),
    purpose     text        not null check (purpose in ('transactional', 'marketing')),
    action_id   bigint,                               -- of a trigger's alone
    channel     text        not null check (channel in ('sms', 'email')),
    address     text        not null,                 -- theirs: E.164, or a normalised email address
    account     text        not null,                 -- channel/name of the provider account that carries it
    sender      text        not null,                 -- ours, whichever way it goes
    recipient   text        not null,                 -- JSON: who they are (role, name), for the template and the list
    kind        text,                                 -- the record it is about; null: none in particular …
    record_id   text,
    client_id   text,                                 -- … and whose; null: not linked to a client
    trigger_id  bigint,
    trigger_version integer,
    state       text        not null check (state in (
        'queued',       -- waits for due_at, then for a worker
        'held',         -- stopped by a breaker, a plan limit or a fence, or said by another message; costs no attempt
        'claimed',      -- one worker prepares it; nothing has left
        'submitting',   -- the point of no return, committed before the first byte leaves; never queued again but by proof that none left
        'accepted',     -- the provider took it
        'delivered',    -- a receipt says it arrived
        'undelivered',  -- a receipt says it did not
        'failed',       -- refused for good, or out of attempts; nothing was taken
        'unknown',      -- may have been taken; settled by a receipt, the provider or a person, never by another text
        'cancelled',    -- no longer qualified at the last check
        'suppressed',   -- the address has said STOP, or takes no texts
        'expired',      -- its use-by passed before it could go
        'shadow',       -- recorded only, by a trigger in shadow mode
        'received'      -- incoming
    )),
    reason      text        not null default '',
    -- What a worker takes first: answers and what a person wrote, then reminders, then bulk.
    priority    smallint    not null generated always as (
        CASE origin WHEN 'trigger' THEN 1 WHEN 'bulk' THEN 2 ELSE 0 END) stored,
    due_at      timestamptz not null,                 -- from when a worker may take it
    slot_at     timestamptz,                          -- the place that its sender number has kept for it; good for a minute
    use_by      timestamptz not null,
    asked       integer     not null default 0,       -- how often a provider was asked: numbers the attempts
    tries       integer     not null default 0,       -- those that count towards the limit; waiting never costs one
    claims      integer     not null default 0,       -- claims since it last moved on: three lost ones are poison
    lease_token bigint      not null default 0,       -- rises with each claim; every later write of the owner names it
    lease_owner uuid,
    lease_until timestamptz,                          -- on the database's clock
    subject     text,
    body        text,                                 -- the exact words of the last attempt; of a trigger's null before
    html        text,                                 -- of an email that was written before it was claimed
    calendar    boolean     not null default false,   -- … and whether its record goes along for the recipient's calendar
    provider_id text,
    nonce       uuid        not null default gen_random_uuid(), -- keeps an email's Message-ID from being guessed
    question    text check (question in (
        'confirmation', -- a YES in reply confirms the record
        'nps'           -- a number in reply is the record's score
    )),
    asked_date  text,                                 -- … and the date of the record that the question is about
    enrols      text,                                 -- JSON: the referral program that its client enters once it is handed over
    resolved_by text,                                 -- the person who settled an unknown one
    made_by     text,                                 -- the person who wrote it
    bulk_id     bigint,                               -- of a bulk's: which one
    rides_with  bigint,                               -- on a calm day: the message whose text says its words, too
    parent_id   bigint,                               -- the message, proven not sent, that a person sent this one instead of
    assigned_to text,                                 -- the person of the studio who is to see to it
    task        text,                                 -- the command that asked the CRM for a task about it
    charged_on  date,                                 -- the day whose money it was let pass for, where that is limited
    segments    smallint,                             -- what a carrier counts and bills, once it was written; of an email null
    meaning     text,                                 -- of an incoming one: what the interpreter of replies took it for
    attention   text,                                 -- … and why somebody of the studio should look at it
    read_at     timestamptz,                          -- … and when somebody did
    media       text[],                               -- … and the addresses of its pictures, which nobody fetches
    moved_from  text[],                               -- the accounts that certainly did not send it, before a failover
    -- Of what a fence has held, for good: the database may have forgotten an attempt of it, and who names that one is believed.
    forgotten   text check (forgotten in (
        'perhaps',      -- nobody knows whether it went by that
        'denied'        -- a person said that it did not
    )),
    created_at  timestamptz not null default clock_timestamp(),
    sent_at     timestamptz,                          -- accepted
    ended_at    timestamptz,
    erased_at   timestamptz,                          -- its client was erased: whose it was and what it said is gone for good
    primary key (studio_id, message_id),
    unique (studio_id, action_id, channel, address),
    check ((state in ('claimed', 'submitting')) = (lease_until is not null)),
    check ((lease_until is null) = (lease_owner is null)),
    check (state not in ('accepted', 'delivered', 'undelivered') or sent_at is not null),
    check ((origin = 'trigger') = (action_id is not null)),
    check ((action_id is null) = (trigger_id is null) and (trigger_id is null) = (trigger_version is null)),
    check ((origin = 'client') = (state = 'received')),
    check ((kind is null) = (record_id is null))
);
comment on table messages is
    'One row for each (action, channel, address), from release on; and one for each text or email of any other origin.';

-- serves store.messages.CLAIM_DUE: what a worker of this account may take, the oldest of each priority first
create index messages_due on messages (account, priority, due_at, message_id) where state = 'queued';
-- serves store.bulk_release.WAITING, store.bulk_release.UNDER_WAY and store.bulks.HOLD: what of bulk has not left yet
create index messages_of_bulk on messages (studio_id, bulk_id)
    where origin = 'bulk' and state in ('queued', 'claimed', 'held', 'submitting');
-- serves store.riders.FOLLOW: what another message says, too, until that one has come to something
create index messages_riding on messages (studio_id, message_id) where state = 'held' and rides_with is not null;
-- serves store.message_leases.RESCUE_EXPIRED_LEASES. On lease_until, not on the state: the guarded updates would
-- otherwise choose it and walk its dead entries.
create index messages_leased on messages (lease_until) where lease_until is not null;
-- serves store.receipts.FIND, store.receipts.TAKE_OUT: receipts that do not carry our reference
create index messages_by_provider_id on messages (account, provider_id) where provider_id is not null;
-- serves store.breakers.RETURN_HELD, store.failovers.MOVE: what is held because of its account, apart from the many
-- that wait for a plan or a person
create index messages_held on messages
    (account, (starts_with(reason, 'breaker:') or starts_with(reason, 'failover:')), message_id) where state = 'held';
-- serves store.usage.HOLDING, store.usage.LET_GO: what waits for a studio's plan, reminders first, the oldest first
create index messages_over_plan on messages (studio_id, priority, message_id) where state = 'held' and starts_with(reason, 'plan:');
-- serves store.spending.HOLDING, store.spending.LET_GO, store.spending.SHUT: what waits because the day's money is spent
create index messages_over_money on messages (studio_id, priority, message_id) where state = 'held' and starts_with(reason, 'money:');
-- serves store.usage.SPENT, and what store.submissions.STEP asks of a plan: what is with a provider, or may be
create index messages_out on messages (studio_id) where channel = 'sms' and state in ('submitting', 'unknown');
-- serves store.expiry.EXPIRE_MESSAGES: what waits and is of no use any more
create index messages_expiring on messages (use_by) where state in ('queued', 'held');
-- serves store.receipts.FIND: our reference at a provider names a message, not its studio. A studio's list, newest
-- first, is the primary key read backwards.
create index messages_by_number on messages (message_id);
-- serves store.doubts.UNDECIDED: what may have been taken
create index messages_unknown on messages (account, message_id) where state = 'unknown';
-- What is read by address, record or client has two indexes for each, of what waits and of what is gone: see
-- store.halves. That of what waits is spelled so that only who names it gets it: the guarded updates would choose it
-- otherwise, and walk its dead entries. All of these serve store.views_messages.MESSAGES and store.erasures.MESSAGES, and besides:
-- store.consents.SUPPRESS, store.dead_numbers.SUPPRESS, store.waiting.WITHDRAW: what would go to an address
create index messages_waiting_by_address on messages (studio_id, lower(address), message_id)
    where lower(address) is not null and (state in ('queued', 'held', 'claimed')) is true;
-- store.conversations.ASKED, store.conversations.LAST_WRITTEN, store.conversations.SAID_BEFORE, store.dead_numbers.TIMES,
-- store.firsts.HAD, store.senders.LAST: what passed between us and an address, however its letters are written
create index messages_by_address on messages (studio_id, lower(address), message_id)
    where state not in ('queued', 'held', 'claimed');
-- How many there are to an address: of an index of a part, the planner would not believe it.
create statistics messages_addresses on lower(address) from messages;
-- store.waiting.HAND_OVER, store.waiting.TAKE_OVER: what is to be written about a record
create index messages_waiting_by_record on messages (studio_id, kind, record_id, message_id)
    where record_id is not null and (state in ('queued', 'held', 'claimed')) is true;
-- store.views_messages.MESSAGES: what was written about a record
create index messages_by_record on messages (studio_id, kind, record_id, message_id)
    where state not in ('queued', 'held', 'claimed');
-- store.waiting.WITHDRAW, store.day_shares.RIVALS: what waits for a client
create index messages_waiting_by_client on messages (studio_id, client_id, message_id)
    where client_id is not null and (state in ('queued', 'held', 'claimed')) is true;
-- store.day_shares.RIVALS: what passed between us and a client
create index messages_by_client on messages (studio_id, client_id, message_id)
    where client_id is not null and state not in ('queued', 'held', 'claimed');
-- serves store.views_messages.MESSAGES: what a trigger sent
create index messages_by_trigger on messages (studio_id, trigger_id, message_id) where trigger_id is not null;
-- serves store.views_messages.MESSAGES: what is in a state that few are in. The two that a message only passes are
-- left out.
create index messages_by_state on messages (studio_id, state, message_id) where state not in ('claimed', 'submitting');
-- serves store.views_messages.MESSAGES: what is nobody's, as far as we know
create index messages_unlinked on messages (studio_id, message_id) where client_id is null;
-- serves store.views_messages.MESSAGES: what came in and nobody has read
create index messages_unread on messages (studio_id, message_id) where state = 'received' and read_at is null;
-- serves store.views_messages.MESSAGES: what somebody should look at
create index messages_attention on messages (studio_id, message_id) where attention is not null and read_at is null;
-- serves store.views_messages.MESSAGES: what is whose to see to
create index messages_assigned on messages (studio_id, assigned_to, message_id) where assigned_to is not null;
-- serves store.views_messages.MESSAGES, store.views_bulks.PROGRESS: what is of a bulk
create index messages_by_bulk on messages (studio_id, bulk_id, message_id) where bulk_id is not null;
-- serves store.views_messages.MESSAGES: what somebody wrote, or their bulks
create index messages_by_author on messages (studio_id, made_by, message_id) where made_by is not null;
-- serves store.views_messages.MESSAGES: emails, of which many a studio has few beside its texts
create index messages_by_mail on messages (studio_id, message_id) where channel = 'email';
-- serves store.desk.REPLACED_BY: was it written again already?
create index messages_by_parent on messages (studio_id, parent_id) where parent_id is not null;
-- serves store.message_search.SEARCH: the words of what came in, and of what a person wrote or a trigger in shadow would
-- have. What else went out is found by its attempts, which are written once, while a message changes five times.
create index messages_by_words on messages using gin (words_said(studio_id, message_id, subject, body))
    with (gin_pending_list_limit = 512)
    where origin in ('client', 'person') or state = 'shadow';

alter table messages set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create table day_shares (
    studio_id text     not null,
    whom      text     not null,                      -- sms and a number: its marketing texts; client and an id: of a calm day
    day       date     not null,                      -- by the clock of the recipient, or of the studio for a calm day
    share     smallint not null,                      -- 1, 2, …: there are as many as may go that day
    holder    text     not null,                      -- m-<message>, or a-<action> whose messages share it
    primary key (studio_id, whom, day, share)
);
comment on table day_shares is
    'Who has gone on somebody''s day: taken in the statement that lets a message go, so that no two take the same share.';

-- serves store.pruning.DAY_SHARES
create index day_shares_by_day on day_shares (day);

create table attempts (
    studio_id   text        not null,
    message_id  bigint      not null,
    number      integer     not null,                 -- 1, 2, …: counts every time a provider was asked
    key         text        not null,                 -- our reference at the provider: m-<message>.<number>
    lease_token bigint      not null,
    subject     text,
    body        text        not null,                 -- the exact words that left …
    html        text,                                 -- … and their HTML, in an email that has it
    started_at  timestamptz not null,                 -- committed before the first byte
    ended_at    timestamptz,
    outcome     text check (outcome in ('accepted', 'not_sent', 'blocked', 'refused', 'unknown')),
    code        text,
    reason      text,
    provider_id text,
    carries     bigint[],                             -- the messages whose words stand in it, too
    primary key (studio_id, message_id, number),
    check ((outcome is null) = (ended_at is null))
);
comment on table attempts is 'Append-only: one row for each time a provider was asked. Facts, even from a worker that lost its lease.';

-- serves store.message_search.SEARCH: the words that went out. From the outcome on, which is written once: of what is
-- indexed before, most would be indexed again with it.
create index attempts_by_words on attempts using gin (words_said(studio_id, message_id, subject, body))
    with (gin_pending_list_limit = 512)
    where outcome is not null;

create table receipts (
    studio_id   text        not null,                 -- empty while it names a message we do not know (yet)
    receipt_id  bigint      not null generated always as identity,
    account     text        not null,
    dedupe_key  text        not null,                 -- a repeat of one already stored changes nothing
    key         text,                                 -- our reference, where the provider echoes it
    provider_id text,
    fate        text        not null check (fate in ('sent', 'delivered', 'undelivered')),
    code        text,
    reason      text,
    opted_out   boolean     not null default false,   -- the code means that the address said STOP at the provider
    dead        boolean     not null default false,   -- the code means that the number takes no texts
    body        text        not null,                 -- what came, for the person who has to decide
    message_id  bigint,                               -- null: names a message we do not know (yet)
    received_at timestamptz not null default clock_timestamp(),
    numbers     text[],                               -- of a message centre's: the numbers it is between, by their digits …
    spellings   text[],                               -- … and how else the centre may have spelled its id to us
    primary key (studio_id, receipt_id),
    unique (studio_id, account, dedupe_key),
    check ((studio_id = '') = (message_id is null))
);
comment on table receipts is 'What providers said afterwards. Stored first, then folded into the message by a fixed rank.';

-- serves store.receipts.TAKE_OUT: receipts that came before we knew the provider''s id
create index receipts_unmatched on receipts (account, provider_id) where message_id is null;
-- serves store.views_attempts.RECEIPTS_OF_MESSAGE
create index receipts_by_message on receipts (studio_id, message_id) where message_id is not null;

create table consents (
    studio_id  text        not null,
    channel    text        not null check (channel in ('sms', 'email')),
    address    text        not null check (address = lower(address)), -- one unsubscribes, however the CRM spells them
    purpose    text        not null check (purpose in (
        'all',          -- whatever we might write
        'marketing'     -- what is no reminder, invoice or the like: an unsubscribed address still gets those
    )),
    consent_id bigint      not null generated always as identity,
    says       text        not null check (says in (
        'stop',         -- STOP, unsubscribed, a complaint, a block at the provider: nothing more of that purpose
        'start',        -- an explicit opt-in, the one thing that lifts a stop
        'doubt',        -- may be an opt-out: what goes out by itself is held until a person has read it
        'no_stop'       -- a person has read it: it was none
    )),
    source     text        not null,                  -- reply, provider, person: …, link, bounce, …
    evidence   text        not null,                  -- what was said, in their words
    said_at    timestamptz,                           -- when it was said, as the provider tells; null: it does not
    at         timestamptz not null default clock_timestamp(),
    primary key (studio_id, channel, address, purpose, consent_id),
    check (purpose = 'all' or says in ('stop', 'start'))
);
comment on table consents is
    'Append-only: what each address said. The newest row of a purpose counts; ticking a box in the CRM never undoes it.';

create function refuse_to_forget() returns trigger language plpgsql as
$$ begin raise exception '% only grows: a line in it is proof, and stays as it was written', tg_table_name; end $$;
comment on function refuse_to_forget is 'Keeps a ledger append-only, whatever the code that writes it may do one day.';

create trigger consents_only_grow before delete or truncate on consents
    for each statement execute function refuse_to_forget();

-- What was said in their words may be emptied, where a person is erased. That, when and how they said it stays.
create trigger consents_stay_as_they_are before update on consents
    for each row when (
        new.evidence <> ''
        or (new.studio_id, new.channel, new.address, new.purpose, new.consent_id, new.says, new.source, new.said_at, new.at)
           is distinct from
           (old.studio_id, old.channel, old.address, old.purpose, old.consent_id, old.says, old.source, old.said_at, old.at))
    execute function refuse_to_forget();

-- By the right of whoever owns the schema: the service may only add to this table.
create function empty_evidence(of_studio text, of_addresses text[]) returns bigint
language sql security definer set search_path = public, pg_temp as
$$
    with emptied as (
         update consents set evidence = ''
          where studio_id = of_studio and channel in ('sms', 'email') and address = any (of_addresses) and evidence <> ''
      returning 1)
    select count(*) from emptied
$$;
comment on function empty_evidence is 'Takes the words out of what these addresses said, for the erasure of a person.';

create table dead_numbers (
    studio_id  text        not null,
    number     text        not null,                  -- E.164
    reason     text        not null,                  -- the provider's word for it
    message_id bigint      not null,                  -- the text that it was said of
    at         timestamptz not null,                  -- since when
    lifted_at  timestamptz,                           -- it takes texts after all, since then; null: it takes none
    lifted_by  text,                                  -- why we think so: a text from it, a receipt, the CRM, person: …
    primary key (studio_id, number),
    check ((lifted_at is null) = (lifted_by is null))
);
comment on table dead_numbers is
    'Numbers that take no texts, as their providers say: of what goes by itself nothing does there. No consent: nobody said anything.';


-- Conversations: what comes in -------------------------------------------------------------------------------

create table arrivals (
    studio_id   text        not null,                 -- empty: sent to a number that is no studio's
    account     text        not null,                 -- channel/name of the provider account that brought it
    known_by    text        not null,                 -- what a repeat of it has in common with it
    sender      text        not null,                 -- theirs …
    receiver    text        not null,                 -- … and ours, as the provider wrote them
    body        text        not null,                 -- the call as it came
    message_id  bigint,                               -- null: no studio could be told to have it, or it was a part
    waiting     boolean     not null default false,   -- a worker heard it: the engine has yet to read it
    received_at timestamptz not null default clock_timestamp(),
    primary key (studio_id, account, known_by)
);
comment on table arrivals is 'Every text and email that a provider brought, once: stored before it is answered, absorbing repeats.';

-- serves store.heard.WAITING, store.heard.BEGUN: what is to be read next?
create index arrivals_waiting on arrivals (received_at) where waiting;
-- serves store.pruning.ARRIVALS
create index arrivals_read on arrivals (received_at) where message_id is not null and not waiting;

create table conversations (
    studio_id  text        not null,
    channel    text        not null check (channel in ('sms', 'email')),
    ours       text        not null,
    theirs     text        not null,
    client_id  text,                                  -- null: nobody knows whose number it is, or several might
    linked_by  text,                                  -- the person who said so; null: the number did
    primary key (studio_id, channel, theirs, ours)
);
comment on table conversations is
    'One for each pair of numbers that a text came in between. Its row is locked while one is read: two are read one after the other.';

create table answers (
    studio_id  text        not null,
    message_id bigint      not null,                  -- the question
    answer_id  bigint      not null generated always as identity,
    reply_id   bigint,                                -- the message that answers; null: a link was followed
    meaning    text        not null check (meaning in (
        'confirmed',    -- they will come
        'scored',       -- how likely they are to recommend us
        'commented',    -- what they added to their score
        'void'          -- they said yes to what is not so any more: it was canceled, moved, or is over
    )),
    words      text        not null default '',       -- the score, the comment, or why it is void
    at         timestamptz not null default clock_timestamp(),
    primary key (studio_id, message_id, answer_id)
);
comment on table answers is
    'The ledger of questions: one is open when its message may have been read and nothing here has closed it.';

-- serves store.answers.GIVE: a question is scored once and commented on once, however many answer it in one instant
create unique index answers_first on answers (studio_id, message_id, meaning) where meaning in ('scored', 'commented');
-- serves store.views_scores.GIVEN: what clients answered between two days
create index answers_scored on answers (studio_id, at) where meaning = 'scored';


-- Bulk: one message to a list of people ------------------------------------------------------------------------

create table bulks (
    studio_id  text        not null,
    bulk_id    bigint      not null generated always as identity,
    name       text        not null,
    state      text        not null check (state in (
        'review',       -- the list is frozen and waits for a person to look at it; nothing goes out
        'scheduled',    -- released by a person, and begins at start_at
        'running',      -- is being sent, as fast as its number takes it
        'paused',       -- a person stopped it; what had not left waits
        'done',         -- everybody on the list has had their turn, and no message of it waits or is being submitted
        'cancelled'     -- a person ended it
    )),
    channel    text        not null check (channel in ('sms', 'email')),
    purpose    text        not null check (purpose in ('transactional', 'marketing')),
    audience   text        not null,                  -- JSON: the filter that the list was made by
    template   text        not null,                  -- its name, and …
    words      text        not null,                  -- … JSON: its parts as they were when the list was made
    account    text        not null,                  -- channel/name of the provider account that carries it
    sender     text        not null,                  -- ours; of several numbers each person is texted from the one they know
    start_at   timestamptz,                           -- when it is to begin, or began; null: once somebody says so
    use_by     timestamptz,                           -- whom it has not reached by then it does not reach; set when released
    lasts      interval    not null,                  -- how long after its begin that is
    next_at    timestamptz,                           -- when the pump looks next; null: it has nothing to do
    reason     text        not null default '',       -- what it waits for
    made_by    text        not null,
    made_at    timestamptz not null default clock_timestamp(),
    released_by text,
    ended_at   timestamptz,
    changed_by text,                                  -- who put somebody on the list or took them off, last
    -- Above the studio's second_person_above the two who made and changed it only ask for it. Whatever changes ends that.
    asked_by   text,
    asked_at   timestamptz,
    asked_for  timestamptz,                           -- when it is to begin; null: once it is approved
    approved_by text,                                 -- somebody else, who has looked at this list, these words, that time
    approved_at timestamptz,
    primary key (studio_id, bulk_id),
    check ((state in ('scheduled', 'running')) = (next_at is not null)),
    check ((state in ('done', 'cancelled')) = (ended_at is not null)),
    check (state = 'review' or state = 'cancelled' or released_by is not null),
    check ((asked_by is null) = (asked_at is null) and (asked_for is null or asked_by is not null)),
    check ((approved_by is null) = (approved_at is null) and (approved_by is null or released_by is not null)),
    check (approved_by <> made_by and approved_by <> coalesce(changed_by, made_by))
);
comment on table bulks is 'One message to many: a list that is frozen when it is made, reviewed, and let go by a person.';

-- serves store.bulk_release.CLAIM_DUE, store.bulk_release.AHEAD: whose turn is it?
create index bulks_due on bulks (next_at, studio_id, bulk_id) where next_at is not null;

create table bulk_recipients (
    studio_id  text        not null,
    bulk_id    bigint      not null,
    recipient_id integer   not null,                  -- 1, 2, … within the list
    state      text        not null check (state in (
        'listed',       -- gets it, once it is released
        'unticked',     -- a person took them off
        'barred',       -- may not be written to, or cannot: the reason says why
        'released',     -- its message exists, and tells the rest
        'failed',       -- the words could not be written for them
        'expired',      -- the bulk was of no use any more when their turn came
        'cancelled'     -- the bulk was ended before their turn
    )),
    reason     text        not null default '',
    address    text,                                  -- frozen; null where there is none, or it is another one's already
    kind       text        not null,                  -- the record that put them on the list …
    record_id  text        not null,
    client_id  text        not null,                  -- … and the client who is written to
    name       text        not null default '',       -- theirs, when the list was made
    due_at     timestamptz not null,                  -- not before: the hours of their own
    message_id bigint,
    primary key (studio_id, bulk_id, recipient_id),
    unique (studio_id, bulk_id, address),
    foreign key (studio_id, bulk_id) references bulks on delete cascade,
    check ((state = 'released') = (message_id is not null)),
    check (state not in ('listed', 'unticked', 'released') or address is not null)
);
comment on table bulk_recipients is 'The frozen list of a bulk: one row for each address, and for each client it cannot go to.';

-- serves store.bulk_release.TAKE, store.bulk_release.LISTED: who is next?
create index bulk_recipients_listed on bulk_recipients (studio_id, bulk_id, due_at, recipient_id) where state = 'listed';

-- serves store.erasures.LISTED, store.erasures.OF_LISTS: which lists is somebody on?
create index bulk_recipients_by_client on bulk_recipients (studio_id, client_id);

alter table bulk_recipients set (fillfactor = 80);


create table senders (
    studio_id text        not null,
    number    text        not null,                   -- of ours; '*': all numbers of the studio, which are one campaign;
                                                      -- '@' and a domain: that its mails are from
    free_at   timestamptz not null default 'epoch',   -- until when its pace by the second is taken
    day       date        not null default 'epoch',   -- as days are counted where the limits say
    used      integer     not null default 0,         -- segments of that day
    slowed    smallint    not null default 0,         -- of a domain: how much slower its mails leave than they might …
    slowed_at timestamptz not null default 'epoch',   -- … since a mail server last said that it sends too much
    primary key (studio_id, number)
);
comment on table senders is
    'What is taken of the limits of each number and domain that has any. Its row is locked while some is taken.';

alter table senders set (fillfactor = 50);


create table prefixes (
    studio_id  text        not null,
    prefix     text        not null,                  -- a number without its last three digits
    recent     text        not null default '',       -- last digits:minute pairs of those texted in the last hour
    held_since timestamptz,                           -- null: open. Else whatever would go there is held …
    reason     text        not null default '',       -- … for this reason, until a person has decided
    free_until timestamptz,                           -- a person has: until then nothing is held, nor counted
    changed_at timestamptz not null default clock_timestamp(),
    primary key (studio_id, prefix),
    check (held_since is not null or reason = '')
);
comment on table prefixes is
    'Neighbouring numbers that were texted of late, in studios that limit them. Its row is locked while texts to it are let go.';

-- serves store.prefixes.SHUT, store.prefixes.NUMBER_SHUT, store.prefixes.OPEN_EMPTY: what waits for a person?
create index prefixes_shut on prefixes (studio_id, prefix) where held_since is not null;
-- serves store.prefixes.FORGET
create index prefixes_by_change on prefixes (changed_at) where held_since is null;

alter table prefixes set (fillfactor = 50);


-- One row for each studio that limits what its texts may cost in a day; of another day than today it says nothing.
create table spending (
    studio_id  text        not null primary key,
    day        date        not null default '-infinity',
    spent      numeric     not null default 0,        -- what the texts cost that were let pass
    again      integer     not null default 0,        -- how often a person gave the day its money once more
    full_at    numeric,                               -- null: everything fitted. Else how much there was in all when one did not …
    held_since timestamptz,                           -- … since when …
    reason     text        not null default '',       -- … and why
    check ((full_at is null) = (held_since is null))
);
comment on table spending is
    'What the texts of a day have cost, in studios that limit it. Its row is locked while texts are let pass.';

alter table spending set (fillfactor = 50);


create table breakers (
    account    text        not null primary key,      -- channel/name: shared by all studios on that account
    failures   integer     not null default 0,
    open_until timestamptz,                           -- null: closed. Past: the next message is the probe
    reason     text        not null default ''
);
comment on table breakers is 'One per provider account. Open: its messages are held, no attempts are burned.';


-- What a studio has used of its plan ---------------------------------------------------------------------------

-- Counted in eight rows each, of which a connection keeps to one: workers that send for one studio at the same time do
-- not wait for each other's commits. What is read is their sum.
create table usage (
    studio_id text     not null,
    month     date     not null,                      -- its first day, on the calendar of the studio's zone
    shard     smallint not null default 0,
    texts     integer  not null default 0,            -- handed over to a provider; a text to two numbers is two
    segments  integer  not null default 0,            -- what they are billed as
    primary key (studio_id, month, shard)
);
comment on table usage is 'The texts of each month, written with the outcome that counts: whether a plan is used up is a few rows to read.';

-- serves store.usage.AT_A_MARK, store.usage.THIS_MONTH: how far everybody is this month
create index usage_by_month on usage (month);

alter table usage set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- Apart from the above, so that a text that comes in never waits for those that leave.
create table usage_sources (
    studio_id  text     not null,
    month      date     not null,
    origin     text     not null,                     -- as of messages; client: received
    trigger_id bigint   not null,                     -- 0: none
    country    text     not null default '',          -- two letters: where they went; empty: not known, or received
    shard      smallint not null default 0,
    texts      integer  not null default 0,
    segments   integer  not null default 0,
    primary key (studio_id, month, origin, trigger_id, country, shard)
);
comment on table usage_sources is 'Where the texts of a month came from, and to which countries they went.';

alter table usage_sources set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create table plan_warnings (
    studio_id       text        not null,
    month           date        not null,
    texts_per_month integer     not null,             -- the plan that it was told of: another one is told of anew
    percent         smallint    not null,             -- of it
    told_at         timestamptz not null default clock_timestamp(),
    primary key (studio_id, month, texts_per_month, percent)
);
comment on table plan_warnings is 'Each mark of each plan that a studio has come to: told once a month, which the key sees to.';

-- What was handed over, and what may have been: a text that is with a provider right now, or of which nobody can know,
-- counts until the opposite is proven.
create function texts_spent(of_studio text, of_month date) returns bigint language plpgsql volatile as
$$
begin
    return coalesce((select sum(texts) from usage where studio_id = of_studio and month = of_month), 0)
         + (select count(*) from messages
             where studio_id = of_studio and channel = 'sms' and state in ('submitting', 'unknown')
               and (state = 'submitting' or due_at >= of_month));
end
$$;
comment on function texts_spent is 'How many texts of a month are used up, as it is committed now.';

-- Near its end of a plan one transaction at a time passes texts of that studio; far from it they do not wait for each
-- other. Volatile, and the lock before the look that counts: so it sees what whoever held the lock before has committed,
-- whenever the statement around it began. Far is farther than all that are not committed yet can have passed together:
-- each passes as many as its worker has slots. Who finds itself near after all is told that nothing is left, and asks again.
create function texts_spent_for_certain(of_studio text, of_month date, of_texts bigint) returns bigint
language plpgsql volatile as
$$
declare
    far constant bigint := 2000;
    is_far constant boolean := texts_spent(of_studio, of_month) + far <= of_texts;
    lock constant bigint := hashtextextended('plan' || chr(31) || of_studio, 0);
    spent bigint;
begin
    if is_far then
        perform pg_advisory_xact_lock_shared(lock);
    else
        perform pg_advisory_xact_lock(lock);
    end if;
    spent := texts_spent(of_studio, of_month);
    return case when is_far and spent + far > of_texts then of_texts else spent end;
end
$$;
comment on function texts_spent_for_certain is
    'The same, of so many that there are: nobody who asks this way passes any of the last without having seen the others.';


-- Commands and reports to the CRM --------------------------------------------------------------------------

create table commands (
    studio_id    text        not null,
    command_id   text        not null,                -- derived from the cause: the same cause makes the same command
    sequence     bigint      not null generated always as identity,
    subject      text        not null,                -- the record it is about; order is kept within it
    verb         text        not null,                -- create_call, change_status, …, or message.sent, action.lapsed, …
    bucket       smallint    not null,                -- hash of the subject: one relay at a time publishes a bucket
    data         text        not null,                -- JSON: the `data` of the CloudEvent it is published as
    state        text        not null default 'new' check (state in (
        'new',          -- to be published
        'published',    -- confirmed by the broker, or acknowledged over HTTP
        'unroutable'    -- the broker has no queue for it: needs somebody to bind one
    )),
    tries        integer     not null default 0,
    due_at       timestamptz not null default clock_timestamp(),
    created_at   timestamptz not null default clock_timestamp(),
    published_at timestamptz,
    place        bigint,                              -- where it stands in what was read over HTTP; null: not read yet
    primary key (studio_id, command_id),
    check ((state = 'published') = (published_at is not null))
);
comment on table commands is 'The outbox: written in the transaction that causes it, published later, at least once, in order per record.';

-- serves store.commands.NEXT: what a relay may publish, in order
create index commands_new on commands (bucket, sequence) where state = 'new';
-- serves store.commands.NEXT: what was tried in vain, and holds back the later ones of its record
create index commands_tried on commands (studio_id, subject, sequence) where state <> 'published' and tries > 0;
-- serves store.commands.RETRY: what nobody listened for
create index commands_unroutable on commands (due_at) where state = 'unroutable';
-- serves store.pruning.REPORTS and store.commands.UNPUBLISHED: where nobody ever listens these are most of the table
create index commands_unheard on commands (created_at) where state = 'unroutable';
-- serves store.chains.OF_STATUSES: is a change of status the answer to one of ours?
create index commands_of_statuses on commands (studio_id, subject, sequence) where verb = 'change_status';
-- serves store.pruning.COMMANDS
create index commands_published on commands (published_at) where state = 'published';
-- serves store.command_feed.SHOW: reading commands over HTTP
create index commands_unread on commands (studio_id, place, sequence) where state <> 'published';

create table leases (
    name        text        not null primary key,     -- relay/0 … relay/7, upkeep
    owner       uuid,
    lease_until timestamptz not null default '-infinity'
);
comment on table leases is 'Duties that one process at a time may have. On the database''s clock.';

insert into leases (name) select 'relay/' || n from generate_series(0, 7) n;
insert into leases (name) values ('upkeep');

create table fence (
    name      text        not null primary key default 'sending' check (name = 'sending'), -- one for the whole database
    cluster   bigint      not null,                   -- the database that sending was armed on …
    timeline  text        not null,                   -- … and the timeline that it was on: a promotion begins another
    arming    integer     not null default 1,         -- rises with each time that a person armed it
    beats     bigint      not null default 0,         -- rises while all is well: a host that has seen more knows better
    beat_at   timestamptz not null default clock_timestamp(), -- when it rose last
    closed_at timestamptz,                            -- since then nothing passes the point of no return
    reason    text        not null default '',        -- why it is closed
    lost_from timestamptz,                            -- the last time that the database may have forgotten …
    lost_until timestamptz,                           -- … and its end: what was due by then may have gone out
    armed_at  timestamptz,
    armed_by  text                                    -- the person who said that this is the database to send from
);
comment on table fence is
    'Whether anything may be sent: not from a copy, nor after a failover or a restore, until a person has looked.';

insert into fence (cluster, timeline)
select system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8) from pg_control_system();

create table idempotency_keys (
    studio_id  text        not null,
    key        text        not null,
    digest     text        not null,                  -- of the request: the same key with another body is an error
    answer     text        not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (studio_id, key)
);
comment on table idempotency_keys is 'Answers to requests that create something, so that a repeat gets the same answer.';


-- Who may do what, and who did -----------------------------------------------------------------------------

-- Of the installation: one person may be for several studios, and for those still to come.
create table users (
    user_id bigint  not null generated always as identity primary key,
    name    text    not null unique,
    email   text,
    role    text    not null check (role in (         -- each may what those above it may
        'viewer',       -- reads
        'front_desk',   -- decides on actions, messages and consents
        'author',       -- writes triggers, templates and blackout days
        'owner'         -- everything, users and studios included
    )),
    studios text[]  not null,                         -- '*': every studio; others do not exist for this user
    active  boolean not null default true,
    signature text                                    -- as templates write it; null: the name
);
comment on table users is 'People and programs that may call the API. The one named `first` holds the token of the settings.';

-- Of the installation, as users are: a call brings a token before it names a studio.
create table tokens (
    digest     text        not null primary key,      -- sha-256 of the token; the token itself is never stored
    user_id    bigint      not null references users on delete cascade,
    origin     text        not null check (origin in (
        'settings',     -- configured or generated; a configured one revokes the others of this origin
        'issued'        -- made for a user, and shown once
    )),
    made_at    timestamptz not null default clock_timestamp(),
    made_by    text        not null,
    revoked_at timestamptz,
    revoked_by text,
    check ((revoked_at is null) = (revoked_by is null))
);
comment on table tokens is 'Bearer tokens by digest. A revoked one is kept, so that a restart does not let it in again.';

-- serves store.tokens.OF_USER
create index tokens_by_user on tokens (user_id);

create table audit (
    studio_id text        not null,                   -- '*': of the whole installation
    audit_id  bigint      not null generated always as identity,
    at        timestamptz not null default clock_timestamp(),
    who       text        not null,
    via       text        not null check (via in ('api', 'cli', 'settings', 'engine')),
    verb      text        not null,                   -- create, change, delete, process, …
    resource  text        not null,                   -- kind and id, such as trigger/12
    before    text,                                   -- JSON; null: there was nothing
    after     text,                                   -- JSON; null: there is nothing any more
    primary key (studio_id, audit_id)
);
comment on table audit is 'Append-only: who changed what, written in the transaction of the change.';

-- serves store.views_audit.AUDIT: what became of this resource?
create index audit_by_resource on audit (studio_id, resource, audit_id);

-- By the right of whoever owns the schema: the service may only add to this table. What an erasure itself says stays.
create function empty_trail(of_studio text, of_resources text[], of_values text[]) returns bigint
language sql security definer set search_path = public, pg_temp as
$$
    with emptied as (
         update audit
            set resource = case when resource like 'consent/%' then 'consent/erased' else resource end,
                before = case when before is not null then '"erased"' end,
                after = case when after is not null then '"erased"' end
          where studio_id = of_studio and verb <> 'erase'
            and (resource = any (of_resources)
                 or exists (select from unnest(of_values) as value
                             where position(value in lower(concat_ws(' ', before, after))) > 0))
            and (before <> '"erased"' or after <> '"erased"')
      returning 1)
    select count(*) from emptied
$$;
comment on function empty_trail is 'Takes a person out of what was changed. Who did what, and when, stays.';
