/** The NOTIFY channel; its payload is the topic. */
export const NOTIFY_CHANNEL = "stele_delivery";

/** Kept as the comment of `delivery`. Raise it with every change below: the whole is then run again. */
export const SCHEMA_VERSION = "stele pub/sub 2";

/**
 * One row in `delivery` for each subscription that a message goes to. Of the messages with the same
 * ordering key only the first is not `blocked`; publishing and settling take turns by a lock on the
 * key, so that each sees what the other has done.
 */
export const SCHEMA = `
create table if not exists subscription (
  topic text not null,
  name text not null,
  served_at timestamptz not null default now(),
  primary key (topic, name)
);

create table if not exists delivery (
  id bigint generated always as identity primary key,
  message_id uuid not null,
  topic text not null,
  subscription text not null,
  body text not null,
  attributes text not null,
  published_at timestamptz not null default now(),
  attempt int not null default 0,
  due_at timestamptz not null default now(),
  claimed_by int
);
alter table delivery alter column attributes type text;
alter table delivery add column if not exists ordering_key text;
alter table delivery add column if not exists blocked boolean not null default false;
-- Retention counts from here: a replayed message starts anew.
alter table delivery add column if not exists kept_from timestamptz not null default now();
drop index if exists delivery_due;
create index if not exists delivery_ready on delivery (topic, subscription, due_at, id)
  where not blocked;
create index if not exists delivery_key on delivery (topic, subscription, ordering_key, id)
  where ordering_key is not null;
-- Every message leaves two dead rows, thousands in a second.
alter table delivery set (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000,
  autovacuum_vacuum_cost_delay = 0.0);

create table if not exists dead_letter (
  id bigint primary key,
  message_id uuid not null,
  topic text not null,
  subscription text not null,
  body text not null,
  attributes text not null,
  published_at timestamptz not null,
  attempt int not null,
  reason text not null,
  died_at timestamptz not null default now()
);
alter table dead_letter alter column attributes type text;
alter table dead_letter add column if not exists ordering_key text;

create or replace function lock_keys(topic text, keys text[]) returns void
language sql as $$
  select pg_advisory_xact_lock(lock) from (
    select distinct hashtextextended(lock_keys.topic || ' ' || key, 0) as lock
    from unnest(keys) as key where key is not null order by 1
  ) as locks
$$;

-- Keeps messages for every subscription of the topic, in this order, and wakes who serves them.
create or replace function publish(
  to_topic text, ids uuid[], bodies text[], attributes text[], keys text[]
) returns void language plpgsql as $$
begin
  perform lock_keys(to_topic, keys);
  insert into delivery (message_id, topic, subscription, body, attributes, ordering_key, blocked)
  select m.id, to_topic, s.name, m.body, m.attributes, m.key, m.key is not null and (
    row_number() over (partition by s.name, m.key order by m.at) > 1
    or exists (
      select from delivery d
      where d.topic = to_topic and d.subscription = s.name and d.ordering_key = m.key))
  from subscription s
  cross join unnest(ids, bodies, attributes, keys) with ordinality
    as m(id, body, attributes, key, at)
  where s.topic = to_topic
  order by m.at;
  perform pg_notify('${NOTIFY_CHANNEL}', to_topic);
end $$;

-- Takes out deliveries that are over, and lets the next one of each ordering key go.
create or replace function settle(ids bigint[], attempts int[]) returns setof delivery
language plpgsql as $$
declare
  keyed record;
  gone delivery;
begin
  for keyed in
    select topic, array_agg(ordering_key) as keys from delivery
    where id = any(ids) and ordering_key is not null group by topic order by topic
  loop
    perform lock_keys(keyed.topic, keyed.keys);
  end loop;
  for gone in
    delete from delivery d using unnest(ids, attempts) as s(id, attempt)
    where d.id = s.id and d.attempt = s.attempt returning d.*
  loop
    return next gone;
    if gone.ordering_key is not null then
      update delivery d set blocked = false where d.blocked and d.id = (
        select min(e.id) from delivery e where e.topic = gone.topic
          and e.subscription = gone.subscription and e.ordering_key = gone.ordering_key);
      if found then
        perform pg_notify('${NOTIFY_CHANNEL}', gone.topic);
      end if;
    end if;
  end loop;
end $$;

-- For operators: has dead letters delivered again, all of them or those of a topic, of a subscription,
-- or one by its id. Answers how many.
create or replace function replay(
  only_topic text default null, only_subscription text default null, only_id bigint default null
) returns bigint language plpgsql as $$
declare
  letter record;
  replayed bigint := 0;
begin
  for letter in
    delete from dead_letter l
    where (only_topic is null or l.topic = only_topic)
      and (only_subscription is null or l.subscription = only_subscription)
      and (only_id is null or l.id = only_id)
    returning l.*
  loop
    perform lock_keys(letter.topic, array[letter.ordering_key]);
    insert into delivery (message_id, topic, subscription, body, attributes, published_at,
      ordering_key, blocked)
    select letter.message_id, letter.topic, letter.subscription, letter.body, letter.attributes,
      letter.published_at, letter.ordering_key, exists (
        select from delivery d
        where d.topic = letter.topic and d.subscription = letter.subscription
          and d.ordering_key = letter.ordering_key);
    perform pg_notify('${NOTIFY_CHANNEL}', letter.topic);
    replayed := replayed + 1;
  end loop;
  return replayed;
end $$;

comment on table delivery is '${SCHEMA_VERSION}';
`;
