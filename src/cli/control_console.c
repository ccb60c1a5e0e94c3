// SPDX-License-Identifier: Apache-2.0
/* `virid control SOCKET console`: a stream between this terminal and the machine. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli.h"
#include "control.h"

#define ESCAPE 0x1d /* Ctrl-] */

bool control_console_pair(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		complain("console: %s", strerror(errno));
		return false;
	}
	return true;
}

static bool write_all(int fd, const char *data, size_t bytes)
{
	while (bytes != 0) {
		ssize_t n = write(fd, data, bytes);

		if (n <= 0) {
			return false;
		}
		data += n;
		bytes -= (size_t)n;
	}
	return true;
}

/* False: it is over. */
static bool pass_on(int from, int to, bool escape)
{
	char data[4096];
	ssize_t n = read(from, data, sizeof(data));

	return n > 0 && !(escape && memchr(data, ESCAPE, (size_t)n) != NULL) &&
	       write_all(to, data, (size_t)n);
}

void control_console_show(int fd)
{
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
				{.fd = fd, .events = POLLIN}};
	bool terminal = terminal_raw();

	signal(SIGPIPE, SIG_IGN);
	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		if (fds[1].revents != 0 && !pass_on(fd, STDOUT_FILENO, false)) {
			break;
		}
		if (fds[0].revents != 0 && !pass_on(STDIN_FILENO, fd, terminal)) {
			if (terminal) {
				break;
			}
			fds[0].fd = -1; /* nothing more is typed */
		}
	}
	terminal_restore();
}
