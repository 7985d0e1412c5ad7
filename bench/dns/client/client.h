// What the parts of the client share.
#ifndef CLIENT_H
#define CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

/** One query, ready to be sent but for its id, and the address that is the right answer. */
struct query {
  uint8_t *octets;
  uint16_t length;
  uint16_t question_end;
  uint8_t address[4];
};

struct options {
  /** UDP sockets take them in turn; TCP connections go to the first. */
  struct sockaddr_in servers[8];
  int server_count;
  double seconds;
  double warm_up;
  /** Queries a second of `paced`. */
  double rate;
  /** Microseconds that `paced` sleeps when nothing is due: it leaves the core to others, and is late by as much. */
  int rest;
  /** UDP sockets, each with a port of its own, or TCP connections. */
  int sockets;
  /** Of TCP: queries of a connection that may be unanswered. */
  int window;
  /** Replies are counted whatever they say. */
  bool unchecked;
  /** Processes whose processor time is the server's. */
  int pids[64];
  int pid_count;
};

/** What was seen in the measured time. */
struct figures {
  double seconds;
  uint64_t sent;
  uint64_t replies;
  uint64_t wrong;
  /** Why the first wrong one was wrong. */
  const char *why;
  /** Processor time of the server, in microseconds. */
  double user_us;
  double system_us;
  /** Of `paced`, in microseconds from the time for which the query was scheduled. */
  double p50;
  double p99;
  double p999;
  double longest;
  /** Of TCP: connections that the server closed. */
  uint64_t closed;
};

extern struct query *queries;
extern size_t query_count;

/** Reads `name address` from each line, and puts the queries into an order of chance, always the same. */
void load_queries(const char *path);

void set_id(const struct query *query, uint16_t id);
uint16_t id_of(const uint8_t *message);

/** NULL for the right answer, otherwise what is wrong with it. `whole` looks at more than the header. */
const char *fault_of(const struct query *query, const uint8_t *reply, size_t length, bool whole);

/** Whether this reply is one of those that are looked at whole. */
bool is_sampled(uint64_t count);

/** Seconds of a clock that only goes forward. */
double now(void);

/** Processor time of some processes so far, their threads included, in microseconds. */
struct cpu {
  double user_us;
  double system_us;
};
struct cpu cpu_of(const struct options *options);

/** A UDP socket that is connected to a server: the so-many-th. */
int open_udp(const struct options *options, int at);

void blast(const struct options *options, struct figures *figures);
void paced(const struct options *options, struct figures *figures);
void tcp(const struct options *options, struct figures *figures);

/** Says what could not be done, with errno, and ends the process. */
_Noreturn void fail(const char *what);

#endif
