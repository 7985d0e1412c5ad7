// As many queries as can be sent, however many are answered: the most that a server answers.
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 64, MAX_REPLY = 2048, IDS = 65536 };

static struct mmsghdr out[BATCH];
static struct iovec out_octets[BATCH];
static struct mmsghdr in[BATCH];
static struct iovec in_octets[BATCH];
static uint8_t replies[BATCH][MAX_REPLY];

/** Ids are a socket's own: a slow server still owes answers when all ids have been used once. */
struct asker {
  int socket;
  uint16_t next_id;
  /** By id: what was asked last with it. */
  const struct query *asked[IDS];
};

static uint64_t next;

static void send_batch(struct asker *asker, struct figures *figures) {
  for (int i = 0; i < BATCH; i++) {
    const struct query *query = &queries[next++ % query_count];
    uint16_t id = asker->next_id++;
    asker->asked[id] = query;
    set_id(query, id);
    out_octets[i].iov_base = query->octets;
    out_octets[i].iov_len = query->length;
  }
  int sent = sendmmsg(asker->socket, out, BATCH, MSG_DONTWAIT);
  if (sent > 0) figures->sent += (uint64_t)sent;
}

static void receive_batches(struct asker *asker, const struct options *options,
                            struct figures *figures) {
  for (;;) {
    int count = recvmmsg(asker->socket, in, BATCH, MSG_DONTWAIT, NULL);
    if (count < 0 && errno == ECONNREFUSED) continue;
    if (count <= 0) return;
    for (int i = 0; i < count; i++) {
      figures->replies++;
      if (options->unchecked) continue;
      bool whole = is_sampled(figures->replies);
      const struct query *query = asker->asked[id_of(replies[i])];
      const char *fault =
          query == NULL ? "an id that was not asked with"
                        : fault_of(query, replies[i], in[i].msg_len, whole);
      if (fault == NULL) continue;
      figures->wrong++;
      if (figures->why == NULL) figures->why = fault;
    }
    if (count < BATCH) return;
  }
}

void blast(const struct options *options, struct figures *figures) {
  for (int i = 0; i < BATCH; i++) {
    out[i].msg_hdr.msg_iov = &out_octets[i];
    out[i].msg_hdr.msg_iovlen = 1;
    in_octets[i] = (struct iovec){replies[i], MAX_REPLY};
    in[i].msg_hdr.msg_iov = &in_octets[i];
    in[i].msg_hdr.msg_iovlen = 1;
  }
  struct asker *askers = calloc((size_t)options->sockets, sizeof *askers);
  if (askers == NULL) fail("memory for the sockets");
  for (int i = 0; i < options->sockets; i++) askers[i].socket = open_udp(options, i);

  double begin = now() + options->warm_up;
  double end = begin + options->seconds;
  bool is_measured = false;
  struct cpu before = {0, 0};
  double started = 0;
  double time = now();
  for (int turn = 0; time < end; turn = (turn + 1) % options->sockets, time = now()) {
    if (!is_measured && time >= begin) {
      is_measured = true;
      *figures = (struct figures){0};
      before = cpu_of(options);
      started = time = now();
    }
    send_batch(&askers[turn], figures);
    receive_batches(&askers[turn], options, figures);
  }
  struct cpu after = cpu_of(options);
  figures->seconds = now() - started;
  figures->user_us = after.user_us - before.user_us;
  figures->system_us = after.system_us - before.system_us;
}
