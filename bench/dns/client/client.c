// Load on a name server: `client blast|paced|tcp --server ADDR:PORT --names FILE`. Prints one line of JSON.
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/** Replies wait here while queries are sent. */
static const int RECEIVE_OCTETS = 4 * 1024 * 1024;

_Noreturn void fail(const char *what) {
  fprintf(stderr, "Cannot load: %s: %s\n", what, strerror(errno));
  exit(1);
}

double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/** Ticks of the kernel's count, 10 ms each as a rule; the sums are exact to one. */
static void add_process(int pid, struct cpu *cpu) {
  char path[64];
  char text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE *file = fopen(path, "r");
  if (file == NULL) return;
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = 0;
  char *behind_name = strrchr(text, ')');
  unsigned long user;
  unsigned long system;
  const char *fields = " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu";
  if (behind_name == NULL || sscanf(behind_name + 1, fields, &user, &system) != 2) return;
  double tick_us = 1e6 / (double)sysconf(_SC_CLK_TCK);
  cpu->user_us += (double)user * tick_us;
  cpu->system_us += (double)system * tick_us;
}

struct cpu cpu_of(const struct options *options) {
  struct cpu cpu = {0, 0};
  for (int i = 0; i < options->pid_count; i++) add_process(options->pids[i], &cpu);
  return cpu;
}

int open_udp(const struct options *options, int at) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) fail("a socket");
  // The first is for root only; the second stays within what the system allows.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &RECEIVE_OCTETS, sizeof RECEIVE_OCTETS) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &RECEIVE_OCTETS, sizeof RECEIVE_OCTETS);
  const struct sockaddr_in *server = &options->servers[at % options->server_count];
  if (connect(fd, (const struct sockaddr *)server, sizeof *server) != 0)
    fail("a socket to the server");
  return fd;
}

static void read_server(const char *text, struct options *options) {
  int most = (int)(sizeof options->servers / sizeof options->servers[0]);
  if (options->server_count == most) fail("--server is given too often");
  struct sockaddr_in *server = &options->servers[options->server_count++];
  char host[64] = "";
  unsigned port = 0;
  if (sscanf(text, "%63[^:]:%u", host, &port) != 2 || inet_pton(AF_INET, host, &server->sin_addr) != 1)
    fail("--server expects ADDR:PORT");
  server->sin_family = AF_INET;
  server->sin_port = htons((uint16_t)port);
}

static void read_pids(char *text, struct options *options) {
  for (char *pid = strtok(text, ","); pid != NULL && options->pid_count < 64; pid = strtok(NULL, ","))
    options->pids[options->pid_count++] = atoi(pid);
}

static const struct option NAMES[] = {
    {"server", required_argument, NULL, 's'},  {"names", required_argument, NULL, 'n'},
    {"seconds", required_argument, NULL, 't'}, {"warm-up", required_argument, NULL, 'u'},
    {"rate", required_argument, NULL, 'r'},    {"sockets", required_argument, NULL, 'c'},
    {"rest", required_argument, NULL, 'e'},
    {"window", required_argument, NULL, 'w'},  {"pids", required_argument, NULL, 'p'},
    {"unchecked", no_argument, NULL, 'x'},     {NULL, 0, NULL, 0},
};

static const char *read_options(int argc, char **argv, struct options *options) {
  const char *names = NULL;
  for (int option; (option = getopt_long(argc, argv, "", NAMES, NULL)) != -1;) {
    if (option == 's') read_server(optarg, options);
    else if (option == 'n') names = optarg;
    else if (option == 't') options->seconds = atof(optarg);
    else if (option == 'u') options->warm_up = atof(optarg);
    else if (option == 'r') options->rate = atof(optarg);
    else if (option == 'c') options->sockets = atoi(optarg);
    else if (option == 'e') options->rest = atoi(optarg);
    else if (option == 'w') options->window = atoi(optarg);
    else if (option == 'p') read_pids(optarg, options);
    else if (option == 'x') options->unchecked = true;
    else exit(2);
  }
  if (names == NULL || options->server_count == 0 || options->sockets < 1)
    fail("expected --server ADDR:PORT --names FILE");
  return names;
}

static void print(const struct figures *figures) {
  printf("{\"seconds\":%.3f,\"sent\":%llu,\"replies\":%llu,\"wrong\":%llu,\"why\":\"%s\",",
         figures->seconds, (unsigned long long)figures->sent, (unsigned long long)figures->replies,
         (unsigned long long)figures->wrong, figures->why == NULL ? "" : figures->why);
  printf("\"userUs\":%.0f,\"systemUs\":%.0f,\"closed\":%llu,", figures->user_us, figures->system_us,
         (unsigned long long)figures->closed);
  printf("\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"longest\":%.1f}\n", figures->p50, figures->p99,
         figures->p999, figures->longest);
}

int main(int argc, char **argv) {
  struct options options = {
      .seconds = 5, .warm_up = 1, .rate = 20000, .sockets = 1, .window = 128};
  const char *names = read_options(argc, argv, &options);
  const char *mode = optind < argc ? argv[optind] : "";
  struct figures figures = {0};
  load_queries(names);
  if (strcmp(mode, "blast") == 0) blast(&options, &figures);
  else if (strcmp(mode, "paced") == 0) paced(&options, &figures);
  else if (strcmp(mode, "tcp") == 0) tcp(&options, &figures);
  else fail("expected blast, paced or tcp");
  print(&figures);
  return 0;
}
