// SPDX-License-Identifier: Apache-2.0
#include "vswitchd/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "message.h"
#include "paths.h"
#include "start.h"

#define ANSWER_SECONDS 10
#define RETRY_MS 10
#define PLUG_TRIES 3

_Static_assert(VSWITCH_CLIENT_DESCRIPTORS == MESSAGE_DESCRIPTORS, "one limit");

static int connect_once(const struct sockaddr_un *address)
{
	const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -errno;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	int r;

	do {
		r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno
											: 0;
	} while (r == -EINTR); /* as in message.c */
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* Another user's process would hand us its memory, and we it our frames. */
static int check_peer(int fd, const char *path, char *error, size_t size)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	/* A root that gave its rights away still listens on a socket that it made as root. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0 ||
	    (peer.uid != geteuid() && peer.uid != 0)) {
		snprintf(error, size, "%s: belongs to user %u; expected this user's (%u) or root's",
			 path, (unsigned)peer.uid, (unsigned)geteuid());
		close(fd);
		return -EPERM;
	}
	return fd;
}

static int connect_or_start(const struct sockaddr_un *address, bool start, char *error, size_t size)
{
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
	int r = -ETIMEDOUT;

	/* The one that we start may find another that starts or ends just now: look again. */
	for (unsigned i = 0; i < ANSWER_SECONDS * 1000 / RETRY_MS; i++) {
		r = connect_once(address);
		if (r >= 0) {
			return check_peer(r, address->sun_path, error, size);
		}
		if ((r != -ENOENT && r != -ECONNREFUSED) || !start) {
			break;
		}
		if (!start_process(error, size)) {
			return -EHOSTDOWN;
		}
		if (i > 0) {
			nanosleep(&pause, NULL);
		}
	}
	if (r == -ENOENT || r == -ECONNREFUSED) {
		snprintf(error, size,
			 "no switch process runs (nobody listens on %s); it starts when an adapter "
			 "is plugged in or a switch is made",
			 address->sun_path);
	} else {
		snprintf(error, size, "%s: %s; expected the switch process of this user",
			 address->sun_path, strerror(-r));
	}
	return r;
}

int vswitch_client_connect(bool start, char *error, size_t size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (!paths_socket(start, address.sun_path, sizeof(address.sun_path), error, size)) {
		return -EINVAL;
	}
	return connect_or_start(&address, start, error, size);
}

static int refused(json_t *answer, char *error, size_t size)
{
	const char *text = "no reason given";
	uint64_t code = EPROTO;

	json_text(answer, "error", &text);
	json_number(answer, "code", &code);
	snprintf(error, size, "%s", text);
	return code > 0 && code < 4096 ? -(int)code : -EPROTO;
}

int vswitch_client_request(int socket, json_t *request, const int *fds, unsigned fd_count,
			   json_t **ret_answer, int *ret_fds, unsigned *ret_fd_count, char *error,
			   size_t size)
{
	struct message m;
	const char *why = "";
	int r = message_send(socket, request, fds, fd_count, 0);

	if (r == 0) {
		r = message_receive(socket, 0, true, &m, &why);
		r = r == 0 ? -ECONNRESET : r == -EAGAIN ? -ETIMEDOUT : r;
	}
	if (r < 0) {
		snprintf(error, size, "the switch process %s",
			 r == -ETIMEDOUT  ? "does not answer within 10 s"
			 : r == -EBADMSG  ? "gave an answer that nobody understands"
			 : r == -EMSGSIZE ? "does not take requests that long"
			 : r == -ECONNRESET || r == -EPIPE ? "ended before it answered"
							   : strerror(-r));
		return r;
	}
	if (json_object_get(m.body, "error") != NULL) {
		r = refused(m.body, error, size);
		message_drop(&m);
		return r;
	}
	if (ret_fds != NULL) {
		memcpy(ret_fds, m.fds, m.fd_count * sizeof(int));
		*ret_fd_count = m.fd_count;
		m.fd_count = 0;
	}
	*ret_answer = m.body;
	m.body = NULL;
	message_drop(&m);
	return 0;
}

json_t *vswitch_client_verb(const char *verb, const char *name)
{
	json_t *o = json_object();

	json_add_text(o, "do", verb);
	if (name != NULL) {
		json_add_text(o, "switch", name);
	}
	return o;
}

int vswitch_client_ask(bool start, json_t *request, const int *fds, unsigned fd_count,
		       json_t **ret_answer, char *error, size_t size)
{
	int s = vswitch_client_connect(start, error, size), r;

	if (s < 0) {
		r = s == -ENOENT || s == -ECONNREFUSED ? -EHOSTDOWN : s;
	} else {
		r = vswitch_client_request(s, request, fds, fd_count, ret_answer, NULL, NULL, error,
					   size);
		close(s);
	}
	json_decref(request);
	return r;
}

/* ---- Plugging in ---- */

void vswitch_cable_close(struct vswitch_cable *cable)
{
	close(cable->connection);
	close(cable->memory);
	close(cable->switch_bell);
	for (unsigned q = 0; q < cable->queues; q++) {
		close(cable->worker_bells[q]);
	}
	*cable = (struct vswitch_cable){
		.connection = -1, .memory = -1, .switch_bell = -1, .queues = 0};
}

/* Memory, the switch's bell, and a bell for each queue; the memory cannot be taken away below us. */
static bool take_cable(json_t *answer, const int *fds, unsigned count, struct vswitch_cable *c)
{
	uint64_t queues = 0, mtu = 0, takes = 0;
	int seals = count > 0 ? fcntl(fds[0], F_GET_SEALS) : -1;

	if (!json_number(answer, "queues", &queues) || !json_number(answer, "mtu", &mtu) ||
	    !json_number(answer, "takes", &takes) || queues < 1 || queues > WIRE_QUEUES_MAX ||
	    count != 2 + queues || seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
		return false;
	}
	c->memory = fds[0];
	c->switch_bell = fds[1];
	memcpy(c->worker_bells, fds + 2, queues * sizeof(int));
	c->queues = (unsigned)queues;
	c->mtu = (uint32_t)mtu;
	c->takes = (uint32_t)takes;
	return true;
}

static int plug_once(bool start, json_t *request, struct vswitch_cable *ret, char *error,
		     size_t size)
{
	int fds[VSWITCH_CLIENT_DESCRIPTORS];
	unsigned count = 0;
	json_t *answer;
	int connection = vswitch_client_connect(start, error, size);

	if (connection < 0) {
		return connection;
	}
	int r = vswitch_client_request(connection, request, NULL, 0, &answer, fds, &count, error,
				       size);

	if (r < 0) {
		close(connection);
		return r;
	}
	struct vswitch_cable cable = {.connection = connection};

	if (!take_cable(answer, fds, count, &cable)) {
		snprintf(error, size, "the switch process gave a cable that nobody understands");
		for (unsigned i = 0; i < count; i++) {
			close(fds[i]);
		}
		close(connection);
		r = -EPROTO;
	} else {
		*ret = cable;
	}
	json_decref(answer);
	return r;
}

int vswitch_client_plug(bool start, json_t *adapter, struct vswitch_cable *ret, char *error,
			size_t size)
{
	json_t *request = json_deep_copy(adapter);
	int r = -ECONNRESET;

	if (request == NULL) {
		snprintf(error, size, "out of memory");
		return -ENOMEM;
	}
	json_add_text(request, "do", "plug");
	/* A process that was about to end when we came hangs up; the next one is ours. */
	for (unsigned i = 0; i < PLUG_TRIES && (r == -ECONNRESET || r == -EPIPE); i++) {
		r = plug_once(start, request, ret, error, size);
	}
	json_decref(request);
	return r;
}
