// SPDX-License-Identifier: Apache-2.0
/* GET /vms/{vm}/console: the connection becomes the VM's serial console, raw bytes both ways, through this process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call_stream.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "link.h"
#include "routes.h"
#include "vm.h"
#include "vmms.h"

#define BUFFER_BYTES ((size_t)16 << 10)
#define CONSOLES_MAX 256u

/* From one end to the other: a full buffer stops the reading. */
struct flow {
	size_t from, to;
	bool ended; /* nothing more comes */
	char data[BUFFER_BYTES];
};

struct console {
	struct console *next, **link;
	struct api *api;
	struct upgraded *client; /* NULL: not yet */
	int worker;		 /* our end of the worker's socket */
	bool asked;		 /* the worker's answer is on its way */
	bool upgrading;		 /* the client's connection is */
	bool over;		 /* waits for these only */
	struct flow in, out;	 /* to the worker, to the client */
};

static struct console **consoles_of(struct api *a)
{
	return (struct console **)&api_slot(a, API_SLOT_CONSOLES)->data;
}

static void unlink_console(struct console *c)
{
	if (c->link != NULL) {
		*c->link = c->next;
		if (c->next != NULL) {
			c->next->link = c->link;
		}
		c->link = NULL;
	}
}

static void free_unless_awaited(struct console *c)
{
	if (!c->asked && !c->upgrading) {
		free(c);
	}
}

static void finish(struct console *c)
{
	if (c->client != NULL) {
		loop_remove(api_loop(c->api), c->client->fd);
		c->client->close(c->client);
		c->client = NULL;
	}
	if (c->worker >= 0) {
		loop_remove(api_loop(c->api), c->worker);
		close(c->worker);
		c->worker = -1;
	}
	unlink_console(c);
	c->over = true;
	free_unless_awaited(c);
}

/* ---- Bytes ---- */

static bool is_full(const struct flow *f)
{
	return f->to == BUFFER_BYTES;
}

static bool is_empty(const struct flow *f)
{
	return f->from == f->to;
}

/* False: the other end is broken. */
static bool read_some(struct flow *f, int fd)
{
	if (f->ended || is_full(f)) {
		return true;
	}
	ssize_t n = read(fd, f->data + f->to, BUFFER_BYTES - f->to);

	if (n > 0) {
		f->to += (size_t)n;
	}
	f->ended = n == 0;
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static bool write_some(struct flow *f, int fd)
{
	if (is_empty(f)) {
		return true;
	}
	ssize_t n = send(fd, f->data + f->from, f->to - f->from, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n > 0) {
		f->from += (size_t)n;
	}
	if (is_empty(f)) {
		f->from = f->to = 0;
	}
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static void shuttle(void *ctx);

static bool watch(struct console *c, int fd, const struct flow *from_it, const struct flow *to_it)
{
	unsigned events = (!from_it->ended && !is_full(from_it) ? LOOP_READ : 0) |
			  (is_empty(to_it) ? 0 : LOOP_WRITE);

	return loop_watch(api_loop(c->api), fd, events, shuttle, c) == 0;
}

static void shuttle(void *ctx)
{
	struct console *c = ctx;
	bool ok = read_some(&c->in, c->client->fd) && read_some(&c->out, c->worker) &&
		  write_some(&c->in, c->worker) && write_some(&c->out, c->client->fd);

	/* One that hung up gets nothing more; what the other has said before is still told. */
	if (!ok || (c->in.ended && is_empty(&c->in)) || (c->out.ended && is_empty(&c->out)) ||
	    !watch(c, c->client->fd, &c->in, &c->out) || !watch(c, c->worker, &c->out, &c->in)) {
		finish(c);
	}
}

/* ---- Beginning ---- */

static void answered(void *ctx, const char *answer)
{
	struct console *c = ctx;

	c->asked = false;
	if (c->over) {
		free_unless_awaited(c);
	} else if (answer == NULL || !link_is_ok(answer)) {
		finish(c);
	}
}

static void on_ready(void *ctx, struct upgraded *u)
{
	struct console *c = ctx;

	c->upgrading = false;
	if (c->over) { /* the worker went meanwhile */
		u->close(u);
		free_unless_awaited(c);
		return;
	}
	c->client = u;
	c->in.to = u->extra_bytes < BUFFER_BYTES ? u->extra_bytes : BUFFER_BYTES;
	memcpy(c->in.data, u->extra, c->in.to);
	shuttle(c);
}

static void on_failed(void *ctx)
{
	struct console *c = ctx;

	c->upgrading = false;
	if (c->over) {
		free_unless_awaited(c);
	} else {
		finish(c);
	}
}

static void destroy(void *data)
{
	struct console *c = data;

	while (c != NULL) {
		struct console *next = c->next;

		finish(c);
		c = next;
	}
}

static unsigned count_consoles(struct api *a)
{
	unsigned n = 0;

	for (const struct console *c = *consoles_of(a); c != NULL; c = c->next) {
		n++;
	}
	return n;
}

static struct console *create(struct api *a, int worker)
{
	struct console *c = calloc(1, sizeof(*c));

	CHECK(c != NULL);
	c->api = a;
	c->worker = worker;
	c->link = consoles_of(a);
	c->next = *c->link;
	if (c->next != NULL) {
		c->next->link = &c->next;
	}
	*c->link = c;
	api_slot(a, API_SLOT_CONSOLES)->destroy = destroy;
	return c;
}

static void get_console(struct call *call)
{
	static const struct upgrade_user user = {on_ready, on_failed};
	struct vm *vm = vm_find_id(call->vmms, call->parameters[0]);
	struct api *a = call_api(call);
	struct console *c;
	int ends[2];

	if (!vm_op_allowed(call, vm, VM_OP_CONSOLE)) {
		return;
	}
	if (count_consoles(a) >= CONSOLES_MAX) {
		call_refuse(call, API_BUSY, NULL, "%u consoles are open; close some", CONSOLES_MAX);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		call_refuse(call, API_FAILED, NULL, "no console: %s", strerror(errno));
		return;
	}
	c = create(a, ends[0]);
	c->upgrading = call_upgrade(call, "virid-console", &user, c);
	if (!c->upgrading) {
		close(ends[1]);
		finish(c);
		return;
	}
	c->asked = true;
	link_ask_words(vm->worker.link, answered, c, ends[1], "console", NULL);
}

static const struct route routes[] = {
	{"GET", "/vms/{vm}/console", RIGHT_OPERATE, true, get_console,
	 "The serial console: asks for the protocol virid-console (Upgrade), then raw bytes both "
	 "ways",
	 NULL, NULL, .beside = true},
};

const struct route_table console_routes = {routes, ARRAY_LEN(routes)};
