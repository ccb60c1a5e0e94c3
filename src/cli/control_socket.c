// SPDX-License-Identifier: Apache-2.0
/* The socket of a running machine: one request and its answer. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli.h"
#include "control.h"
#include "lib/text.h"

static bool fill_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!text_copy(ret->sun_path, sizeof(ret->sun_path), path)) {
		complain("%s: the path of a socket has at most %zu characters", path,
			 sizeof(ret->sun_path) - 1);
		return false;
	}
	return true;
}

int control_connect(const char *path)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || !fill_address(path, &address)) {
		return -1;
	}
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		complain("%s: %s; expected the socket of a running machine (virid run --control)",
			 path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

bool control_receive(int fd, const char *socket_path, char *ret, size_t size)
{
	ssize_t n = recv(fd, ret, size - 1, 0);

	if (n <= 0) {
		complain("%s: the machine ended without an answer", socket_path);
	}
	ret[n > 0 ? n : 0] = '\0';
	return n > 0;
}

bool control_exchange(const char *socket_path, const struct packet *p, char *ret, size_t size)
{
	int fd = control_connect(socket_path);

	if (fd < 0) {
		return false;
	}
	struct launch_error error;
	bool sent = packet_send(fd, p, &error);
	ssize_t n = sent ? recv(fd, ret, size - 1, 0) : -1;

	close(fd);
	if (n <= 0) {
		complain("%s: %s", socket_path,
			 sent ? "the machine ended without an answer" : error.text);
	}
	ret[n > 0 ? n : 0] = '\0';
	return n > 0;
}

int control_ask(const char *socket_path, const char *name, const char *operand,
		const struct packet *p)
{
	char text[1024];

	if (!control_exchange(socket_path, p, text, sizeof(text))) {
		return CLI_FAILED;
	}
	if (strcmp(text, "ok") == 0) {
		return CLI_OK;
	}
	complain("%s %s: %s", name, operand, text);
	return CLI_FAILED;
}
