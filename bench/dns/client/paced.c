// A constant rate, whatever the server does: each query has its time, and what it waits counts from there
// on, also when the client itself was late.
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_REPLY = 2048, IDS = 65536, BURST = 32 };
/** Of the histogram: a tenth of a microsecond each, up to a tenth of a second. */
enum { BUCKETS = 1000000 };
static const double BUCKET_US = 0.1;

static uint32_t histogram[BUCKETS];
static const struct query *asked[IDS];
/** When each was scheduled; negative once it is answered, or was not measured. */
static double scheduled[IDS];

static double percentile(double share, uint64_t count) {
  uint64_t rank = (uint64_t)(share * (double)count);
  uint64_t seen = 0;
  for (int i = 0; i < BUCKETS; i++) {
    seen += histogram[i];
    if (seen > rank) return (i + 1) * BUCKET_US;
  }
  return BUCKETS * BUCKET_US;
}

static void receive(int socket, const struct options *options, struct figures *figures) {
  uint8_t reply[MAX_REPLY];
  for (;;) {
    ssize_t length = recv(socket, reply, sizeof reply, MSG_DONTWAIT);
    if (length < 0 && errno == ECONNREFUSED) continue;
    if (length < 2) return;
    double at = now();
    uint16_t id = id_of(reply);
    if (scheduled[id] < 0) continue;
    double us = (at - scheduled[id]) * 1e6;
    scheduled[id] = -1;
    figures->replies++;
    if (us > figures->longest) figures->longest = us;
    int bucket = (int)(us / BUCKET_US);
    histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    if (options->unchecked) continue;
    const char *fault =
        fault_of(asked[id], reply, (size_t)length, is_sampled(figures->replies));
    if (fault == NULL) continue;
    figures->wrong++;
    if (figures->why == NULL) figures->why = fault;
  }
}

void paced(const struct options *options, struct figures *figures) {
  int sockets[options->sockets];
  for (int i = 0; i < options->sockets; i++) sockets[i] = open_udp(options, i);
  for (int i = 0; i < IDS; i++) scheduled[i] = -1;

  double first = now();
  double begin = first + options->warm_up;
  double end = begin + options->seconds;
  double pause = 1 / options->rate;
  bool is_measured = false;
  struct cpu before = {0, 0};
  uint64_t next = 0;
  /** What was asked at the end has so long to be answered. */
  double last = end + 0.2;
  for (double time = now(); time < last; time = now()) {
    double due = first + (double)next * pause;
    if (time >= due && due < end) {
      if (!is_measured && due >= begin) {
        is_measured = true;
        before = cpu_of(options);
      }
      const struct query *query = &queries[next % query_count];
      uint16_t id = (uint16_t)next;
      asked[id] = query;
      scheduled[id] = is_measured ? due : -1;
      set_id(query, id);
      if (send(sockets[next % (uint64_t)options->sockets], query->octets, query->length, 0) < 0 &&
          errno != ECONNREFUSED)
        fail("a query");
      figures->sent += is_measured;
      next++;
      // Who rests has several that are due, and looks for answers behind them.
      bool is_behind = first + (double)next * pause <= time;
      if (options->rest > 0 && is_behind && next % BURST != 0) continue;
    }
    for (int i = 0; i < options->sockets; i++) receive(sockets[i], options, figures);
    if (options->rest > 0 && first + (double)next * pause > time) usleep((useconds_t)options->rest);
  }
  struct cpu after = cpu_of(options);
  figures->seconds = options->seconds;
  figures->user_us = after.user_us - before.user_us;
  figures->system_us = after.system_us - before.system_us;
  figures->p50 = percentile(0.5, figures->replies);
  figures->p99 = percentile(0.99, figures->replies);
  figures->p999 = percentile(0.999, figures->replies);
}
