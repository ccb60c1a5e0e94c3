// SPDX-License-Identifier: Apache-2.0
#include <termios.h>
#include <unistd.h>

#include "cli.h"

static struct termios saved;
static bool is_raw;

bool terminal_raw(void)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved) < 0) {
		return false;
	}
	raw = saved;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST; /* our own messages keep their line ends */
	is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
	return is_raw;
}

void terminal_restore(void)
{
	if (is_raw) {
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
		is_raw = false;
	}
}
