/* SPDX-License-Identifier: Apache-2.0 */
/* For http_test.c: the API's front on a socket of its own, served by a thread, with routes of the test; and plain clients. */
#ifndef VMMS_HTTP_TESTING_H
#define VMMS_HTTP_TESTING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "call_stream.h"
#include "host/loop.h"
#include "http.h"

#define ID_A "11111111-2222-3333-4444-555555555555"
#define ID_B "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE"
#define ID_C "AAAAAAAA-BBBB-CCCC-DDDD-FFFFFFFFFFFF"

struct server {
	struct loop *loop;
	struct api *api;
	struct http *http;
	pthread_t thread;
	char folder[64], path[96];
	struct call *late; /* held */
	struct loop_timer late_timer;
	atomic_uint gone;
	struct call *stream;
	unsigned stream_sent;
	atomic_uint streams_closed;
	struct upgraded *up;
};
extern struct server server;

/* False: it does not start. */
bool server_start(unsigned timeout_s);
void server_stop(void);
/* The loop's thread. */
void *server_main(void *arg);
/* What belongs to the loop's thread is looked at while it stands still. */
struct http_counters server_counters(void);

/* A connection; -1: there is none. */
int client(void);
/* All until @want came, the connection ended, or much time went by. Until the next call. */
const char *receive(int fd, const char *want);
bool send_text(int fd, const char *text);
/* One request on its own connection, and all that comes back. */
__attribute__((format(printf, 1, 2))) const char *ask(const char *fmt, ...);

#define HEAD " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
#define HAS(t, answer, what)                                                                       \
	do {                                                                                       \
		const char *answer_ = (answer);                                                    \
		if (strstr(answer_, what) == NULL) {                                               \
			test_fail(t, __FILE__, __LINE__, "no '%s' in: %s", what, answer_);         \
		}                                                                                  \
	} while (0)

#endif
